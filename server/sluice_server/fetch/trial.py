"""Whether the runtime that accepts a model's file also loads it. Under `trust: Code` there is another way if not.

It is found out before a pod serves, so that all pods of a revision have one runtime. The model is loaded in a process
of its own, as the serving process would load it.
"""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

from sluice_server import runtimes
from sluice_server.fetch import own_process
from sluice_server.fetch.own_process import Limits
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import example_reader
from sluice_server.model import manifest
from sluice_server.settings import ConvertSettings

logger = logging.getLogger("sluice.fetch")
_CANNOT = 4  # exit code of the command: any other one says nothing of the model


def is_loaded(model_dir: Path, limits: Limits) -> bool:
    """Whether the model of the manifest can be loaded; also where nobody can tell, because the command was ended."""
    try:
        return own_process.run("try", model_dir, limits, os.environ) != _CANNOT
    except subprocess.TimeoutExpired:
        return True


def run(settings: ConvertSettings) -> int:
    """The command `try`: loads the model once, and gives the exit code. The log says why it cannot be loaded."""
    found = manifest.read(settings.model_dir)
    rows = example_reader(found.schema).read(found.input_example["features"])
    assert not isinstance(rows, Rejection)  # it was read before it became part of the manifest
    try:
        load = runtimes.by_name(found.runtime).load
        load(settings.model_dir / found.folder, found, settings.trusted_types, rows)
    except MemoryError:
        raise
    except Exception as error:  # in whichever way a library says no
        logger.warning("the runtime %s cannot load the model: %s: %s", found.runtime, type(error).__name__, error)
        return _CANNOT
    return 0
