"""Rows of predictions for retraining: `/predictions/{name}`, lines of JSON that pods send and people read by the day.

Each request of a pod is a file, called by what is in it: the same rows that come again, because an answer was lost,
replace themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from sluice_store.files import Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.bodies import Bodies
from sluice_store.http.errors import bad, name_of, unavailable
from sluice_store.http.readers import Readers, Streamed
from sluice_store.labels.label_book import LabelBook
from sluice_store.labels.label_values import Row
from sluice_store.predictions import kept_row
from sluice_store.space import NoSpaceError, Space

COLLECTION = "predictions"
CONTENT_TYPE = "application/x-ndjson"
MAX_BODY = 2 * 2**20
READ_AT_ONCE = 8  # each takes some megabytes, for as long as its client takes to read
_LABELS_AT_ONCE = 500
_DAY = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_UNREACHABLE = "the files of the store cannot be reached"


def routes(files: Files, book: LabelBook, access: Access, space: Space, bodies: Bodies) -> APIRouter:
    """POST, and GET of the days and of one day."""
    readers = Readers(READ_AT_ONCE)
    router = APIRouter(prefix=f"/{COLLECTION}/{{name}}", tags=[COLLECTION])

    @router.post("", status_code=201, summary="Keep rows of predictions of a ModelDeployment, as lines of JSON")
    async def post(name: str, request: Request) -> dict[str, int]:
        namespace = access.namespace(request)
        folder = f"{COLLECTION}/{namespace}/{name_of(name)}/{datetime.now(UTC):%Y-%m-%d}"
        async with bodies.whole(request, namespace, MAX_BODY) as body:
            rows = await run_in_threadpool(_count, body)
            await _write(files, space, namespace, f"{folder}/{hashlib.sha256(body).hexdigest()[:32]}.jsonl", body)
        return {"rows": rows}

    @router.get("", summary="The rows that came on a day (UTC) with their labels, or the days without one")
    async def get(name: str, request: Request, day: str = "") -> Response:
        namespace = access.namespace(request)
        folder = f"{COLLECTION}/{namespace}/{name_of(name)}"
        if day and not _DAY.fullmatch(day):
            raise bad(f"{day[:100]!r} is no day: write it as 2026-01-31")
        with readers.turn(namespace) as turn:
            try:
                if not day:
                    return JSONResponse({"days": await files.folders(folder)})
                paths = sorted([entry.path async for entry in files.entries(f"{folder}/{day}")])
            except FilesError as error:
                raise unavailable(_UNREACHABLE, error) from None
            return Streamed(_lines(files, book, namespace, paths), turn.pop_all(), CONTENT_TYPE)

    return router


def _count(body: bytes) -> int:
    try:
        body.decode()  # what is kept as it came may not be text
        return kept_row.count(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad(f"a line does not fit: {str(error)[:300]}") from None


async def _write(files: Files, space: Space, namespace: str, path: str, body: bytes) -> None:
    try:
        await space.write(namespace, path, body, await files.size(path) or 0)
    except NoSpaceError as error:
        raise bad(
            f"{error} for rows of predictions: keep a smaller share (SLUICE_KEEP_PREDICTIONS), or for a shorter time "
            "(SLUICE_STORE_PREDICTION_MAX_AGE), or set SLUICE_STORE_MAX_PREDICTION_BYTES higher",
            413,
        ) from None
    except FilesError as error:
        raise unavailable(_UNREACHABLE, error) from None


async def _lines(files: Files, book: LabelBook, namespace: str, paths: list[str]) -> AsyncIterator[bytes]:
    """The lines of the files, which are small, with their labels. An answer that fails on the way is cut."""
    for path in paths:
        found = await files.read(path)
        if found is None:  # its time is over
            continue
        body = b"".join([chunk async for chunk in found.chunks])
        for rows in kept_row.batches(body, _LABELS_AT_ONCE):
            yield await run_in_threadpool(_labelled, book, namespace, rows)


def _labelled(book: LabelBook, namespace: str, rows: Sequence[tuple[bytes, Row]]) -> bytes:
    labels = book.values(namespace, [row for _, row in rows])
    return b"".join(kept_row.with_label(line, labels.get(row)) for line, row in rows)
