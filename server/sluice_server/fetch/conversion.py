"""The conversion of a fetched model to ONNX, in a process of its own, so that nothing that happens there ends this one.

A library may hang on a model, break on it, or take more memory than there is: then the model is served as it is. The
process gets no credentials. Pods that fetch for themselves do not convert: on nodes that are busy in other ways, they
could come to different ends, and one revision has one runtime.
"""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sluice_server.fetch.outcome import Fetched, Outcome
from sluice_server.model import manifest
from sluice_server.model.manifest import Manifest

logger = logging.getLogger("sluice.fetch")
_CONVERTIBLE = frozenset({"skops"})  # runtimes
_TIME_LIMIT = 120.0  # seconds; a forest of 100 takes about five of a core
_PASSED_ON = frozenset(
    {"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "SLUICE_TRUSTED_TYPES", "LOG_LEVEL", "LOG_FORMAT"}
)
_PREFIXES_PASSED_ON = ("PYTHON", "OPENBLAS_")


def convert(outcome: Outcome, model_dir: Path, memory_limit: int | None) -> Outcome:
    """What `fetch` gave, with its model converted where that is possible. See `converted`."""
    if isinstance(outcome, Fetched) and outcome.manifest.runtime in _CONVERTIBLE:
        return Fetched(converted(model_dir, memory_limit, os.environ))
    return outcome


def converted(
    model_dir: Path, memory_limit: int | None, env: Mapping[str, str], seconds: float = _TIME_LIMIT
) -> Manifest:
    """The manifest after a conversion was tried; where it failed, it is the one before, with the reason.

    `memory_limit`: of this container, in bytes. `seconds`: how long a conversion may take.
    """
    try:
        code = _run(model_dir, memory_limit, env, seconds)
    except subprocess.TimeoutExpired:
        failure = f"the conversion did not end within {seconds:.0f} s"
    else:
        failure = f"the conversion ended with exit code {code}" if code else ""
    found = manifest.read(model_dir)
    if not failure:
        return found
    logger.warning("the model is not converted to ONNX: %s", failure)
    found = manifest.not_converted(found, failure)
    manifest.write(found, model_dir)
    return found


def _run(model_dir: Path, memory_limit: int | None, env: Mapping[str, str], seconds: float) -> int:
    """The exit code of the command `convert`; negative where a signal ended it."""
    own = {name: value for name, value in env.items() if name in _PASSED_ON or name.startswith(_PREFIXES_PASSED_ON)}
    own |= {"SLUICE_MODEL_DIR": str(model_dir), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "sluice_server", "convert"], env=own) as process:
        if memory_limit is not None:
            _limit_memory(process.pid, memory_limit)
        try:
            return process.wait(seconds)
        finally:
            process.kill()


def _limit_memory(pid: int, memory_limit: int) -> None:
    """To what this process leaves: Kubernetes would end the whole container, and it would be tried for ever."""
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    left = max(memory_limit - taken, 0)
    resource.prlimit(pid, resource.RLIMIT_DATA, (left, left))
