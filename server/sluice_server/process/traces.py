"""Whether spans are sent, and the connection to what sends them.

Without a collector nothing of OpenTelemetry's SDK is imported and no thread is started.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sluice_server.inference.tracing import Span
from sluice_server.settings import ServeSettings


@contextmanager
def exporting(settings: ServeSettings) -> Iterator[Callable[[Span], None] | None]:
    """What takes spans, if there are to be any. At the end, the last spans get a moment to be sent."""
    if settings.tracing is None:
        yield None
        return
    from sluice_server.process.opentelemetry_sdk import Exporter  # noqa: PLC0415 - costs memory and time

    exporter = Exporter(
        {
            "service.instance.id": socket.gethostname(),  # the pod
            "sluice.model_deployment": settings.model_deployment,
            "sluice.revision": settings.revision,
            "ml.model.name": settings.model_name,
            "ml.model.version": settings.model_version,
        }
    )
    try:
        yield exporter.send
    finally:
        exporter.close()
