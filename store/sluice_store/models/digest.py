"""The digest of a tree of files: the address of a prepared model.

The model server computes the same over a folder (`model/digest.py` there); the two share no code, so that neither image
needs the other. docs/store.md defines it, with an example that the tests of both sides use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A file's size in bytes, and the SHA-256 of its bytes as 64 hex digits."""

    size: int
    sha256: str


def is_digest(text: str) -> bool:
    """Whether it has the form of one."""
    return _DIGEST.fullmatch(text) is not None


def tree_digest(files: Mapping[str, File]) -> str:
    """`sha256:<64 hex>` over the files by their paths; times, modes and the order in an archive do not matter."""
    total = hashlib.sha256()
    for path in sorted(files):
        file = files[path]
        total.update(f"{len(path.encode())}:{path}:{file.size}:{file.sha256}\n".encode())
    return f"sha256:{total.hexdigest()}"
