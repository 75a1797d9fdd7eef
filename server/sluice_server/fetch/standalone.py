"""Brings the model of a server without an operator: from the registry, by any name that MLflow has, else from a folder.

There is nobody who pins a version, so it is done here: what an alias or a stage names at the start is served.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from sluice_server.fetch import artifacts
from sluice_server.fetch.artifacts import Pinned
from sluice_server.fetch.conversion import Limits, convert
from sluice_server.fetch.fetch import fetch
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched, Unavailable
from sluice_server.model.refusal import Refused
from sluice_server.run_environment import Sources
from sluice_server.runtimes.port import Image
from sluice_server.settings import FetchSettings

logger = logging.getLogger("sluice.fetch")


def run(settings: FetchSettings, sources: Sources) -> dict[str, str] | None:
    """The variables that say what was fetched, for `serve`; None if no source has a model, which is in the log."""
    pinned = bring(settings, sources, this_image())
    if pinned is None:
        return None
    return {
        "SLUICE_MODEL_URI": pinned.uri,
        "SLUICE_MODEL_NAME": pinned.name,
        "SLUICE_MODEL_VERSION": pinned.version,
        "SLUICE_MODEL_DIR": str(settings.model_dir),
    }


def bring(settings: FetchSettings, sources: Sources, image: Image) -> Pinned | None:
    """What the first source gave that has a model which can be served."""
    for pinned, is_local in _found(sources):
        fetched = fetch(dataclasses.replace(settings, model_uri=pinned.uri), image, is_local)
        outcome = convert(fetched, settings.model_dir, Limits(image.memory_limit), is_last=True)
        if isinstance(outcome, Fetched):
            logger.info("fetched %s: %s", pinned.uri, outcome.digest)
            return pinned
        _tell(pinned.uri, outcome)
    return None


def _found(sources: Sources) -> Iterator[tuple[Pinned, bool]]:
    """What the sources name, and whether it is a path."""
    if sources.uri:
        pinned = artifacts.pin(sources.uri)
        if isinstance(pinned, Pinned):
            yield pinned, False
        else:
            _tell(sources.uri, pinned)
    if sources.path is not None:
        yield Pinned(str(sources.path.absolute()), _model_name(sources.path), ""), True


def _model_name(path: Path) -> str:
    return (path.parent if path.suffix else path).absolute().name


def _tell(uri: str, outcome: Refused | Unavailable) -> None:
    logger.error("%s cannot be served (%s): %s", uri, outcome.reason, outcome.message)
