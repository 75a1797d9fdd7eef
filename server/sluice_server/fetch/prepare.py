"""The Job of a revision: the model is fetched, converted where that is possible, and put into the store as a folder.

From then on pods get the model by the digest of that folder, and MLflow is not asked again. The digest covers
`sluice.json` too: what a pod gets is what was checked here, or nothing.
"""

from __future__ import annotations

from sluice_server.fetch import folder, report
from sluice_server.fetch.conversion import convert, was_not_done
from sluice_server.fetch.fetch import fetch
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.fetch.own_process import Limits
from sluice_server.model.digest import tree_digest
from sluice_server.runtimes.port import Image
from sluice_server.settings import FetchSettings, StoreSettings
from sluice_server.store.client import StoreClient, StoreError


def run(settings: FetchSettings, store: StoreSettings) -> int:
    """Prepares, reports, and gives the exit code; see `report.run`."""
    is_last = was_not_done(settings.model_dir)
    folder.empty(settings.model_dir)
    return report.run(settings, lambda: prepare(settings, store, this_image(), is_last=is_last))


def prepare(settings: FetchSettings, store: StoreSettings, image: Image, *, is_last: bool) -> Outcome:
    """`Fetched` when the store has the model; its digest is that of the folder. `is_last`: see `convert`."""
    outcome = convert(fetch(settings, image), settings.model_dir, Limits(image.memory_limit), is_last=is_last)
    if not isinstance(outcome, Fetched):
        return outcome
    digest = tree_digest(settings.model_dir)
    try:
        StoreClient(store).keep(settings.model_dir, digest)
    except StoreError as error:
        return Unavailable(error.reason, f"{settings.model_uri} is not in the store yet: {error}")
    return Fetched(outcome.manifest, digest)
