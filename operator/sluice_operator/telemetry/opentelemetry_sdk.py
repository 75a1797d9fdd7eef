"""Sends spans to a collector by OTLP over HTTP. This module alone knows OpenTelemetry.

Spans wait in a bounded queue of the SDK, which drops them if the collector hangs: the operator never waits for it.
"""

import logging
from datetime import datetime
from importlib.metadata import version
from threading import Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from sluice_operator.telemetry.spans import Span

_CLOSING_SECONDS = 2.0
_SERVICE = "sluice-operator"
_LOGS_HEADERS = "opentelemetry.util.re"  # quotes a header that it cannot read, and headers may hold a token


class _GivenIds(IdGenerator):
    """Ids that follow from the run instead of from chance."""

    def __init__(self) -> None:
        self.trace, self.span = 0, 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class Exporter:
    """A connection to the collector that the OTEL_ variables of the process name."""

    def __init__(self) -> None:
        logging.getLogger(_LOGS_HEADERS).setLevel(logging.ERROR)
        self._ids = _GivenIds()
        self._provider = TracerProvider(resource=_resource(), id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("sluice_operator", version("sluice"))

    def send(self, span: Span) -> None:
        """Put the span into the queue. Call it in one thread only."""
        self._ids.trace, self._ids.span = span.trace, span.id
        started = self._tracer.start_span(
            span.name,
            self._parent(span),
            attributes=span.attributes,
            links=[Link(self._context(span.trace, linked)) for linked in span.links],
            start_time=_nanoseconds(span.start),
        )
        for event in span.events:
            started.add_event(event.name, event.attributes, _nanoseconds(event.at))
        if span.failed:
            started.set_status(Status(StatusCode.ERROR))
        started.end(_nanoseconds(span.end))

    def close(self) -> None:
        """Send what is in the queue, but wait only a moment for it."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)

    def _parent(self, span: Span) -> Context:
        if span.parent is None:
            return Context()
        return set_span_in_context(NonRecordingSpan(self._context(span.trace, span.parent)), Context())

    def _context(self, trace: int, span: int) -> SpanContext:
        """A span of this trace, which is sampled if the trace is: the span of the run may be sent later."""
        decision = self._provider.sampler.should_sample(None, trace, "run").decision
        flags = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        return SpanContext(trace, span, is_remote=True, trace_flags=flags)


def _resource() -> Resource:
    """The operator, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES call it something else."""
    named = Resource.create({SERVICE_VERSION: version("sluice")})
    if str(named.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return named.merge(Resource({SERVICE_NAME: _SERVICE}))
    return named


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
