"""The init container where there is a store: one digest is copied into the pod's model folder, and checked.

There is no way from here to MLflow: a pod gets exactly what was prepared for its revision, or does not start.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice_server.fetch import folder, report
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.settings import FetchSettings, StoreSettings
from sluice_server.store.client import StoreClient, StoreError


def run(settings: FetchSettings, store: StoreSettings, digest: str) -> int:
    """Copies, reports, and gives the exit code; see `report.run`."""
    folder.empty(settings.model_dir)
    return report.run(settings, lambda: copy(settings.model_dir, store, digest))


def copy(model_dir: Path, store: StoreSettings, digest: str) -> Outcome:
    """`Fetched` when the model folder holds the files of the digest. The store does not decide that: they are read."""
    incoming = model_dir / folder.INCOMING
    incoming.mkdir()
    try:
        StoreClient(store).get(digest, incoming)
    except StoreError as error:
        return Unavailable(error.reason, str(error))
    if (found := tree_digest(incoming)) != digest:
        return Unavailable(
            "StoreContentDamaged",
            f"what {store.url} has under {digest} are files with the digest {found}: prepare the model again, which "
            "replaces it",
        )
    for path in incoming.iterdir():
        path.rename(model_dir / path.name)
    incoming.rmdir()
    return _described(model_dir, digest)


def _described(model_dir: Path, digest: str) -> Outcome:
    try:
        return Fetched(manifest.read(model_dir), digest)
    except (OSError, msgspec.DecodeError) as error:
        return Unavailable(
            "StoreContentDamaged",
            f"{digest} has no {manifest.NAME} that this image can read ({error}): prepare the model with this image",
        )
