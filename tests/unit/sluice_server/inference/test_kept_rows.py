"""What is written of the rows of a prediction."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from sluice_server import logs
from sluice_server.inference.kept_rows import KeptRows
from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.runtimes.output import Output

IDENTITY = Identity("iris", "3", "abcdefghij", "models:/iris/3")
ROW = np.array([["4711", float("nan"), datetime(2026, 1, 2, 3, 4, 5)]], dtype=object)


def written(rows: Any, prediction: Prediction, classes: Any = None, redacted: tuple[str, ...] = ()) -> list[Any]:
    kept = KeptRows(IDENTITY, ("a", "b", "c")[: rows.shape[1]], redacted)
    return [json.loads(line) for line in kept.lines(rows, prediction, classes, 1_800_000_000.5)]


def test_a_line_has_the_features_and_the_prediction() -> None:
    """With what leads to the request, to its label and to the model."""
    predicted = Prediction(Output(np.array([1]), None, None), [1], "id", "0123456789abcdef")
    before = logs.correlation_id.set("order-1")
    (line,) = written(ROW, predicted, ("no", "yes"))
    logs.correlation_id.reset(before)
    assert line == {
        "prediction": "0123456789abcdef",
        "row": 0,
        "time": 1_800_000_000.5,
        "version": "3",
        "revision": "abcdefghij",
        "correlation_id": "order-1",
        "features": {"a": "4711", "b": None, "c": "2026-01-02T03:04:05"},
        "predicted": "yes",
    }


@pytest.mark.parametrize(("redacted", "left"), [(("a", "c"), {"b": None}), (("*",), {}), (("other",), 3)])
def test_redacted_columns_are_left_out(redacted: tuple[str, ...], left: object) -> None:
    """Name and value; the others stay."""
    (line,) = written(ROW, Prediction(Output(np.array([1.5]), None, None), [], None, "0" * 16), None, redacted)
    assert (line["features"] if isinstance(left, dict) else len(line["features"])) == left


def test_each_row_has_a_line() -> None:
    """At most as many as an id has labels for; a model of numbers has its numbers."""
    output = Output(np.arange(200.0).reshape(100, 2), None, None, ("low", "high"))
    lines = written(np.arange(300.0).reshape(100, 3), Prediction(output, [], None, "0" * 16))
    assert len(lines) == 64
    assert (lines[63]["row"], lines[63]["features"]["a"]) == (63, 189.0)
    assert lines[63]["predicted"] == {"low": 126.0, "high": 127.0}
