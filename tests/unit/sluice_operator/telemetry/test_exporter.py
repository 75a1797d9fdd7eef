"""Traces as a collector gets them: OTLP over real HTTP, on loopback.

Each test is its own process, as the SDK reads the environment of its process and starts threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.unit.otlp_receiver import Receiver, receiver

ROOT = Path(__file__).parents[4]
SECRET = "s3cret-canary"
OPERATOR = """
import os, sys
from sluice_operator import logs
from sluice_operator.telemetry import otlp
from tests.unit.sluice_operator.telemetry.runs import listened, roll_out, serving

logs.configure("debug")
world = serving()
with otlp.traces(otlp.is_wanted(os.environ)) as tracing, logs.about("models", "iris"):  # as the work queue does
    for restarted in range(2):  # the second process sends the run again
        listened(world, *tracing)
    roll_out(world, fails="fails" in sys.argv)
print(world.status.run.id)
"""


def operate(port: int, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """An operator rolls out version 2, sends its traces to this port, prints the id of the run, and ends."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    command = [sys.executable, "-c", OPERATOR, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def rolled_back() -> Iterator[tuple[Receiver, str]]:
    """A run that failed at its second step, as a collector got it, and the log of the operator."""
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}"}
    with receiver() as received:
        done = operate(received.port, "fails", **variables)
        yield received, done.stdout + done.stderr


def test_one_run_is_one_trace_with_a_span_for_each_phase_and_weight(rolled_back: tuple[Receiver, str]) -> None:
    """Each parent is in the trace, and the span of the run has none."""
    (trace,) = {span.trace_id for span in rolled_back[0].spans() if span.name == "RollingBack"}
    spans = {span.span_id: span for span in rolled_back[0].spans() if span.trace_id == trace}
    assert sorted(span.name for span in spans.values()) == [
        "RollingBack", "Starting", "Stepping", "run", "weight", "weight",
    ]  # fmt: skip
    assert [span.name for span in spans.values() if not span.parent_span_id] == ["run"]
    assert all(span.parent_span_id in spans for span in spans.values() if span.parent_span_id)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans.values())


def test_the_verdict_is_an_event_and_a_link(rolled_back: tuple[Receiver, str]) -> None:
    """The phase that follows from a verdict links to the weight at which it was reached."""
    spans = rolled_back[0].spans()
    (back,) = (span for span in spans if span.name == "RollingBack")
    (link,) = back.links
    (failed,) = (span for span in spans if span.span_id == link.span_id)
    (event,) = failed.events
    attributes = {entry.key: entry.value.string_value for entry in event.attributes}
    assert attributes == {"sluice.verdict": "Fail", "sluice.reason": "ErrorRateAboveLimit"}
    (run,) = (span for span in spans if span.name == "run" and span.trace_id == back.trace_id)
    assert run.status.code == Status.STATUS_CODE_ERROR
    assert rolled_back[0].services() == {"sluice-operator"}


def test_a_header_is_sent_and_shown_nowhere(rolled_back: tuple[Receiver, str]) -> None:
    """It may hold a token. One that is written wrongly is refused before (`otlp_values.py`)."""
    received, log = rolled_back
    assert received.headers[0]["authorization"] == SECRET
    assert SECRET not in log
    assert not any(SECRET.encode() in body for body in received.bodies)


def test_the_name_of_the_service_can_be_chosen() -> None:
    """By the standard variable."""
    with receiver() as received:
        operate(received.port, OTEL_SERVICE_NAME="rollouts", OTEL_BSP_SCHEDULE_DELAY="10")
    assert received.services() == {"rollouts"}


def test_a_collector_that_never_answers_holds_up_nothing() -> None:
    """The rollout is finished and the operator ends, while the collector still has not answered the first request."""
    answers = threading.Event()
    with receiver(answers) as received:
        operate(
            received.port, OTEL_BSP_SCHEDULE_DELAY="10", OTEL_BSP_MAX_QUEUE_SIZE="2", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1"
        )
        assert (len(received.headers), received.bodies) == (1, [])


def test_without_a_collector_the_rollout_goes_on() -> None:
    """A refused connection is a line in the log."""
    with receiver() as received:
        port = received.port
    operate(port, OTEL_BSP_SCHEDULE_DELAY="10")
