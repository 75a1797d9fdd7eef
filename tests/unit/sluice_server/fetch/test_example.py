"""Which body a model must answer before it is ready."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_server.fetch.example import input_example
from sluice_server.model.schema import Column, Kind, Schema

SCHEMA = Schema((Column("a", Kind.NUMBER), Column("t", Kind.BOOLEAN)))


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ({"dataframe_split": {"columns": ["t", "a"], "data": [[True, 1.5]] * 9}}, [{"t": True, "a": 1.5}] * 5),
        ({"inputs": [[1.5, True]]}, [[1.5, True]]),
        ({"instances": [[1.5, True]]}, [[1.5, True]]),
        ({"dataframe_records": [{"a": 1.5, "t": True}]}, [{"a": 1.5, "t": True}]),
    ],
)
def test_the_logged_example_is_taken(logged: Any, expected: Any) -> None:
    """Each form that MLflow writes becomes a /predict body of at most five rows."""
    assert input_example(json.dumps(logged).encode(), SCHEMA) == {"features": expected}


@pytest.mark.parametrize(
    "logged", [None, b"{", b"[]", b'{"inputs": [["x", 1]]}', b'{"dataframe_split": {"columns": 1}}']
)
def test_else_one_is_made_from_the_signature(logged: bytes | None) -> None:
    """Without a usable example, zeros and false of the right kinds."""
    assert input_example(logged, SCHEMA) == {"features": [[0, False]]}
