"""POST /feedback: the true labels for an earlier prediction.

The body is read by msgspec and not by FastAPI's own validation, which makes an object and an error of each part of
whatever was sent: a body of some megabytes would stop all other requests for seconds.
"""

from __future__ import annotations

import re
import time
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from sluice_server.http import json_body
from sluice_server.http.aside import Aside
from sluice_server.http.dialects import CLIENT_GONE
from sluice_server.http.intake import SMALL_BODY, Intake
from sluice_server.inference.feedback import Feedback
from sluice_server.inference.labels import TooManyPendingError
from sluice_server.inference.prediction_ids import MAX_ROWS, FeedbackError

_NO_ID = (
    f"null: feedback is for predictions of at most {MAX_ROWS} rows that are classes, or with SLUICE_FEEDBACK_TOLERANCE "
    "one number for each row; probes take none"
)
_COME_AGAIN = {"retry-after": "1", "connection": "close"}
_SHOWN = 300  # characters of a message, or of a name
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_INDEX = re.compile(r"[0-9]{1,9}")
_FIELD = re.compile(r"(unknown|required) field `(?P<name>[^`]*)`")
_Label: TypeAlias = bool | int | float | str


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """The true labels for an earlier prediction."""

    prediction_id: Annotated[
        str | None, msgspec.Meta(description="The `prediction_id` of the /predict answer, unchanged.")
    ]
    label: Annotated[
        _Label | None, msgspec.Meta(description="The true class or number, for a prediction of one row.")
    ] = None
    labels: Annotated[
        list[_Label | None] | None,
        msgspec.Meta(description="The true classes or numbers, one per row; null where the truth is not known."),
    ] = None


class FeedbackAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the labels: counted, how many of these were correct, and came for a row that had one already.

    Pending ones wait for the store, and count later if their row has none. Refused ones were not taken by the store,
    and never count. Without a store there are neither.
    """

    counted: int
    correct: int
    repeats: int
    pending: int = 0
    refused: int = 0


_DECODER = msgspec.json.Decoder(FeedbackBody)


def add_feedback(app: FastAPI, feedback: Feedback | None, intake: Intake, key_file: str) -> None:
    """The route; without `feedback` it says that there is no key at `key_file`."""

    @app.post("/feedback", summary="Count true labels for an earlier prediction", openapi_extra=_description())
    async def count(request: Request) -> JSONResponse:
        if feedback is None:
            return JSONResponse({"detail": f"feedback is off: this pod has no key at {key_file}"}, 503)
        kind, encoding = (request.headers.get(f"content-{what}", "") for what in ("type", "encoding"))
        if not json_body.is_json(kind) or encoding not in ("", "identity"):
            return JSONResponse({"detail": f"the body must be {json_body.CONTENT_TYPE} and no content-encoding"}, 415)
        body = await request.body()
        if len(body) > SMALL_BODY and intake.aside.is_full:
            return JSONResponse({"detail": intake.no_room.message}, 429, _COME_AGAIN)
        try:
            given = await _given(body, request, intake.aside)
            if given is None:  # nobody waits for the answer
                return JSONResponse({}, CLIENT_GONE)
            if given.prediction_id is None:
                raise FeedbackError(("prediction_id",), _NO_ID)
            counted = await feedback.count(given.prediction_id, given.label, given.labels, time.time())
        except msgspec.ValidationError as error:
            return _unprocessable("value_error", *_located(str(error)))
        except json_body.NOT_JSON as error:
            return _unprocessable("json_invalid", (), json_body.why(error, body))
        except FeedbackError as error:
            return _unprocessable("value_error", error.location, str(error))
        except TooManyPendingError:
            detail = "too many labels wait for the store, which does not answer: send this one again later"
            return JSONResponse({"detail": detail}, 503, {"retry-after": "10"})
        answer = FeedbackAnswer(counted.counted, counted.correct, counted.repeats, counted.pending, counted.refused)
        return JSONResponse(msgspec.to_builtins(answer), 202 if counted.pending else 200)


def decode(body: bytes) -> FeedbackBody:
    """What a body says; raises NOT_JSON."""
    return json_body.decode(_DECODER, body)


async def _given(body: bytes, request: Request, aside: Aside) -> FeedbackBody | None:
    """What a body says; None if its client went away before it was read. Raises NOT_JSON."""
    return decode(body) if len(body) <= SMALL_BODY else await aside.run(request.receive, len(body), decode, body)


def _unprocessable(kind: str, location: tuple[str | int, ...], message: str) -> JSONResponse:
    """One fault in FastAPI's shape."""
    return JSONResponse({"detail": [{"type": kind, "loc": ["body", *location], "msg": message[:_SHOWN]}]}, 422)


def _located(message: str) -> tuple[tuple[str | int, ...], str]:
    """The place that msgspec names in a message, and the message without it."""
    place, text = _PLACE.search(message), _PLACE.sub("", message)
    parts = re.findall(r"[^.\[\]]+", place["path"]) if place else []
    if field := _FIELD.search(text):
        parts.append(field["name"])
    return tuple(int(part) if _INDEX.fullmatch(part) else part[:_SHOWN] for part in parts), text


def _description() -> dict[str, Any]:
    """Body and answers in the OpenAPI document."""
    (body, answer), parts = msgspec.json.schema_components((FeedbackBody, FeedbackAnswer), ref_template="{name}")
    responses = {
        "200": {"description": "What became of the labels.", "content": _json(parts[answer["$ref"]])},
        "202": {"description": "Some labels are pending: the store does not answer. They are lost if this pod is."},
        "413": {"description": "The body is over its limit."},
        "415": {"description": "The body is not JSON, or is compressed."},
        "422": {"description": "The id or a label cannot be counted; `detail` names the field. Nothing was counted."},
        "429": {"description": "Too many bodies are here already; `Retry-After` says how many seconds to wait."},
        "503": {"description": "This pod has no key for prediction ids, or too many labels wait for the store."},
    }
    return {"requestBody": {"required": True, "content": _json(parts[body["$ref"]])}, "responses": responses}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
