"""Labels: `POST /labels` counts those that are new, `GET /labels` gives the totals of the namespace."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from sluice_store.http.access import Access
from sluice_store.http.bodies import Bodies
from sluice_store.http.errors import bad, decoded, unavailable
from sluice_store.http.metrics import Metrics
from sluice_store.http.readers import Readers, Streamed
from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_book import LabelBook, LabelsError
from sluice_store.labels.label_space import LabelsFullError

MAX_LABELS = 1_000  # of one request
_MAX_BODY = 2**19
_UNREACHABLE = "the database of the store cannot be reached"
_FULL = (
    "send these again later, when old ones are forgotten, or set SLUICE_STORE_MAX_LABEL_BYTES higher, or "
    "SLUICE_STORE_LABEL_MAX_AGE lower (pods accept labels for seven days)"
)


class LabelsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some labels."""

    labels: Annotated[list[Label], msgspec.Meta(max_length=MAX_LABELS)]


class LabelsAnswer(msgspec.Struct, frozen=True):
    """`new`: for each label of the request, in its order, whether it counted."""

    new: list[bool]
    repeats: int
    expired: int


_DECODER = msgspec.json.Decoder(LabelsBody)
_JSON = "application/json"


def routes(book: LabelBook, access: Access, metrics: Metrics, bodies: Bodies, readers: Readers) -> APIRouter:
    """POST and GET."""
    router = APIRouter(prefix="/labels", tags=["labels"])

    @router.post("", summary="Count labels, each once", response_class=Response)
    async def post(request: Request) -> Response:
        namespace = access.namespace(request)
        async with bodies.whole(request, namespace, _MAX_BODY) as body:
            labels = decoded(body, _DECODER).labels
            try:
                counted = await run_in_threadpool(book.count, namespace, labels, time.time())
            except LabelsFullError as error:
                raise bad(f"{error}: {_FULL}", 507) from None
            except LabelsError as error:
                raise unavailable(_UNREACHABLE, error) from None
        metrics.labels(sum(counted.new), counted.repeats, counted.expired)
        answer = LabelsAnswer(counted.new, counted.repeats, counted.expired)
        return Response(msgspec.json.encode(answer), media_type=_JSON)

    @router.get("", summary="What was counted so far, by revision", response_class=Streamed)
    async def get(request: Request) -> Streamed:
        namespace = access.namespace(request)
        with readers.turn(namespace) as turn:
            try:
                page = await run_in_threadpool(book.totals, namespace)
            except LabelsError as error:
                raise unavailable(_UNREACHABLE, error) from None
            return Streamed(_totals(book, namespace, page), turn.pop_all(), _JSON)

    return router


async def _totals(book: LabelBook, namespace: str, page: list[Totals]) -> AsyncIterator[bytes]:
    """All pages from this one on, which are never in memory together. An answer that fails on the way is cut."""
    yield b'{"totals":['
    before = b""
    while page:
        yield before + b",".join(map(msgspec.json.encode, page))
        before, last = b",", page[-1]
        page = await run_in_threadpool(book.totals, namespace, (last.model_deployment, last.revision, last.entry))
    yield b"]}"
