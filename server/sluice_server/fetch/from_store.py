"""The init container where there is a store: one digest is copied into the pod's model folder, and checked.

What an earlier one of the same pod has left there is used, if it still has that digest: a node that restarts runs all
init containers again, and the store may be on it. Where the store does not give it, a pod that serves the same model
may. There is no way from here to MLflow: a pod gets exactly what was prepared for its revision, or does not start.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sluice_server.fetch import folder, report
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.settings import FetchSettings, StoreSettings
from sluice_server.store.client import StoreClient, StoreError

logger = logging.getLogger("sluice.fetch")
_LOST = frozenset({"NotInStore", "StoreContentDamaged"})


def run(settings: FetchSettings, sources: Sequence[StoreSettings], digest: str) -> int:
    """Copies what is not there, reports, and gives the exit code; see `report.run`."""
    if settings.model_dir.is_dir() and tree_digest(settings.model_dir) == digest:
        return report.run(settings, lambda: _described(settings.model_dir, digest))
    folder.empty(settings.model_dir)
    return report.run(settings, lambda: copy(settings.model_dir, sources, digest))


def copy(model_dir: Path, sources: Sequence[StoreSettings], digest: str) -> Outcome:
    """`Fetched` when the model folder holds the files of the digest, from the first source that gives them.

    The first source is the store; if none gives them, its reason is told. If it has lost them, it gets them back.
    """
    failures: list[StoreError] = []
    for source in sources:
        failure = _copied(model_dir / folder.INCOMING, source, digest)
        if failure is None:
            if failures and failures[0].reason in _LOST:
                _put_back(model_dir, sources[0], digest)
            return _described(model_dir, digest)
        failures.append(failure)
    others = "".join(f"; {failure}" for failure in failures[1:])
    return Unavailable(failures[0].reason, f"{failures[0]}{others}")


def _copied(incoming: Path, source: StoreSettings, digest: str) -> StoreError | None:
    """Puts the files into the folder above, if they are those of the digest. No source decides that: they are read."""
    folder.made_anew(incoming)
    try:
        StoreClient(source).get(digest, incoming)
    except StoreError as error:
        return error
    if (found := tree_digest(incoming)) != digest:
        return StoreError(
            "StoreContentDamaged",
            f"what {source.url} has under {digest} are files with the digest {found}: prepare the model again, which "
            "replaces it",
        )
    for path in incoming.iterdir():
        path.rename(incoming.parent / path.name)
    incoming.rmdir()
    return None


def _put_back(model_dir: Path, store: StoreSettings, digest: str) -> None:
    """Before the last pod that has the model is gone. This one starts whether the store takes it or not."""
    try:
        StoreClient(store).put(model_dir, digest)
    except StoreError as error:
        logger.warning("the store has lost %s, and does not take it back: %s", digest, error)
    else:
        logger.warning("the store had lost %s, and has it back", digest)


def _described(model_dir: Path, digest: str) -> Outcome:
    try:
        return Fetched(manifest.read(model_dir), digest)
    except (OSError, msgspec.DecodeError) as error:
        return Unavailable(
            "StoreContentDamaged",
            f"{digest} has no {manifest.NAME} that this image can read ({error}): prepare the model with this image",
        )
