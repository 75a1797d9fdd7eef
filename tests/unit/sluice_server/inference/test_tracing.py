"""Which requests are traced, and what a span says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice_server import logs
from sluice_server.inference.tracing import FAILURES_PER_SECOND, Span, Trace, Tracing
from sluice_server.otlp_values import Sampling

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE}-{SPAN}-00".encode()


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Log records of other tests belong to no trace."""
    token = logs.trace_id.set("")
    yield
    logs.trace_id.reset(token)


def tracing(share: float, parent_based: bool = True) -> tuple[Tracing, list[Span]]:
    sent: list[Span] = []
    return Tracing(Sampling(share, parent_based), "/model/files/model.skops", 4, sent.append), sent


def begun(traced: Tracing, traceparent: bytes = b"") -> Trace:
    trace = traced.begin(traceparent, probe=False)
    assert trace is not None
    return trace


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [(SAMPLED, True), (NOT_SAMPLED, False), (b"", True), (f"cc-{TRACE}-{SPAN}-09-later".encode(), True)],
)
def test_the_caller_decides_about_its_own_trace(traceparent: bytes, sampled: bool) -> None:
    """With a share of 1, only a caller that says no is not traced. Later versions are read as far as they are known."""
    trace = begun(tracing(1.0)[0], traceparent)
    assert trace.sampled is sampled
    assert (trace.parent is None) == (traceparent == b"")
    assert f"{trace.id:032x}" == TRACE or not traceparent


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("traceparent", [SAMPLED, NOT_SAMPLED])
def test_a_sampler_that_is_not_parent_based_decides_itself(share: float, traceparent: bytes) -> None:
    """But goes on in the caller's trace."""
    trace = begun(tracing(share, parent_based=False)[0], traceparent)
    assert (trace.sampled, f"{trace.id:032x}") == (share == 1.0, TRACE)


@pytest.mark.parametrize(
    "traceparent",
    [
        b"00",
        b"x" * 55,
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        SAMPLED + b"-more",
        SAMPLED + b"\n",
    ],
)
def test_what_is_no_trace_context_is_not_continued(traceparent: bytes) -> None:
    """As W3C Trace Context says, the request begins a trace of its own, and the share decides."""
    trace = begun(tracing(0.0)[0], traceparent)
    assert (trace.parent, trace.sampled) == (None, False)


def test_the_share_is_that_of_the_setting() -> None:
    """Of 20,000 requests about one in ten."""
    traced, _ = tracing(0.1)
    chosen = sum(begun(traced).sampled for _ in range(20_000))
    assert 1_700 < chosen < 2_300  # seven standard deviations


def test_a_failure_of_the_model_is_traced_in_any_case_but_not_without_limit() -> None:
    """A model that always fails makes at most so many spans; the log names the trace."""
    traced, _ = tracing(0.0)
    traces = [begun(traced) for _ in range(3 * FAILURES_PER_SECOND)]
    for trace in traces:
        traced.failed(trace, ValueError("secret"))
    assert FAILURES_PER_SECOND <= sum(trace.sampled for trace in traces) < 2 * FAILURES_PER_SECOND
    traced.failed(trace := begun(tracing(1.0)[0]), ValueError("secret"))
    assert logs.trace_id.get() == f"{trace.id:032x}"


def test_a_span_has_the_attributes_that_the_guides_name() -> None:
    """The file, rows, columns and predictions, the correlation id; a failure names its type and quotes nothing."""
    traced, sent = tracing(1.0)
    trace = begun(traced, SAMPLED)
    trace.rows, trace.predictions = 3, 3
    traced.end(trace, "/predict", "gateway", "abc-1", 200, 0.25)
    failed = begun(traced)
    traced.failed(failed, ValueError("secret"))
    traced.end(failed, "/predict", "gateway", "abc-2", 500, 0.25)
    first, second = sent
    assert first.attributes == {
        "ml.model.path": "/model/files/model.skops",
        "ml.input.feature_count": 3,
        "ml.input.feature_dim": 4,
        "ml.output.prediction_count": 3,
        "correlation.id": "abc-1",
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "sluice.entry": "gateway",
    }
    assert (first.failed, first.end - first.start, first.parent) == (False, 250_000_000, int(SPAN, 16))
    assert (second.failed, second.parent, second.attributes["error.type"]) == (True, None, "ValueError")
    assert "secret" not in str(second)
