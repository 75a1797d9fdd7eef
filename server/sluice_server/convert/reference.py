"""The rows on which a converted model is compared with its original: near the input example, near and far from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.precision import rounded
from sluice_server.model.schema import Kind, Rows, Schema
from sluice_server.runtimes.perturbed import perturbed

_SPREADS = (1e-5, 1e-4, 1e-3, 0.05, 0.25, 1.0, 4.0)  # of a value, as the standard deviation
_ROWS = 512  # for each spread
_MISSING = 0.3  # share of the values that may be missing


def reference_rows(example: Rows, schema: Schema, nullable: Sequence[bool], digest: str) -> Rows:
    """4,600 rows, and half as many with missing values where the model takes them; the same ones for a digest.

    Data may be far from 0 and vary little, as moments do. So rows are also spread by small shares of the values, by
    another share for each value, and as far as those of the example are from each other. Half of the numbers are
    rounded to one decimal, as people write them: such values meet thresholds of trees exactly.
    `digest`: of the model's files, `sha256:<hex>`.
    """
    seed = int(digest.rpartition(":")[2], 16)
    chance = np.random.default_rng(seed)
    mixed = chance.choice(_SPREADS, (_ROWS, len(schema.columns)))
    own = _spread_of(example)
    parts = [example]
    spreads: list[float | NDArray[np.float64]] = [*_SPREADS, mixed, np.where(own > 0, own, mixed)]
    for number, spread in enumerate(spreads):
        near = perturbed(example, schema, _ROWS, seed + number, spread)
        numbers = [at for at, column in enumerate(schema.columns) if column.kind is Kind.NUMBER]
        near[::2, numbers] = near[::2, numbers].astype(np.float64).round(1)
        parts.append(rounded(near, schema))
    rows = np.concatenate(parts)
    if not any(nullable):
        return rows
    with_gaps = rows[1::2].copy()
    with_gaps[(chance.random(with_gaps.shape) < _MISSING) & np.asarray(nullable)] = np.nan
    return np.concatenate([rows, with_gaps])


def _spread_of(example: Rows) -> NDArray[np.float64]:
    """How far the values of each column are from each other, as a share of the largest; 0 where they are equal.

    A value that is missing says nothing about that.
    """
    values = example.astype(np.float64)
    known = ~np.isnan(values)
    low = values.min(axis=0, where=known, initial=np.inf)
    high = values.max(axis=0, where=known, initial=-np.inf)
    largest = np.abs(values).max(axis=0, where=known, initial=1.0)
    spread: NDArray[np.float64] = np.maximum(high - low, 0.0) / largest
    return spread
