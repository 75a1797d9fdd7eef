"""Whether a model answers a row alike alone and among others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sluice_server.model.schema import Column, Kind, Rows, Schema
from sluice_server.runtimes.independence import are_independent
from sluice_server.runtimes.output import Output

SCHEMA = Schema((Column("a", Kind.NUMBER), Column("b", Kind.NUMBER)))
EXAMPLE = np.array([[1.0, 200.0]])
CHANCE = np.random.default_rng(0)


def numbers(of: Callable[[Rows], Any]) -> Callable[[Rows], Output]:
    return lambda rows: Output(np.asarray(of(rows)), None, None)


def positive(rows: Rows) -> Rows:
    if (rows <= 0).any():
        raise ValueError("a negative number")
    return rows


def known(rows: Rows) -> Rows:
    if not np.isin(rows[:, 0], EXAMPLE).all():
        raise ValueError("an unknown category")
    return rows[:, 1]


@pytest.mark.parametrize(
    ("of", "independent"),
    [
        (lambda rows: rows.sum(axis=1), True),
        (lambda rows: (rows[:, 1] - 200).astype(np.float32) * 1e-30, True),
        (lambda rows: np.where(rows[:, 0] > 1, np.nan, 1.0), True),
        (lambda rows: np.where(rows[:, 0] > 1, "yes", "no"), True),
        (lambda rows: positive(rows).sum(axis=1), True),
        (lambda rows: rows[:, 0] - rows[:, 0].mean(), False),
        (lambda rows: positive(rows - rows.mean(axis=0) + 1_000)[:, 0], False),
        (lambda rows: rows[:, 0] + 1e-3 * len(rows), False),
        (lambda rows: np.where(rows[:, 0] >= rows[:, 0].max(), "best", "other"), False),
        (lambda rows: CHANCE.normal(size=len(rows)), False),
        (lambda rows: known(rows[:1]) if len(rows) > 1 else known(rows), False),
        (known, False),
    ],
)
def test_a_model_that_compares_rows_is_found(of: Callable[[Rows], Any], independent: bool) -> None:
    """Also with the fewer rows that it takes; one of which nothing can be told is taken for such a model."""
    assert are_independent(numbers(of), EXAMPLE, SCHEMA) is independent


def test_the_rows_of_an_example_tell_where_no_others_are_taken() -> None:
    """An encoder knows only the categories of its training."""
    two = np.array([[1.0, 200.0], [200.0, 3.0]])
    assert are_independent(numbers(known), two, SCHEMA)
    assert not are_independent(numbers(lambda rows: known(rows) / len(rows)), two, SCHEMA)


def test_probabilities_are_compared_too() -> None:
    """Labels may be the same, however much the numbers behind them differ."""

    def predict(rows: Rows) -> Output:
        shares = np.column_stack(
            (np.full(len(rows), 0.9 - 0.01 * len(rows)), np.full(len(rows), 0.1 + 0.01 * len(rows)))
        )
        return Output(np.zeros(len(rows), int), shares, np.zeros(len(rows), int))

    assert not are_independent(predict, EXAMPLE, SCHEMA)


def test_one_text_is_made_several() -> None:
    """Equal rows would show nothing of a model that compares them."""
    text = Schema((Column("t", Kind.TEXT),))
    example = np.array([["a good wine"]], dtype=object)
    lengths = numbers(lambda rows: [len(row[0]) for row in rows])
    relative = numbers(lambda rows: np.divide(lengths(rows).values, lengths(rows).values.max()))
    assert are_independent(lengths, example, text)
    assert not are_independent(relative, example, text)
