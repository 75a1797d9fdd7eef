"""The application: the routes of the collections, health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from sluice_store.files import Files, FilesError
from sluice_store.http import labels, models, predictions, runs
from sluice_store.http.access import Access
from sluice_store.http.bodies import Bodies
from sluice_store.http.metrics import Measured, Metrics
from sluice_store.http.readers import Readers
from sluice_store.labels.label_book import LabelBook, LabelsError
from sluice_store.removal import Ages, Removal
from sluice_store.space import Space, Spaces
from sluice_store.uses import Uses


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with.

    Sizes are in bytes: of one model, and of all models, predictions and records of runs of a namespace (for these, 0 is
    no limit).
    """

    files: Files
    book: LabelBook
    access: Access
    max_model: int
    max_namespace: int
    max_predictions: int
    max_runs: int
    ages: Ages


def build_app(parts: Parts) -> ASGIApp:
    """The whole application."""
    metrics, uses, bodies, readers = Metrics(), Uses(parts.files), Bodies(), Readers()
    spaces = Spaces(
        Space(parts.files, models.COLLECTION, parts.max_namespace),
        Space(parts.files, predictions.COLLECTION, parts.max_predictions),
        Space(parts.files, runs.COLLECTION, parts.max_runs),
    )
    metrics.watch(spaces.models, spaces.predictions, spaces.runs, parts.book.space)
    app = FastAPI(
        title="Sluice store",
        docs_url=None,  # its page would need the internet
        redoc_url=None,
        lifespan=_removing(Removal(parts.files, parts.book, uses, parts.ages, spaces)),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.include_router(models.routes(parts.files, parts.access, metrics, readers, parts.max_model, spaces.models, uses))
    app.include_router(labels.routes(parts.book, parts.access, metrics, bodies, readers))
    app.include_router(predictions.routes(parts.files, parts.book, parts.access, spaces.predictions, bodies))
    app.include_router(runs.routes(parts.files, parts.access, spaces.runs, bodies, readers))
    _add_health(app, parts, metrics)
    return Measured(app, metrics)


def _removing(removal: Removal) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What is too old is removed while the process runs."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(removal.for_ever())
        yield
        task.cancel()

    return running


def _add_health(app: FastAPI, parts: Parts, metrics: Metrics) -> None:
    @app.get("/health/live", summary="Whether the process answers")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready", summary="Whether requests should come here")
    async def ready() -> dict[str, bool]:
        # What is behind the store is asked by each request, which then says what is wrong. If this did too, one of
        # the two being down would take the other collections away with it.
        return {"ready": True}

    @app.get("/health", summary="Whether the files and the database can be reached")
    async def health() -> JSONResponse:
        problems = {"files": await _files(parts.files), "database": await _database(parts.book)}
        return JSONResponse(
            {name: problem or "ok" for name, problem in problems.items()}, 503 if any(problems.values()) else 200
        )

    @app.get("/metrics", summary="Prometheus text", response_class=Response)
    async def numbers() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _files(files: Files) -> str:
    try:
        await files.check()
    except FilesError as error:
        return str(error)
    return ""


async def _database(book: LabelBook) -> str:
    try:
        await run_in_threadpool(book.check)
    except LabelsError as error:
        return str(error)
    return ""
