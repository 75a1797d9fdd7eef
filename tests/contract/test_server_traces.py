"""The real process with a real collector, both on loopback."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.contract.served import serving
from tests.contract.test_server_process import ROW, model_dir
from tests.unit.otlp_receiver import receiver

__all__ = ["model_dir"]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_request_of_a_traced_caller_is_a_span_at_the_collector(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is part of the caller's trace, names the pod's model, and has reached the collector when the pod has ended."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiver() as received:
        endpoint = f"http://127.0.0.1:{received.port}"
        with serving(model_dir, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, SLUICE_DRAIN_DELAY="0") as served:
            for flags in ("00", "01"):
                headers = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}", "x-correlation-id": f"request-{flags}"}
                assert httpx.post(f"{served.gateway}/predict", json=ROW, headers=headers).status_code == 200
            served.process.terminate()
            assert served.process.wait(60) == 0
    (span,) = received.spans()
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("model_inference", TRACE, SPAN)
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9
    attributes = {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}
    assert attributes["correlation.id"] == "request-01"
    assert (attributes["ml.input.feature_count"], attributes["ml.input.feature_dim"]) == (1, 4)
    assert received.services() == {"sluice-server"}
    assert {"ml.model.version": "3", "sluice.revision": "abcdefghij"}.items() <= received.resource().items()
