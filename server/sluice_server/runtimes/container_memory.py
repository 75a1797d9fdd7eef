"""How much memory this container may take, and how much of that is left."""

from __future__ import annotations

import resource
from pathlib import Path

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_FOR_REQUESTS = 8  # a part of that many of the limit is not for the model


def limit() -> int | None:
    """Bytes; None where the container has no limit."""
    for path in CGROUP_LIMITS:
        try:
            found = int(path.read_text())
        except (OSError, ValueError):  # no such cgroup version, or "max"
            continue
        return found if found < 2**60 else None
    return None


def for_model(limit: int, taken: int) -> int:
    """Bytes that a model may take beside the `taken` ones; at least a quarter of the limit.

    What a request is while it is read, and its answer, are the process's own.
    """
    return max(limit - taken - limit // _FOR_REQUESTS, limit // 4)


def taken() -> int:
    """The most bytes that this process had until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
