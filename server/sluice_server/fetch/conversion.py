"""The conversion of a fetched model to ONNX, in a process of its own; where it fails, the model is served as it is.

How long it takes by the clock says more about the node than about the model: such a failure is told, and counts only
when it comes twice in a row. Pods that fetch for themselves do not convert: on nodes that are busy in other ways, they
could come to different ends, and one revision has one runtime.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sluice_server.fetch import own_process
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.fetch.own_process import Limits
from sluice_server.model import manifest
from sluice_server.model.manifest import Manifest

logger = logging.getLogger("sluice.fetch")
_CONVERTIBLE = frozenset({"skops"})  # runtimes
_NOT_DONE = ".conversion-not-done"  # in the model's folder after a try that the clock ended


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
    code = own_process.run("convert", model_dir, limits, env)
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
