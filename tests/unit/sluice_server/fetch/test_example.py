"""Which body a model must answer before it is ready."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sluice_server.fetch.example import logged_example, made_up_example
from sluice_server.inference.rejection import Rejection
from sluice_server.model.schema import Column, Kind, Schema

SCHEMA = Schema((Column("a", Kind.NUMBER), Column("t", Kind.BOOLEAN)))
TEXT = Schema((Column("text", Kind.TEXT),))
UNNAMED = Schema((Column("0", Kind.NUMBER),))


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


def test_a_table_with_missing_values_is_taken() -> None:
    """MLflow writes NaN, which is no JSON, and NaT for a date; the body for /predict is JSON."""
    schema = Schema((Column("a", Kind.NUMBER), Column("s", Kind.TEXT), Column("d", Kind.DATE)))
    logged = b'{"dataframe_split": {"columns": ["d", "s", "a"], "data": [["NaT", NaN, NaN], ["2025-01-01", "x", 1]]}}'
    example = logged_example(logged, schema)
    assert isinstance(example, dict)
    first, second = json.loads(msgspec.json.encode(example))["features"]
    assert first == {"a": None, "s": None, "d": "NaT"}
    assert second == {"a": 1, "s": "x", "d": "2025-01-01"}


@pytest.mark.parametrize(
    ("logged", "schema", "expected"),
    [
        ({"inputs": ["good", "bad"]}, TEXT, [["good"], ["bad"]]),
        ({"inputs": "good"}, TEXT, [["good"]]),
        ({"inputs": [1.5, None]}, UNNAMED, [[1.5], [None]]),
        ({"inputs": {"a": [1.5] * 9, "t": [True] * 9}}, SCHEMA, {"a": [1.5] * 5, "t": [True] * 5}),
        ({"dataframe_split": {"data": [[1.5, True]]}}, SCHEMA, [[1.5, True]]),
        ({"dataframe_split": {"columns": ["x"], "data": [[1.5]]}}, UNNAMED, [[1.5]]),
    ],
)
def test_single_values_columns_and_tables_without_names_are_examples(
    logged: Any, schema: Schema, expected: Any
) -> None:
    """MLflow writes them for lists, dicts and tables."""
    assert logged_example(json.dumps(logged).encode(), schema) == {"features": expected}


@pytest.mark.parametrize(
    ("logged", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "none of the forms"),
        (b'{"inputs": [["x", 1]]}', "[0][0]: 'a' needs a number"),
        (b'{"inputs": []}', "at least one row"),
        (b'{"inputs": [[Infinity, true]]}', "[0][0]: 'a' is beyond"),
        (b'{"dataframe_split": {"columns": 1}}', "none of the forms"),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "[0].t: the column 't' is required"),
    ],
)
def test_why_one_does_not_fit_is_told(logged: bytes, told: str) -> None:
    """MLflow logs whatever it was given."""
    found = logged_example(logged, SCHEMA)
    assert isinstance(found, Rejection)
    assert told in found.located


def test_else_one_is_made_from_the_signature() -> None:
    """Of the right kinds, and nothing whose logarithm or inverse does not exist."""
    assert made_up_example(SCHEMA, {}) == {"features": [[0.5, False]]}
    texts = Schema((Column("city", Kind.TEXT), Column("at", Kind.DATE)))
    assert made_up_example(texts, {}) == {"features": [["example", "2025-01-01T00:00:00"]]}


def test_a_column_that_takes_certain_values_gets_one_of_them() -> None:
    """By its name, or by its place where the model was fitted without names."""
    assert made_up_example(SCHEMA, {"t": True}) == {"features": [[0.5, True]]}
    assert made_up_example(SCHEMA, {0: 7}) == {"features": [[7, False]]}
