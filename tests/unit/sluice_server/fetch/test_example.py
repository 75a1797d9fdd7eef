"""Which body a model must answer before it is ready."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_server.fetch.example import logged_example, made_up_example
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
    assert logged_example(json.dumps(logged).encode(), SCHEMA) == {"features": expected}


@pytest.mark.parametrize(
    "logged", [b"{", b"[]", b'{"inputs": [["x", 1]]}', b'{"inputs": []}', b'{"dataframe_split": {"columns": 1}}']
)
def test_one_that_does_not_fit_is_none(logged: bytes) -> None:
    """MLflow logs whatever it was given."""
    assert logged_example(logged, SCHEMA) is None


def test_else_one_is_made_from_the_signature() -> None:
    """Of the right kinds, and nothing whose logarithm or inverse does not exist."""
    assert made_up_example(SCHEMA) == {"features": [[0.5, False]]}
    texts = Schema((Column("city", Kind.TEXT), Column("at", Kind.DATE)))
    assert made_up_example(texts) == {"features": [["example", "2025-01-01T00:00:00"]]}
