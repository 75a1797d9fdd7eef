"""A collector on loopback: OTLP over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Receiver:
    """A collector: all requests that it got. A silent one reads requests, and answers when it is told to."""

    port: int
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, str]:
        """What the first spans are from, as far as it is text."""
        first = ExportTraceServiceRequest.FromString(self.bodies[0]).resource_spans[0].resource
        return {entry.key: entry.value.string_value for entry in first.attributes}

    def services(self) -> set[str]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        attributes = [
            entry for request in requests for of in request.resource_spans for entry in of.resource.attributes
        ]
        return {entry.value.string_value for entry in attributes if entry.key == "service.name"}


@contextmanager
def receiver(answers: threading.Event | None = None) -> Iterator[Receiver]:
    """A collector on loopback. It answers at once, or when `answers` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            if answers is not None:
                answers.wait()
            received.bodies.append(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        received = Receiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield received
        finally:
            if answers is not None:
                answers.set()
            server.shutdown()
            thread.join()
