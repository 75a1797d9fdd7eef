"""Imports of libraries without what they use for others than us: it takes much of the time and the memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_modules: dict[str, Any] = sys.modules  # None in it means: cannot be imported


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """What is imported inside of this does not find `packages`, unless the process has imported them already."""
    hidden = [package for package in packages if package not in _modules]
    _modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for package in hidden:
            del _modules[package]


def hide(*packages: str) -> None:
    """From now on, nothing in this process finds `packages`, unless it has imported them already."""
    for package in packages:
        _modules.setdefault(package, None)
