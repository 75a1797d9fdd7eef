"""The endpoint of predictions: a bare ASGI callable before FastAPI, because matching a route costs more than a model.

Reads the body, has the dialect parse it, the data plane predict and the dialect write, and counts. What is large is
parsed and written aside. A client that goes away while its request waits cancels it and is counted as 499;
whatever the model raises is the model's fault and is counted as the dialect's status for a failure.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from functools import partial

from sluice_server import logs
from sluice_server.http.asgi import BODY_SECONDS, CLOSE, RequestHead, Unread, read_body, read_whole_body
from sluice_server.http.dialects import CLIENT_GONE, OK
from sluice_server.http.dialects.port import Body, Dialect, Parsed
from sluice_server.http.intake import SMALL_BODY, Intake
from sluice_server.http.request import Reply, Request, Stopwatch, WholeRequest
from sluice_server.inference.data_plane import NOT_READY, DataPlane
from sluice_server.inference.feature_bins import FeatureBins
from sluice_server.inference.kept_rows import Keeper
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.inference.rate_limits import PodLimits
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.inference.request_metrics import Meter, Silent
from sluice_server.inference.tracing import Trace, Tracing
from sluice_server.model.schema import Rows

logger = logging.getLogger("sluice.predict")

_SILENT = Silent()
_GONE = Reply(CLIENT_GONE)
_UNREAD = invalid(("body",), "value_error", "the body cannot be read")
_TOO_SLOW = Rejection(Cause.TOO_SLOW, f"the body did not come within {BODY_SECONDS:g} s")
_FAILED = Rejection(Cause.FAILED, "the model failed on this request")
STOPPING = Rejection(Cause.OVERLOADED, "the pod is being stopped, and had no time for this request: send it again")
_LATER = (Cause.NOT_READY, Cause.OVERLOADED, Cause.LIMITED, Cause.CROWDED)  # after these another try may succeed
_FEW_CELLS = 10_000  # what has more is written aside, so that all other requests are answered meanwhile
# After these the rest of the body is not worth reading.
_CLOSING = (
    *(Cause.TOO_LARGE, Cause.TOO_SLOW, Cause.UNREADABLE, Cause.NOT_READY, Cause.OVERLOADED),
    Cause.CROWDED,
)


class PredictEndpoint:
    """Answers predictions in one dialect; `intake` is that of all endpoints.

    Without `limits` all may ask as they like; without `tracing` there are no traces, without
    `feature_bins` nobody counts what is in the rows, and without `keeper` no rows are kept.
    """

    def __init__(
        self,
        dialect: Dialect,
        data_plane: DataPlane,
        metrics: Metrics,
        log: PredictionLog,
        intake: Intake,
        limits: PodLimits | None = None,
        tracing: Tracing | None = None,
        feature_bins: FeatureBins | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._dialect = dialect
        self._data_plane = data_plane
        self._meters = metrics.meters
        self._log = log
        self._intake = intake
        self._limits = limits
        self._tracing = tracing
        self._feature_bins = feature_bins
        self._keeper = keeper
        self._route = dialect.paths[0]
        self._failed_code = dialect.status[Cause.FAILED]
        self._unreadable = Rejection(Cause.UNREADABLE, f"the body must be {dialect.format} and no content-encoding")
        self._too_large = Rejection(
            Cause.TOO_LARGE, f"the body is larger than {intake.max_body} bytes: send fewer rows per request"
        )
        self._unread = {
            Unread.TOO_LARGE: self._too_large,
            Unread.TOO_SLOW: _TOO_SLOW,
            Unread.NO_ROOM: intake.no_room,
        }

    async def __call__(self, request: Request) -> None:
        head = request.head
        meter = self._meter(request)
        if self._limits is not None and not head.admitted:
            wait, rejection = self._limits.wait(head.client, head.probe)
            if wait:
                meter.limited()
                await self._rejected(request, rejection, math.ceil(wait)).send(request)
                return
        meter.start()
        trace = self._begin_trace(head)
        watch = Stopwatch()
        reply = Reply(self._failed_code)  # of what is ended before it has one
        try:
            reply = await self._reply_or_failure(request, trace, watch)
            watch.stop()
            await reply.send(request)
        finally:
            self._over(request, meter, trace, reply.code, watch.stop(), reply.rows, reply.prediction)

    async def _reply_or_failure(self, request: Request, trace: Trace | None, watch: Stopwatch) -> Reply:
        try:
            return await self._reply(request, trace, watch)
        except asyncio.CancelledError:  # the process ends, and has waited for this request as long as it may
            return self._rejected(request, STOPPING)
        except Exception as error:
            if self._tracing and trace:
                self._tracing.failed(trace, error)
            logger.exception("the model failed on a request")
            return self._rejected(request, _FAILED)

    async def _reply(self, request: Request, trace: Trace | None, watch: Stopwatch) -> Reply:
        """What the request gets. Raises whatever the model raises."""
        if not self._data_plane.ready:
            return self._rejected(request, NOT_READY)
        head = request.head
        if refused := self._refused(head):
            return self._rejected(request, refused)
        parsed = await self._read(request, watch)
        if parsed is None or isinstance(parsed, Rejection):
            return _GONE if parsed is None else self._rejected(request, parsed)
        rows = parsed.rows
        if trace:
            trace.rows = len(rows)
        prediction = await self._data_plane.predict(rows, request.entry, head.probe, request.receive, parsed.params)
        if prediction is None or isinstance(prediction, Rejection):
            return _GONE if prediction is None else self._rejected(request, prediction)
        if prediction.output.is_open or prediction.output.cells > _FEW_CELLS:  # before all bodies: it is nearly done
            aside = self._intake.aside
            answer = await aside.run(request.receive, 0, self._dialect.write, prediction, parsed.echo)
        else:
            answer = self._dialect.write(prediction, parsed.echo)
        if answer is None:
            return _GONE
        return Reply(OK, answer, (*request.headers, *answer.headers), rows, prediction)

    async def _read(self, request: Request, watch: Stopwatch) -> Parsed | Rejection | None:
        """What a body says, which is forgotten then; None if its client went away first."""
        head, receive = request.head, request.receive
        with self._intake.place() as place:
            body = await (read_whole_body if head.whole else read_body)(receive, self._intake.max_body, place)
            if isinstance(body, Unread):
                return None if body is Unread.GONE else self._unread[body]
            watch.start()
            if len(body) <= SMALL_BODY:
                return self._parse(body, head)
            if self._intake.aside.is_full:
                return self._intake.no_room
            return await self._intake.aside.run(receive, len(body), self._parse, body, head)

    @property
    def free(self) -> bool:
        """Whether the model could be asked at once."""
        return self._data_plane.ready and self._data_plane.answers_at_once(1)

    def at_once(self, request: WholeRequest) -> bool:
        """Has a request answered in the next turn of the loop, without a task of its own.

        False, and nothing has happened, if that is not possible: it has a fault, or its rows would have to wait. Where
        the model refuses or fails later, it is handed on: the usual way finds that again, and says it.
        """
        began = time.perf_counter()
        head, body = request.head, request.exchange.body
        if len(body) > min(SMALL_BODY, self._intake.max_body) or self._refused(head):
            return False
        parsed = self._parse(body, head)
        if isinstance(parsed, Rejection) or parsed.params or not self._data_plane.answers_at_once(len(parsed.rows)):
            return False
        if len(parsed.rows) * self._data_plane.cells_per_row > _FEW_CELLS:
            return False
        if self._limits is not None and self._limits.wait(head.client, head.probe)[0]:
            return False
        self._data_plane.predict_at_once(
            parsed.rows, request.entry, head.probe, partial(self._answer, request, parsed, began)
        )
        return True

    def _answer(self, request: WholeRequest, parsed: Parsed, began: float, prediction: Prediction | Exception) -> None:
        if isinstance(prediction, Exception):
            request.exchange.hand_on()
            return
        logs.correlation_id.set(request.head.correlation_id)
        trace = self._begin_trace(request.head)
        try:
            body = self._dialect.write(prediction, parsed.echo)
        except Exception:
            request.exchange.hand_on()
            return
        if trace:
            trace.rows = len(parsed.rows)
        meter = self._meter(request)
        meter.start()
        length = (b"content-type", body.content_type), (b"content-length", b"%d" % len(body.content))
        seconds = time.perf_counter() - began
        request.exchange.answer(body.content, (*length, *request.headers, *body.headers))
        self._over(request, meter, trace, OK, seconds, parsed.rows, prediction)

    def _meter(self, request: Request | WholeRequest) -> Meter | Silent:
        return _SILENT if request.head.probe else self._meters[request.entry]

    def _begin_trace(self, head: RequestHead) -> Trace | None:
        return self._tracing.begin(head.traceparent, head.probe) if self._tracing else None

    def _over(
        self,
        request: Request | WholeRequest,
        meter: Meter | Silent,
        trace: Trace | None,
        code: int,
        seconds: float,
        rows: Rows | None,
        prediction: Prediction | None,
    ) -> None:
        """Counts, traces and keeps what there is of a request that has its answer, which took so many seconds."""
        meter.finish(code, seconds)
        if prediction is not None:
            meter.predicted(prediction.class_indexes)
        if self._tracing and trace and trace.sampled:
            trace.predictions = None if prediction is None else len(prediction.output.values)
            self._tracing.end(trace, self._route, request.entry, request.head.correlation_id, code, seconds)
        if rows is not None and prediction is not None and not request.head.probe:
            self._note(rows, prediction)

    def _note(self, rows: Rows, prediction: Prediction) -> None:
        """What is kept of an answered request. It was answered, so whatever fails here is no failure of the model."""
        try:
            self._log.write(rows, prediction, self._data_plane.classes)
            if self._feature_bins is not None:
                self._feature_bins.add(rows)
            if self._keeper is not None and prediction.kept_as:
                self._keeper.keep(rows, prediction, self._data_plane.classes)
        except Exception:
            logger.exception("a prediction could not be logged, counted by its features, or kept")

    def _parse(self, body: bytes, head: RequestHead) -> Parsed | Rejection:
        """What the dialect makes of a body; where it fails itself, that is no failure of the model."""
        try:
            return self._dialect.parse(body, head.content_type, head.json_bytes)
        except Exception:
            logger.exception("a body could not be read")
            return _UNREAD

    def _refused(self, head: RequestHead) -> Rejection | None:
        """Why a body is not even read."""
        if not self._dialect.reads(head.content_type) or head.encoding not in ("", "identity"):
            return self._unreadable
        if head.length is not None and head.length > self._intake.max_body:
            return self._too_large
        return None

    def _rejected(self, request: Request, rejection: Rejection, wait: int = 1) -> Reply:
        """`wait`: seconds, if another try may succeed. How long a model loads or a queue is full, nobody knows."""
        headers = (*request.headers, CLOSE) if rejection.cause in _CLOSING else request.headers
        if rejection.cause in _LATER:
            headers = (*headers, (b"retry-after", str(wait).encode()))
        body = Body(self._dialect.write_rejection(rejection))
        return Reply(self._dialect.status[rejection.cause], body, headers)
