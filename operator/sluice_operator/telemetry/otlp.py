"""Whether traces are sent, as the standard OTEL_ variables say, and the connection to what sends them.

Without an endpoint nothing of OpenTelemetry is imported and no thread is started.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sluice_operator.telemetry import otlp_values
from sluice_operator.telemetry.tracing import Tracing


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether `environment` names a collector. Raises ValueError, with the variable, for what cannot be used."""
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter not in ("otlp", "none"):
        raise ValueError(f"OTEL_TRACES_EXPORTER: {exporter!r} is none of otlp, none")
    endpoint = otlp_values.first(environment, "ENDPOINT")
    if endpoint is None or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    otlp_values.check(environment)
    return True


@contextmanager
def traces(wanted: bool) -> Iterator[tuple[Tracing, ...]]:
    """What makes traces, if they are wanted. At the end, the last spans get a moment to be sent."""
    if not wanted:
        yield ()
        return
    from sluice_operator.telemetry.opentelemetry_sdk import Exporter  # noqa: PLC0415 - costs memory and time

    exporter = Exporter()
    try:
        yield (Tracing(exporter.send),)
    finally:
        exporter.close()
