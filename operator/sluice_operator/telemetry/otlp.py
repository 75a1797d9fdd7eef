"""Whether traces are sent, as the standard OTEL_ variables say, and the connection to what sends them.

Without an endpoint nothing of OpenTelemetry is imported and no thread is started.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sluice_operator.api import urls
from sluice_operator.telemetry.tracing import Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether `environment` names a collector. Raises ValueError, with the variable, for what cannot be used."""
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter not in ("otlp", "none"):
        raise ValueError(f"OTEL_TRACES_EXPORTER: {exporter!r} is none of otlp, none")
    endpoint = _first(environment, _ENDPOINTS)
    if endpoint is None or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    variable, address = endpoint
    try:
        urls.plain(address)
    except ValueError as error:
        raise ValueError(f"{variable}: {error}") from error
    named = _first(environment, _PROTOCOLS)
    if named is not None and named[1] != _PROTOCOL:
        raise ValueError(f"{named[0]}: {named[1]!r} is not {_PROTOCOL}, which collectors take at port 4318")
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


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    """Name and value of the first of these variables that is set and not empty."""
    return next(((name, environment[name]) for name in names if environment.get(name)), None)
