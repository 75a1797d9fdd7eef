"""Rows of predictions for retraining: `/predictions/{name}`, lines of JSON that pods send and people read by the day.

Each request of a pod is a file, called by what is in it: the same rows that come again, because an answer was lost,
replace themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from sluice_store.files import Files, FilesError
from sluice_store.http.access import Access
from sluice_store.http.errors import bad, name_of, once, unavailable, whole
from sluice_store.labels.label_book import LabelBook
from sluice_store.predictions import kept_row
from sluice_store.space import NoSpaceError, Space

COLLECTION = "predictions"
CONTENT_TYPE = "application/x-ndjson"
MAX_BODY = 2 * 2**20
_LABELS_AT_ONCE = 500
_DAY = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_UNREACHABLE = "the files of the store cannot be reached"


def routes(files: Files, book: LabelBook, access: Access, space: Space) -> APIRouter:
    """POST, and GET of the days and of one day."""
    router = APIRouter(prefix=f"/{COLLECTION}/{{name}}", tags=[COLLECTION])

    @router.post("", status_code=201, summary="Keep rows of predictions of a ModelDeployment, as lines of JSON")
    async def post(name: str, request: Request) -> dict[str, int]:
        namespace = access.namespace(request)
        folder = f"{COLLECTION}/{namespace}/{name_of(name)}/{datetime.now(UTC):%Y-%m-%d}"
        body = await whole(request, MAX_BODY)
        rows = await run_in_threadpool(_count, body)
        await _write(files, space, namespace, f"{folder}/{hashlib.sha256(body).hexdigest()[:32]}.jsonl", body)
        return {"rows": rows}

    @router.get("", summary="The rows that came on a day (UTC) with their labels, or the days without one")
    async def get(name: str, request: Request, day: str = "") -> Response:
        namespace = access.namespace(request)
        folder = f"{COLLECTION}/{namespace}/{name_of(name)}"
        try:
            if not day:
                return JSONResponse({"days": await files.folders(folder)})
            if not _DAY.fullmatch(day):
                raise bad(f"{day[:100]!r} is no day: write it as 2026-01-31")
            paths = sorted([entry.path async for entry in files.entries(f"{folder}/{day}")])
        except FilesError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return StreamingResponse(_lines(files, book, namespace, paths), media_type=CONTENT_TYPE)

    return router


def _count(body: bytes) -> int:
    try:
        body.decode()  # what is kept as it came may not be text
        return len(kept_row.read(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad(f"a line does not fit: {str(error)[:300]}") from None


async def _write(files: Files, space: Space, namespace: str, path: str, body: bytes) -> None:
    kept, replaced = False, 0
    try:
        replaced = await files.size(path) or 0
        space.come(namespace, len(body), replaced=replaced)
        await files.write(path, once(body))
        kept = True
    except NoSpaceError as error:
        raise bad(
            f"{error} for rows of predictions: keep a smaller share (SLUICE_KEEP_PREDICTIONS), or for a shorter time "
            "(SLUICE_STORE_PREDICTION_MAX_AGE), or set SLUICE_STORE_MAX_PREDICTION_BYTES higher",
            413,
        ) from None
    except FilesError as error:
        raise unavailable(_UNREACHABLE, error) from None
    finally:
        space.end(namespace, len(body), kept=kept, replaced=replaced)


async def _lines(files: Files, book: LabelBook, namespace: str, paths: list[str]) -> AsyncIterator[bytes]:
    """The lines of the files, which are small, with their labels. An answer that fails on the way is cut."""
    for path in paths:
        found = await files.read(path)
        if found is None:  # its time is over
            continue
        body = b"".join([chunk async for chunk in found.chunks])
        yield await run_in_threadpool(_labelled, book, namespace, body)


def _labelled(book: LabelBook, namespace: str, body: bytes) -> bytes:
    rows = kept_row.read(body)
    labels: dict[tuple[str, int], str] = {}
    for start in range(0, len(rows), _LABELS_AT_ONCE):
        part = rows[start : start + _LABELS_AT_ONCE]
        labels |= book.values(namespace, [(row.prediction, row.row) for row, _ in part])
    return b"".join(kept_row.with_label(line, labels.get((row.prediction, row.row))) for row, line in rows)
