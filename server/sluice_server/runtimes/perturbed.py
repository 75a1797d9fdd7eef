"""Rows near an example, to compare two ways of computing the same model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.precision import rounded
from sluice_server.model.schema import NUMERIC, Kind, Rows, Schema

_ROWS, _SEED = 64, 20_250_101
_SPREAD = 0.25


def trials(example: Rows, schema: Schema, nullable: Sequence[bool]) -> tuple[Rows, ...]:
    """To compare two ways of one model: the example, rows near it, and these with gaps where the model takes them."""
    near = perturbed(example, schema)
    return example, near, np.where(nullable, np.nan, near)


def perturbed(
    example: Rows,
    schema: Schema,
    count: int = _ROWS,
    seed: int = _SEED,
    spread: float | NDArray[np.float64] = _SPREAD,
) -> Rows:
    """Rows that are the same ones each time: numbers are spread around those of `example`, its texts and dates mixed.

    `spread`: of a value, as the standard deviation; one for all, or an array of the shape (count, columns).
    """
    chance = np.random.default_rng(seed)
    spreads = np.broadcast_to(spread, (count, len(schema.columns)))
    rows = example[chance.integers(len(example), size=count)]
    for at, column in enumerate(schema.columns):
        if column.kind is Kind.BOOLEAN:
            rows[:, at] = chance.integers(2, size=count)
        elif column.kind in NUMERIC:
            values = rows[:, at].astype(np.float64)
            values += spreads[:, at] * chance.standard_normal(count) * np.maximum(np.abs(values), 1.0)
            rows[:, at] = np.rint(values) if column.kind is Kind.INTEGER else values
        else:
            rows[:, at] = chance.permutation(rows[:, at])
    return rounded(rows, schema)
