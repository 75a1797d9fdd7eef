"""ModelDeployments in all phases, as the API server has them, made by the real rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from sluice_operator.api import names, status
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import HistoryEntry, ObjectiveVerdict, Result, Verdict
from tests.unit.sluice_operator import build

HOSTILE = '<script>alert("x")</script>\' onload=alert(1) \x1b[31m\u202eevil\x00'
VERDICT = Verdict(
    Result.UNDECIDED,
    "Collecting",
    "errors needs about 1,240 more requests to rule out its margin",
    (
        ObjectiveVerdict(
            "errors",
            Result.UNDECIDED,
            canary="0.24%",
            stable="0.21%",
            limit="less than 2 times stable's, or less than 0.5%",
            requests=2930,
            evidence="against 0.7 of 60, for 9.4 of 20",
            needs="1,240 more requests",
        ),
        ObjectiveVerdict(
            "latency p95",
            Result.PASS,
            canary="4.1% slower than 180ms",
            stable="5% slower than 180ms",
            limit="less than 1.5 times stable's, or less than 5%",
            requests=2930,
            evidence="against 0.02 of 60, for 31 of 20",
        ),
    ),
    forecast="All steps take about 26m00s for a canary that is as good as stable",
)


def body(
    current: status.Status | dict[str, Any], name: str = "iris", namespace: str = "models", **changes: Any
) -> dict[str, Any]:
    """A ModelDeployment with a status, three days old."""
    written = current if isinstance(current, dict) else status.dump(current)
    created = (build.NOW - timedelta(days=3)).isoformat().replace("+00:00", "Z")
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created, "uid": f"uid-{name}"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": metadata,
        "spec": build.raw_spec(**changes),
        "status": written,
    }


def stepping() -> status.Status:
    """At its first step, with evidence that is not enough, after a run that was rejected."""
    ended = build.NOW - timedelta(hours=5)
    before = HistoryEntry(
        "cccccccccc", "models:/iris/0", Outcome.REJECTED, "ErrorRateAboveLimit", ended - timedelta(minutes=9), ended,
        "iris-run-cccccccccc-1772373600",
    )  # fmt: skip
    return replace(build.stepping().status, verdict=VERDICT, history=(before,))


def all_phases() -> Iterator[tuple[str, status.Status]]:
    """A name and a status of each kind."""
    yield "pending", status.Status(message="models:/churn has no alias champion: set it, or correct model.uri")
    yield "starting", build.starting().status
    yield "stepping", stepping()
    yield "promoting", build.promoting().status
    yield "swapped", build.swapped().status
    yield "watching", build.watching().status
    yield "rolling-back", build.rolling_back().status
    yield "stable", build.stable_on(1).status
