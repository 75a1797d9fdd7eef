"""Brings the model of a server without an operator: from the registry, by any name that MLflow has, else from a folder.

There is nobody who pins a version, so it is done here: what an alias or a stage names at the start is served. Nor is
there anybody who names a revision: it is made of the version and its files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from sluice_server.fetch import artifacts
from sluice_server.fetch.artifacts import Pinned
from sluice_server.fetch.conversion import convert
from sluice_server.fetch.fetch import fetch
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched, Unavailable
from sluice_server.fetch.own_process import Limits
from sluice_server.model.refusal import Refused
from sluice_server.run_environment import Sources
from sluice_server.runtimes.port import Image
from sluice_server.settings import FetchSettings

_REVISION = 10  # characters, as the operator has it
logger = logging.getLogger("sluice.fetch")


def run(
    settings: FetchSettings, sources: Sources, arrived: Callable[[], object]
) -> dict[str, str] | Refused | Unavailable:
    """The variables that say what was fetched, for `serve`; or why the first source has no model, if none has one.

    What was wrong with each source is in the log. `arrived` is called when the files of a model are there.
    """
    image = this_image()
    failures: list[Refused | Unavailable] = []
    for uri, pinned, is_local in _named(sources):
        outcome = _fetched(settings, pinned, is_local, image, arrived) if isinstance(pinned, Pinned) else pinned
        if isinstance(outcome, dict):
            return outcome
        logger.error("%s cannot be served (%s): %s", uri, outcome.reason, outcome.message)
        failures.append(outcome)
    return failures[0]


def _named(sources: Sources) -> Iterator[tuple[str, Pinned | Refused | Unavailable, bool]]:
    """What the sources are called, what they name, and whether it is a path."""
    if sources.uri:
        yield sources.uri, artifacts.pin(sources.uri), False
    if sources.path is not None:
        path = sources.path.absolute()
        yield str(path), Pinned(str(path), _model_name(path), ""), True


def _fetched(
    settings: FetchSettings, pinned: Pinned, is_local: bool, image: Image, arrived: Callable[[], object]
) -> dict[str, str] | Refused | Unavailable:
    fetched = fetch(dataclasses.replace(settings, model_uri=pinned.uri), image, is_local)
    if isinstance(fetched, Fetched):
        arrived()
    outcome = convert(fetched, settings.model_dir, Limits(image.memory_limit), is_last=True)
    if not isinstance(outcome, Fetched):
        return outcome
    logger.info("fetched %s: %s", pinned.uri, outcome.digest)
    return _variables(pinned, outcome, settings.model_dir)


def _variables(pinned: Pinned, fetched: Fetched, folder: Path) -> dict[str, str]:
    return {
        "SLUICE_MODEL_URI": pinned.uri,
        "SLUICE_MODEL_NAME": pinned.name,
        "SLUICE_MODEL_VERSION": pinned.version,
        "SLUICE_MODEL_DIR": str(folder),
        "SLUICE_REVISION": hashlib.sha256(f"{pinned.uri} {fetched.digest}".encode()).hexdigest()[:_REVISION],
    }


def _model_name(path: Path) -> str:
    return (path.parent if path.suffix else path).name
