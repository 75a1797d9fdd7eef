"""Sends spans to a collector by OTLP over HTTP. This module alone knows OpenTelemetry's SDK.

Spans wait in a bounded queue of the SDK, which drops them if the collector hangs: no request ever waits for it. They
are handed over complete, which costs a seventh of starting and ending each of them through a tracer. No global tracer
is set: FastAPI would make spans of its own.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from sluice_server.inference.tracing import MODEL_INFERENCE, Span

_CLOSING_SECONDS = 2.0
_SERVICE = "sluice-server"
_SCOPE = "sluice_server"
_LOGS_HEADERS = "opentelemetry.util.re"  # quotes a header that it cannot read, and headers may hold a token
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Exporter:
    """A connection to the collector that the OTEL_ variables of the process name.

    `attributes` say which pod and model all spans are from.
    """

    def __init__(self, attributes: Mapping[str, str]) -> None:
        logging.getLogger(_LOGS_HEADERS).setLevel(logging.ERROR)
        self._resource = _resource(attributes)
        self._scope = InstrumentationScope(_SCOPE, version("sluice"))
        with warnings.catch_warnings():  # that requests cannot guess encodings: nobody reads a text of the collector's
            warnings.filterwarnings("ignore", message="Unable to find acceptable character detection")
            self._processor = BatchSpanProcessor(OTLPSpanExporter())

    def send(self, span: Span) -> None:
        """Puts the span into the queue."""
        parent = None if span.parent is None else SpanContext(span.trace, span.parent, True, _SAMPLED)
        self._processor.on_end(
            ReadableSpan(
                MODEL_INFERENCE,
                SpanContext(span.trace, span.id, False, _SAMPLED),
                parent,
                self._resource,
                span.attributes,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
                start_time=span.start,
                end_time=span.end,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Sends what is in the queue, but waits only a moment for it."""
        closing = Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)


def _resource(attributes: Mapping[str, str]) -> Resource:
    """This pod, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES call it something else."""
    named = Resource(dict(attributes)).merge(Resource.create({SERVICE_VERSION: version("sluice")}))
    if str(named.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return named.merge(Resource({SERVICE_NAME: _SERVICE}))
    return named
