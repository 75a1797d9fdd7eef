"""The rows on which a converted model is compared with its original: near the input example, near and far from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sluice_server.model.schema import Kind, Rows, Schema
from sluice_server.runtimes.perturbed import perturbed

_SPREADS = (0.05, 0.25, 1.0, 4.0)  # of a value, as the standard deviation
_ROWS = 512  # for each spread
_MISSING = 0.3  # share of the values that may be missing


def reference_rows(example: Rows, schema: Schema, nullable: Sequence[bool], digest: str) -> Rows:
    """2,000 rows, and half as many with missing values where the model takes them; the same ones for a digest.

    Half of the numbers are rounded to one decimal, as people write them: such values meet thresholds of trees exactly.
    `digest`: of the model's files, `sha256:<hex>`.
    """
    seed = int(digest.rpartition(":")[2], 16)
    parts = [example]
    for number, spread in enumerate(_SPREADS):
        near = perturbed(example, schema, _ROWS, seed + number, spread)
        numbers = [at for at, column in enumerate(schema.columns) if column.kind is Kind.NUMBER]
        near[::2, numbers] = near[::2, numbers].astype(np.float64).round(1)
        parts.append(near)
    rows = np.concatenate(parts)
    if not any(nullable):
        return rows
    chance = np.random.default_rng(seed)
    with_gaps = rows[1::2].copy()
    with_gaps[(chance.random(with_gaps.shape) < _MISSING) & np.asarray(nullable)] = np.nan
    return np.concatenate([rows, with_gaps])
