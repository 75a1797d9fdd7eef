"""The image and container that this process runs in: versions of Python and of all that is installed, memory."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

from packaging.utils import canonicalize_name

from sluice_server.runtimes import container_memory
from sluice_server.runtimes.port import Image


def this_image() -> Image:
    """The versions of this image and the memory limit of this container."""
    libraries: dict[str, str] = {canonicalize_name(each.name): each.version for each in distributions()}
    return Image(platform.python_version(), libraries, container_memory.limit())
