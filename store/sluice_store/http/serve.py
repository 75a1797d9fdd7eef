"""The process: the parts made from the settings, and uvicorn around the application."""

from __future__ import annotations

import logging
from functools import partial

import uvicorn

from sluice_store.files import Files
from sluice_store.http.access import Access
from sluice_store.http.app import Parts, build_app
from sluice_store.http.protocol import Protocol, Waiting
from sluice_store.labels.label_book import LabelBook
from sluice_store.removal import Ages
from sluice_store.settings import Settings

KEEP_ALIVE = 60  # seconds
FINISH = 25  # seconds for what is under way after SIGTERM: a model of some gigabytes takes longer, and comes again
logger = logging.getLogger("sluice.store")


def run(settings: Settings) -> None:
    """Serves until SIGTERM; raises SettingError."""
    parts = Parts(
        Files(settings.files_url),
        LabelBook(settings.database_url, settings.label_max_age, settings.max_labels),
        Access(settings.key),
        settings.max_model,
        settings.max_namespace,
        settings.max_predictions,
        settings.max_runs,
        Ages(settings.model_max_age, settings.run_max_age, settings.prediction_max_age),
    )
    if settings.key is None:
        logger.warning("SLUICE_STORE_OPEN is true: everybody who reaches this port may read and write everything")
    uvicorn.run(
        build_app(parts),
        http=partial(Protocol, waiting=Waiting()),  # type: ignore[arg-type]  # it is only called
        host=settings.host,
        port=settings.port,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=FINISH,
    )
