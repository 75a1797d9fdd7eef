"""The conversion of a fetched model to ONNX, in a process of its own, so that nothing that happens there ends this one.

A library may hang on a model, break on it, or take more memory or time of a core than it may: then the model is served
as it is. How long it takes by the clock says more about the node than about the model: such a failure is told, and
counts only when it comes twice in a row. The process gets no credentials. Pods that fetch for themselves do not
convert: on nodes that are busy in other ways, they could come to different ends, and one revision has one runtime.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.model import manifest
from sluice_server.model.manifest import Manifest

logger = logging.getLogger("sluice.fetch")
_CONVERTIBLE = frozenset({"skops"})  # runtimes
CPU_LIMIT = 120  # seconds of a core; a forest of 100 takes about five
CLOCK_LIMIT = 600.0  # seconds; for a fifth of a core, or a library that waits for ever
_NOT_DONE = ".conversion-not-done"  # in the model's folder after a try that the clock ended
_PASSED_ON = frozenset(
    {"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "SLUICE_TRUSTED_TYPES", "LOG_LEVEL", "LOG_FORMAT"}
)
_PREFIXES_PASSED_ON = ("PYTHON", "OPENBLAS_")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a conversion may take: bytes of this container, if they are limited; seconds of a core, and by the clock."""

    memory: int | None
    cpu: int = CPU_LIMIT
    clock: float = CLOCK_LIMIT


def was_not_done(model_dir: Path) -> bool:
    """Whether the clock ended the conversion of an earlier try, whose folder this is."""
    return (model_dir / _NOT_DONE).exists()


def convert(outcome: Outcome, model_dir: Path, limits: Limits, *, is_last: bool) -> Outcome:
    """What `fetch` gave, with its model converted where that is possible. See `converted`.

    If the clock ends it, another try may come further; with `is_last` there is none.
    """
    if not isinstance(outcome, Fetched) or outcome.manifest.runtime not in _CONVERTIBLE:
        return outcome
    try:
        return Fetched(converted(model_dir, limits, os.environ))
    except subprocess.TimeoutExpired:
        failure = f"the conversion did not end within {limits.clock:.0f} s"
    if is_last:
        return Fetched(_as_it_is(model_dir, failure))
    (model_dir / _NOT_DONE).touch()
    return Unavailable(
        "FetchFailed",
        f"{failure}, in which it may take {limits.cpu} s of a core: the node is busy, or the container gets too little "
        "CPU. It is tried once more; then the model is served without a conversion",
    )


def converted(model_dir: Path, limits: Limits, env: Mapping[str, str]) -> Manifest:
    """The manifest after a conversion was tried; where it failed, it is the one before, with the reason.

    Raises TimeoutExpired if it was not done in time by the clock.
    """
    code = _run(model_dir, limits, env)
    if code == -signal.SIGXCPU:
        return _as_it_is(model_dir, f"the conversion takes more than {limits.cpu} s of a core")
    if code:
        return _as_it_is(model_dir, f"the conversion ended with exit code {code}")
    return manifest.read(model_dir)


def _as_it_is(model_dir: Path, failure: str) -> Manifest:
    logger.warning("the model is not converted to ONNX: %s", failure)
    shutil.rmtree(model_dir / manifest.CONVERTED, ignore_errors=True)  # what was written of it
    found = manifest.not_converted(manifest.read(model_dir), failure)
    manifest.write(found, model_dir)
    return found


def _run(model_dir: Path, limits: Limits, env: Mapping[str, str]) -> int:
    """The exit code of the command `convert`; negative where a signal ended it."""
    own = {name: value for name, value in env.items() if name in _PASSED_ON or name.startswith(_PREFIXES_PASSED_ON)}
    own |= {"SLUICE_MODEL_DIR": str(model_dir), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "sluice_server", "convert"], env=own) as process:
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
