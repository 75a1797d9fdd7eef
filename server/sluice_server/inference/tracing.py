"""One span per traced request: `model_inference`. What sends spans is not known here.

The caller's trace context (W3C `traceparent`) is continued, and whether a request is traced is decided when it comes:
by the caller if it says so, else by chance. A request on which the model failed is traced in any case. No span holds
values of a request.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sluice_server import logs
from sluice_server.inference.rate_limits import RateLimits
from sluice_server.otlp_values import Sampling

MODEL_INFERENCE = "model_inference"
FAILURES_PER_SECOND = 100  # that are traced in any case: a model that always fails must not be slowed down by that
_LOW_HALF = 2**64 - 1  # of a trace id
_TRACEPARENT = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A request that is over. `trace`, `id` and `parent` are the numbers of OpenTelemetry; times are nanoseconds."""

    trace: int
    id: int
    parent: int | None
    start: int
    end: int
    failed: bool
    attributes: dict[str, str | int]


class Trace(msgspec.Struct, gc=False):
    """What is known of one request while it is answered; `rows` and `predictions` are counted by who reads them.

    `id` is that of the caller's trace, or a new one. `caller`: its header, if there was one that could be read.
    """

    id: int
    sampled: bool
    caller: re.Match[bytes] | None = None
    rows: int | None = None
    predictions: int | None = None
    error: str = ""

    @property
    def parent(self) -> int | None:
        """The caller's span."""
        return int(self.caller["span"], 16) if self.caller else None


class Tracing:
    """Decides which requests are traced, and gives their spans to `send`, which must not block.

    `model_path` is the file of the model, `columns` the number of columns of its rows.
    """

    def __init__(self, sampling: Sampling, model_path: str, columns: int, send: Callable[[Span], None]) -> None:
        self._sampling = sampling
        self._below = round(sampling.share * (_LOW_HALF + 1))  # as OpenTelemetry's sampler by trace id
        self._failures = RateLimits(FAILURES_PER_SECOND, FAILURES_PER_SECOND)
        self._model_path = model_path
        self._columns = columns
        self._send = send

    def begin(self, traceparent: bytes, probe: bool) -> Trace | None:
        """A request came; log records of it have its trace id from now on, if it is traced. A probe never is."""
        if probe:
            logs.trace_id.set("")
            return None
        caller = _context(traceparent) if traceparent else None
        trace = int(caller["trace"], 16) if caller else random.getrandbits(128)
        if caller and self._sampling.parent_based:
            sampled = bool(int(caller["flags"], 16) & 1)
        else:
            sampled = trace & _LOW_HALF < self._below
        logs.trace_id.set(f"{trace:032x}" if sampled else "")
        return Trace(trace, sampled, caller)

    def failed(self, trace: Trace, error: Exception) -> None:
        """The model failed on the request, which is traced for that reason alone."""
        trace.error = type(error).__name__
        if trace.sampled or self._failures.wait(b"") == 0:
            trace.sampled = True
            logs.trace_id.set(f"{trace.id:032x}")

    def end(self, trace: Trace, route: str, entry: str, correlation_id: str, code: int, seconds: float) -> None:
        """A traced request was answered with this status, or its client went away."""
        attributes: dict[str, Any] = {
            "ml.model.path": self._model_path,
            "ml.input.feature_count": trace.rows,
            "ml.input.feature_dim": None if trace.rows is None else self._columns,
            "ml.output.prediction_count": trace.predictions,
            "correlation.id": correlation_id,
            "http.request.method": "POST",
            "http.route": route,
            "http.response.status_code": code,
            "sluice.entry": entry,
            "error.type": trace.error or (str(code) if code >= 500 else None),
        }
        ended = time.time_ns()
        span = Span(
            trace.id,
            random.getrandbits(64) or 1,  # 0 is no id
            trace.parent,
            ended - round(seconds * 1e9),
            ended,
            code >= 500,
            {name: value for name, value in attributes.items() if value is not None},
        )
        self._send(span)


def _context(traceparent: bytes) -> re.Match[bytes] | None:
    """Trace, span and flags of the caller in hexadecimal; None if this is no W3C Trace Context."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or (found["version"] == b"00" and found["more"]):  # version 00 ends with its flags
        return None
    return found
