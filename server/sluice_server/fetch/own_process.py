"""A command of this server on a fetched model, in a process of its own: nothing that happens there ends this one.

A library may hang on a model, break on it, or take more memory or time of a core than it may. The process gets no
credentials.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CPU_LIMIT = 120  # seconds of a core; a forest of 100 takes about five to be converted
TRIES = 2  # of a conversion that the clock ended
CLOCK_LIMIT = 600.0 / TRIES  # seconds, so that all tries together hold a start for 10 minutes at most
_PASSED_ON = frozenset(
    {"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "SLUICE_TRUSTED_TYPES", "LOG_LEVEL", "LOG_FORMAT"}
)
_PREFIXES_PASSED_ON = ("PYTHON", "OPENBLAS_")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may take: bytes of this container, if they are limited; seconds of a core, and by the clock."""

    memory: int | None
    cpu: int = CPU_LIMIT
    clock: float = CLOCK_LIMIT


def run(command: str, model_dir: Path, limits: Limits, env: Mapping[str, str]) -> int:
    """The exit code of a command of this server; negative where a signal ended it.

    Raises subprocess.TimeoutExpired if it was not done in time by the clock.
    """
    own = {name: value for name, value in env.items() if name in _PASSED_ON or name.startswith(_PREFIXES_PASSED_ON)}
    own |= {"SLUICE_MODEL_DIR": str(model_dir), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command_line = [sys.executable, "-m", "sluice_server", command]
    with subprocess.Popen(command_line, env=own) as process:  # noqa: S603 - a command of this server
        # The second one is for a process that does not heed the signal of the first.
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 10))
        if limits.memory is not None:
            _limit_memory(process.pid, limits.memory)
        try:
            return process.wait(limits.clock)
        finally:
            process.kill()


def _limit_memory(pid: int, memory_limit: int) -> None:
    """To what this process leaves: Kubernetes would end the whole container, and it would be tried for ever."""
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    left = max(memory_limit - taken, 0)
    resource.prlimit(pid, resource.RLIMIT_DATA, (left, left))
