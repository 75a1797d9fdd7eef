"""Numbers as the types of their columns hold them, as MLflow makes them by the signature.

A model that was fitted on float32 has seen 0.10000000149 for 0.1. To one that compares values, as an encoder of
categories does, the 0.1 of a request would be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import DOUBLE, Rows, Schema


def rounding(schema: Schema) -> Callable[[Rows], Rows] | None:
    """What rounds rows to the types of their columns, perhaps in place; None where there is nothing to round."""
    precisions = np.array([column.precision for column in schema.columns])
    if (common := common_precision(schema)) is not None:
        return None if common == DOUBLE else lambda rows: rows.astype(common).astype(rows.dtype)
    places = {kind: np.flatnonzero(precisions == kind) for kind in np.unique(precisions).tolist() if kind != DOUBLE}
    return lambda rows: _rounded(rows, places)


def rounded(rows: Rows, schema: Schema) -> Rows:
    """Rows as requests would bring them, perhaps changed in place."""
    round_them = rounding(schema)
    return rows if round_them is None else round_them(rows)


def common_precision(schema: Schema) -> str | None:
    """The type of numpy that all columns have, "float64" included; None if they have several."""
    (first, *others) = {column.precision for column in schema.columns}
    return None if others else first


def _rounded(rows: Rows, places: Mapping[str, NDArray[np.intp]]) -> Rows:
    for kind, at in places.items():
        rows[:, at] = rows[:, at].astype(kind)
    return rows
