"""Labels: `POST /labels` counts those that are new, `GET /labels` gives the totals of the namespace."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from sluice_store.http.access import Access
from sluice_store.http.errors import decoded, unavailable, whole
from sluice_store.http.metrics import Metrics
from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_book import LabelBook, LabelsError

MAX_LABELS = 1_000  # of one request
_MAX_BODY = 2**19
_UNREACHABLE = "the database of the store cannot be reached"


class LabelsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some labels."""

    labels: Annotated[list[Label], msgspec.Meta(max_length=MAX_LABELS)]


class LabelsAnswer(msgspec.Struct, frozen=True):
    """`new`: for each label of the request, in its order, whether it counted."""

    new: list[bool]
    repeats: int
    expired: int


class TotalsAnswer(msgspec.Struct, frozen=True):
    """The totals of a namespace."""

    totals: list[Totals]


_DECODER = msgspec.json.Decoder(LabelsBody)
_JSON = "application/json"


def routes(book: LabelBook, access: Access, metrics: Metrics) -> APIRouter:
    """POST and GET."""
    router = APIRouter(prefix="/labels", tags=["labels"])

    @router.post("", summary="Count labels, each once", response_class=Response)
    async def post(request: Request) -> Response:
        namespace = access.namespace(request)
        body = decoded(await whole(request, _MAX_BODY), _DECODER)
        try:
            counted = await run_in_threadpool(book.count, namespace, body.labels, time.time())
        except LabelsError as error:
            raise unavailable(_UNREACHABLE, error) from None
        metrics.labels(sum(counted.new), counted.repeats, counted.expired)
        answer = LabelsAnswer(counted.new, counted.repeats, counted.expired)
        return Response(msgspec.json.encode(answer), media_type=_JSON)

    @router.get("", summary="What was counted so far, by revision", response_class=Response)
    async def get(request: Request) -> Response:
        namespace = access.namespace(request)
        try:
            totals = await run_in_threadpool(book.totals, namespace)
        except LabelsError as error:
            raise unavailable(_UNREACHABLE, error) from None
        return Response(msgspec.json.encode(TotalsAnswer(totals)), media_type=_JSON)

    return router
