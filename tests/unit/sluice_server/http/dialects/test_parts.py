"""Answers that are long are written part by part, and read the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sluice_server.http.dialects import DIALECTS, parts
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.output import Output

READER = RowReader(Schema((Column("0", Kind.NUMBER),)), 10)
REQUEST = b'{"inputs": [{"name": "0", "shape": [1], "datatype": "FP64", "data": [1]}]}'
LONG = 3 * parts.PART + 7
ANSWERS = [
    Output(np.arange(LONG) / 7, None, None),
    Output(np.arange(LONG), np.arange(2.0 * LONG).reshape(-1, 2), np.arange(LONG)),
    Output(np.arange(LONG, dtype=float)[:, np.newaxis] * np.ones(3), None, None),
    Output(np.array([["a", None], [1, {"b": [2]}]] * LONG, dtype=object), None, None, ("x", "y")),
    Output(np.array(["a text"] * LONG, dtype=object), None, None, ("x",)),
]


@pytest.mark.parametrize("output", ANSWERS, ids=["numbers", "classes", "several", "table", "series"])
@pytest.mark.parametrize("kind", DIALECTS)
def test_an_answer_in_parts_is_the_same_answer(kind: Any, output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each dialect, whatever a row has."""
    dialect = kind(READER, Identity("iris", "3", "abcdefghij"))
    echo = getattr(dialect.parse(REQUEST), "echo", None)
    in_parts = dialect.write(Prediction(output, [], "x"), echo).content
    monkeypatch.setattr(parts, "PART", output.cells)
    assert json.loads(in_parts) == json.loads(dialect.write(Prediction(output, [], "x"), echo).content)


@pytest.mark.parametrize("shape", [(LONG,), (LONG, 3), (100, 3_000)])
def test_no_part_is_long(shape: tuple[int, ...]) -> None:
    """Others run between two parts, and never within one."""
    sizes: list[int] = []

    def to_list(part: NDArray[Any]) -> list[Any]:
        sizes.append(part.size)
        listed: list[Any] = part.tolist()
        return listed

    parts.listed(np.zeros(shape), to_list)
    assert sum(sizes) == np.prod(shape)
    assert max(sizes) <= parts.PART
