"""POST /predict: a bare ASGI callable in front of FastAPI, because matching a route costs more than a prediction.

Reads and checks the body, waits for the batcher, answers, counts. A client that goes away while its request waits
cancels it and is counted as 499; whatever the model raises is the model's fault and is counted as 500.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Send

from sluice_server.http.asgi import CLOSE, Headers, RequestHead, Unread, read_body, send_json
from sluice_server.inference.batching import Batcher, QueueFullError
from sluice_server.inference.metrics import Identity, Meter, Metrics, Silent
from sluice_server.inference.prediction_ids import MAX_ROWS, Keyring, Prediction, are_text, class_marks
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.inference.rows import PayloadReader, Rejected, Rows
from sluice_server.runtimes.output import Answer

logger = logging.getLogger("sluice.predict")

_SILENT = Silent()
_NOT_JSON = "the body must be JSON: send content-type: application/json and no content-encoding"


class Loaded:
    """A model that answered its example: how to ask it, and how its classes are spelt in prediction ids."""

    def __init__(self, batcher: Batcher, classes: tuple[Any, ...] | None) -> None:
        self.batcher = batcher
        self.classes = classes
        self.text = are_text(classes or ())
        self.marks = class_marks(classes or ())


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the front hands it over: `headers` go into every answer."""

    receive: Receive
    send: Send
    head: RequestHead
    entry: str
    headers: Headers


class PredictPath:
    """Answers predictions; `loaded` is set once the model is ready, before that the answer is 503."""

    def __init__(
        self,
        identity: Identity,
        reader: PayloadReader,
        metrics: Metrics,
        keyring: Keyring | None,
        log: PredictionLog,
        max_body: int,
    ) -> None:
        self.loaded: Loaded | None = None
        self._identity = identity
        self._reader = reader
        self._meters = metrics.meters
        self._keyring = keyring
        self._log = log
        self._max_body = max_body

    async def __call__(self, request: Request) -> None:
        meter = _SILENT if request.head.probe else self._meters[request.entry]
        meter.start()
        began = time.perf_counter()
        code = 500
        try:
            code = await self._respond(request, meter)
        except Exception:
            logger.exception("the model failed on a request")
            await send_json(request.send, 500, {"detail": "the model failed on this request"}, request.headers)
        finally:
            meter.finish(code, time.perf_counter() - began)

    async def _respond(self, request: Request, meter: Meter | Silent) -> int:
        loaded = self.loaded
        if loaded is None:
            return await _reject(request, Rejected(503, "no model is ready: /health/ready says why"))
        rows = await self._rows(request)
        if not isinstance(rows, Rejected | Unread):
            answer = await _answer(loaded.batcher, rows, request.receive)
            if isinstance(answer, Answer):
                return await self._send(request, meter, loaded, rows, answer)
            rows = answer
        return 499 if isinstance(rows, Unread) else await _reject(request, rows)

    async def _rows(self, request: Request) -> Rows | Rejected | Unread:
        head = request.head
        if not _is_json(head.content_type) or head.encoding not in ("", "identity"):
            return Rejected(415, _NOT_JSON)
        too_large = Rejected(413, f"the body is larger than {self._max_body} bytes: send fewer rows per request")
        if head.length is not None and head.length > self._max_body:
            return too_large
        match await read_body(request.receive, self._max_body):
            case Unread.TOO_LARGE:
                return too_large
            case Unread() as gone:
                return gone
            case body:
                return self._reader.read(body)

    async def _send(self, request: Request, meter: Meter | Silent, loaded: Loaded, rows: Rows, answer: Answer) -> int:
        indexes = [] if answer.classes is None else answer.classes.tolist()
        content = {
            "predictions": answer.values.tolist(),
            "probabilities": None if answer.probabilities is None else answer.probabilities.tolist(),
            "model_version": self._identity.version,
            "prediction_id": None if request.head.probe else self._prediction_id(request.entry, loaded, indexes),
        }
        await send_json(request.send, 200, content, request.headers)
        meter.predicted(indexes)
        self._log.write(rows, content)
        return 200

    def _prediction_id(self, entry: str, loaded: Loaded, indexes: list[int]) -> str | None:
        if self._keyring is None or not 0 < len(indexes) <= MAX_ROWS:
            return None
        marks = b"".join([loaded.marks[index] for index in indexes])
        return self._keyring.issue(
            Prediction(self._identity.revision, entry, int(time.time()), secrets.token_bytes(8), loaded.text, marks)
        )


async def _answer(batcher: Batcher, rows: Rows, receive: Receive) -> Answer | Rejected | Unread:
    """The model's answer, unless the client goes away first or too much is waiting."""
    try:
        answer = batcher.submit(rows)
    except QueueFullError as full:
        return Rejected(503, f"{full} rows wait for the model already: send again later, or add replicas")
    gone = asyncio.ensure_future(receive())  # after the body, the next message is the disconnect
    gone.add_done_callback(lambda _: answer.cancel())
    try:
        return await answer
    except asyncio.CancelledError:
        if gone.done():
            return Unread.GONE
        raise
    finally:
        gone.cancel()


async def _reject(request: Request, rejected: Rejected) -> int:
    unread = (CLOSE,) if rejected.code in (413, 415, 503) else ()  # the rest of the body is not worth reading
    await send_json(request.send, rejected.code, {"detail": rejected.detail}, (*request.headers, *unread))
    return rejected.code


def _is_json(content_type: str) -> bool:
    if content_type in ("application/json", ""):
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
