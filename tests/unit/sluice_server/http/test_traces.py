"""Spans of a pod's requests, and the log records that belong to them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sluice_server.inference.batching import Batcher
from sluice_server.inference.tracing import Span
from sluice_server.logs import JsonFormatter
from sluice_server.model.schema import Rows
from sluice_server.otlp_values import Sampling
from sluice_server.runtimes.output import Output

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Start

ROW = [5.1, 3.5, 1.4, 0.2]
ALL, NONE = Sampling(1.0, True), Sampling(0.0, True)


class Formatted(logging.Handler):
    """The records as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def written() -> list[dict[str, object]]:
    handler = Formatted()
    for name in ("sluice.predict", "sluice.prediction"):
        logging.getLogger(name).handlers = [handler]
        logging.getLogger(name).setLevel(logging.INFO)
    return handler.lines


def test_each_dialect_is_traced_and_its_log_records_name_the_trace(
    start: Start, written: list[dict[str, object]]
) -> None:
    """One span for each request; what callers did wrong is a span without an error; probes leave none."""
    sent: list[Span] = []
    client = start(tracing=ALL, send=sent.append, prediction_log_sample=1.0)
    client.post("/predict", json={"features": [ROW, ROW]}, headers={"X-Correlation-ID": "one"})
    client.post("/invocations", json={"instances": [ROW]})
    client.post("/predict", json={"features": [1]})
    client.post("/predict", json={"features": ROW}, headers={"x-sluice-probe": "smoke"})
    seen = [(span.attributes["http.route"], span.attributes["http.response.status_code"]) for span in sent]
    assert seen == [("/predict", 200), ("/invocations", 200), ("/predict", 422)]
    assert [span.attributes.get("ml.input.feature_count") for span in sent] == [2, 1, None]
    assert sent[0].attributes["correlation.id"] == written[0]["correlation_id"] == "one"
    assert [record.get("trace_id") for record in written] == [f"{span.trace:032x}" for span in sent[:2]]
    assert not any(span.failed for span in sent)


def test_a_failure_of_the_model_is_traced_although_the_request_was_not_chosen(
    start: Start, written: list[dict[str, object]]
) -> None:
    """Its traceback in the log has the trace id, and the next request has none."""

    def fail(rows: Rows) -> Output:
        if rows[0, 0] < 0:
            raise ValueError("no")
        return Output(np.zeros(len(rows)), None, None)

    sent: list[Span] = []
    client = start(tracing=NONE, send=sent.append, prediction_log_sample=1.0)
    with ThreadPoolExecutor(1) as worker:
        client.process.pod.data_plane.take(Batcher(fail, worker, 100), None)
        assert client.post("/predict", json={"features": [-1, 0, 0, 0]}).status_code == 500
        assert client.post("/predict", json={"features": ROW}).status_code == 200
    (span,) = sent
    assert (span.failed, span.attributes["error.type"]) == (True, "ValueError")
    assert [record.get("trace_id") for record in written] == [f"{span.trace:032x}", None]


def test_without_a_collector_the_sdk_is_not_even_imported() -> None:
    """It would cost memory and a part of the start of each pod."""
    program = (
        "import sys, sluice_server.process.serve as serve\n"
        "from sluice_server.settings import serve_settings\n"
        "with serve.traces.exporting(serve_settings({})) as send: assert send is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
