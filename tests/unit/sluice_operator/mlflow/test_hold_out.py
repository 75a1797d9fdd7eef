"""Results on hold-outs are read from the MLflow run that made a model: counts, and which rows were right."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from sluice_operator.api.observation import HoldOut, Rows, Unreachable, Unresolved
from sluice_operator.mlflow.connection import Connection
from tests.unit.sluice_operator.loopback import Behaviour
from tests.unit.sluice_operator.mlflow.test_client import API, IRIS_3, Server, answers, missing


def run_with(tags: dict[str, str] | None = None, **metrics: float) -> dict[str, Any]:
    data: dict[str, dict[str, Any]] = {"metrics": metrics, "tags": tags or {}}
    listed = {kind: [{"key": key, "value": value} for key, value in pairs.items()] for kind, pairs in data.items()}
    return {"run": {"data": listed}}


def hold_out(server: Server) -> object:
    return server.asked(lambda registry: registry.hold_out(IRIS_3.model, Connection()))


NO_METRICS = Unresolved(
    "HoldOutMissing",
    "run 'r1' of iris/3 has no metrics correct and total: log both as whole numbers, as `python -m sluice_trainer`"
    " does",
)


TOO_MANY = Unresolved("HoldOutMissing", "the metric total of run 'r1' of iris/3 is more than 10,000,000 rows")


NO_DIGEST = Unresolved("HoldOutMissing", "run 'r1' of iris/3 has no tag sluice.holdout.digest")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (answers(run_with(correct=43.0, total=45, accuracy=0.96)), HoldOut("iris/3", 43, 45, NO_DIGEST)),
        (answers(run_with(accuracy=0.96)), NO_METRICS),
        (answers({"run": {"data": {}}}), NO_METRICS),
        (answers(run_with(correct=46, total=45)), NO_METRICS),
        (answers(run_with(correct=4.5, total=45)), NO_METRICS),
        (answers(run_with(correct=0, total=0)), NO_METRICS),
        (answers({"run": {"data": {"metrics": [{"key": "total", "value": "NaN"}]}}}), NO_METRICS),
        (answers(run_with(correct=9e7, total=1e8)), TOO_MANY),
        (answers(run_with(correct=9e307, total=1e308)), TOO_MANY),
        (
            answers(run_with({"sluice.holdout.digest": "d" * 129}, correct=43, total=45)),
            HoldOut(
                "iris/3",
                43,
                45,
                Unresolved(
                    "HoldOutMissing",
                    "the tag sluice.holdout.digest of run 'r1' of iris/3 is longer than 128 characters",
                ),
            ),
        ),
        (
            missing("no run r1"),
            Unresolved("HoldOutMissing", "MLflow does not have the run 'r1' of iris/3 (no run r1)"),
        ),
    ],
)
def test_a_hold_out_is_read_from_the_run_that_made_the_model(answer: Behaviour, result: object) -> None:
    """As counts: a ratio alone does not say how many rows there were."""
    server = Server(answer)
    assert hold_out(server) == result
    assert server.requests == [f"{API}/runs/get?run_id=r1"]


def test_an_outage_is_not_a_missing_hold_out() -> None:
    """The canary waits, and is not refused."""
    assert isinstance(hold_out(Server(lambda _: web.Response(status=503))), Unreachable)


def tagged(correct: int, total: int, bits: str | None, digest: str = "sha256:ab") -> Behaviour:
    tags = {"sluice.holdout.digest": digest, **({} if bits is None else {"sluice.holdout.correct": bits})}
    return answers(run_with(tags, correct=correct, total=total))


@pytest.mark.parametrize(
    ("total", "bits", "right"),
    [
        (8, "sA==", 0b10110000),
        (10, "sEA=", 0b1011000001),
        (1, "gA==", 1),
        (1, "AA==", 0),
    ],
)
def test_the_rows_that_were_right_are_bits(total: int, bits: str, right: int) -> None:
    """The first row is the highest bit. Unused bits of the last byte are 0."""
    result = hold_out(Server(tagged(right.bit_count(), total, bits)))
    assert result == HoldOut("iris/3", right.bit_count(), total, Rows("sha256:ab", right))


TAG = "the tag sluice.holdout.correct of run 'r1' of iris/3 is not"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (tagged(3, 10, "sEA=", digest=""), NO_DIGEST.message),
        (tagged(3, 10, None), "run 'r1' of iris/3 has no tag sluice.holdout.correct"),
        (
            tagged(3, 48_001, None),
            "run 'r1' of iris/3 has no tag sluice.holdout.correct (its 48001 rows do not fit into one, 48000 do)",
        ),
        (tagged(3, 10, "sEA"), f"{TAG} base64"),
        (tagged(3, 10, "s E A ="), f"{TAG} base64"),
        (tagged(3, 10, "sö=="), f"{TAG} base64"),
        (tagged(3, 10, "sA=="), f"{TAG} of 3 of 10 rows: 1 bytes with 3 bits set"),
        (tagged(4, 10, "sEAA"), f"{TAG} of 4 of 10 rows: 3 bytes with 4 bits set"),
        (tagged(3, 10, "sEA="), f"{TAG} of 3 of 10 rows: 2 bytes with 4 bits set"),
        (tagged(4, 10, "sCA="), f"{TAG} of 4 of 10 rows: 2 bytes with 4 bits set"),
        (tagged(0, 10, ""), f"{TAG} of 0 of 10 rows: 0 bytes with 0 bits set"),
    ],
)
def test_rows_that_do_not_agree_with_the_counts_are_not_used(answer: Behaviour, problem: str) -> None:
    """The counts are still used. But there is no comparison by rows, and the message says why."""
    result = hold_out(Server(answer))
    assert isinstance(result, HoldOut)
    assert result.rows == Unresolved("HoldOutMissing", problem)
