"""The image and container that this process runs in: versions of Python and of all that is installed, memory."""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from sluice_server.runtimes.port import Image

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def this_image() -> Image:
    """The versions of this image and the memory limit of this container."""
    libraries: dict[str, str] = {canonicalize_name(each.name): each.version for each in distributions()}
    return Image(platform.python_version(), libraries, _memory_limit())


def _memory_limit() -> int | None:
    for path in CGROUP_LIMITS:
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # no such cgroup version, or "max"
            continue
        return limit if limit < 2**60 else None
    return None
