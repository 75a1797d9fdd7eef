"""Whether traces are wanted, and that nothing is paid for them if not."""

import json
import subprocess
import sys

import pytest

from sluice_operator.telemetry import otlp

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring.svc:4318"}
SECRET = "s3cret-canary"
START = """
import json, sys, threading
import sluice_operator.__main__
from sluice_operator.telemetry import otlp
with otlp.traces(otlp.is_wanted({})):
    imported = sorted(name for name in sys.modules if name.startswith("opentelemetry"))
    print(json.dumps([imported, threading.active_count()]))
"""


def test_without_an_endpoint_nothing_is_imported_and_no_thread_is_started() -> None:
    """The operator then pays neither memory nor time for traces."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], 1]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "sluice"}, False),
        (COLLECTOR, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector:4318/v1/traces"}, True),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**COLLECTOR, "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_traces_are_wanted_where_an_endpoint_is_set(environment: dict[str, str], wanted: bool) -> None:
    """By the standard variables, which also switch them off again."""
    assert otlp.is_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{SECRET}@collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://collector:4318?token={SECRET}"),
        ("OTEL_TRACES_SAMPLER", "bogus"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variable: str, value: str) -> None:
    """At the start and not in silence, and without showing a password."""
    with pytest.raises(ValueError, match=f"^{variable}: ") as refused:
        otlp.is_wanted({**COLLECTOR, variable: value})
    assert SECRET not in str(refused.value)
