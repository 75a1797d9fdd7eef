"""What is wrong with a data set, and the score: the formula of docs/trainer.md."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sluice_trainer.quality import BadSchemaError, Column, Finding, Quality, Schema, measure, parse

NUMBER = Column("x", "number", min=0, max=10)


def found(values: list[Any], column: Column = NUMBER, **whole: Any) -> Quality:
    return measure(pd.DataFrame({"x": values}), Schema((column,), **whole))


@pytest.mark.parametrize(
    ("values", "column", "finding"),
    [
        ([1, 2, -1, 3], NUMBER, Finding("x", "1 values are below 0", 1)),
        ([1, 2, 11, 3], NUMBER, Finding("x", "1 values are above 10", 1)),
        (["1", "2", "many", "3"], NUMBER, Finding("x", "1 values are no number", 1)),
        ([1, 2, 2.5, 3], Column("x", "integer"), Finding("x", "1 values are no integer", 1)),
        ([True, "false", 2, 0], Column("x", "boolean"), Finding("x", "1 values are no boolean", 1)),
        (["a", "b", "c", "a"], Column("x", "text", values=("a", "b")), Finding("x", "1 values are none of a, b", 1)),
        (["2026-01-01", "2026-02-30", "2026-03-01T10:00:00Z", "2026-04-01"], Column("x", "date"),
         Finding("x", "1 values are no date", 1)),
        ([1, None, 2, 3], NUMBER, Finding("x", "1 rows have no value, 0% may have none", 1)),
    ],
)  # fmt: skip
def test_a_wrong_value_costs_its_share(values: list[Any], column: Column, finding: Finding) -> None:
    """One of four values is 25 points."""
    assert found(values, column) == Quality(4, 75.0, (finding,))


def test_data_as_the_schema_says_has_the_full_score() -> None:
    """A share of missing values that is allowed costs nothing."""
    assert found([1, None, 2, 10], Column("x", "number", max=10, missing=0.25)) == Quality(4, 100.0, ())


def test_a_column_that_is_not_there_has_no_right_value() -> None:
    """Of two columns, half of the score."""
    data = pd.DataFrame({"x": [1, 2]})
    quality = measure(data, Schema((NUMBER, Column("y", "text"))))
    assert quality == Quality(2, 50.0, (Finding("y", "the column is not there", 2),))


@pytest.mark.parametrize(
    ("values", "whole", "what"),
    [
        ([1, 2, 3, 4], {"rows": 5}, "4 rows, 5 are needed"),
        ([1, 1, 1, 4], {"duplicates": 0.25}, "2 rows are repetitions, 25% may be"),
        ([1, 2, 2, 2], {"label": "x", "smallest_class": 0.3}, "1 of x: less than 30% of the rows"),
    ],
)
def test_what_is_wrong_with_the_whole_costs_25_points(values: list[Any], whole: dict[str, Any], what: str) -> None:
    """However good the values are, so that 80 is not reached."""
    assert found(values, **whole) == Quality(4, 75.0, (Finding("", what),))


def test_the_score_is_never_below_zero() -> None:
    """No rows, and all else wrong, too."""
    assert found([], rows=1).score == 0.0
    assert found([-1, -1, -1], rows=9, duplicates=0.0).score == 0.0


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "not one of docs/trainer.md"),
        ({"columns": []}, "list each column once"),
        ({"columns": [{"name": "x", "type": "number"}] * 2}, "list each column once"),
        ({"columns": [{"name": "x", "type": "float"}]}, "has the type 'float'"),
        ({"columns": [{"name": "x", "type": "number", "mni": 0}]}, "mni"),
        ({"columns": [{"name": "x", "type": "text", "min": 0}]}, "min and max are for numbers"),
        ({"columns": [{"name": "x", "type": "text"}], "label": "y"}, "no column 'y'"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(document: Any, words: str) -> None:
    """With what is wrong: a rule that nobody checks would count as kept."""
    with pytest.raises(BadSchemaError, match=words):
        parse(document)
