"""Rows near an example, to compare two ways of computing the same model."""

from __future__ import annotations

import numpy as np

from sluice_server.model.schema import Kind, Rows, Schema

_ROWS, _SEED = 64, 20_250_101
_SPREAD = 0.25  # of a value, as the standard deviation


def perturbed(example: Rows, schema: Schema) -> Rows:
    """64 rows whose values are spread around those of `example`; the same ones each time."""
    chance = np.random.default_rng(_SEED)
    rows = example[chance.integers(len(example), size=_ROWS)]
    rows = rows + _SPREAD * chance.standard_normal(rows.shape) * np.maximum(np.abs(rows), 1.0)
    for at, column in enumerate(schema.columns):
        if column.kind is Kind.BOOLEAN:
            rows[:, at] = chance.integers(2, size=_ROWS)
        elif column.kind is Kind.INTEGER:
            rows[:, at] = np.rint(rows[:, at])
    return rows
