"""Rows as boosted trees take them: columns in the order of the fit, and each category as its number.

A table of pandas has the categories of each column with it; a request has only a value. The libraries keep the values
in the model file, each at the place that is its number. A value that was not in the training is a missing one, as in
the libraries themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import NUMERIC, Kind, Rows, Schema
from sluice_server.runtimes import columns
from sluice_server.runtimes.port import ModelError


@dataclass(frozen=True, slots=True)
class Encoding:
    """`places`: where the columns of the fit are in a row, None if in their order. `numbers`: those of the categories.

    The keys of `numbers` are columns of the fit.
    """

    places: list[int] | None
    numbers: Mapping[int, Mapping[Any, float]]

    def in_order(self, rows: Rows) -> Rows:
        """Rows in the order of the signature with the columns of the fit."""
        return rows if self.places is None else rows[:, self.places]

    def matrix(self, rows: Rows) -> NDArray[np.float64]:
        """Rows in the order of the signature as a float64 matrix of the same shape; NaN for what is missing."""
        ordered = self.in_order(rows)
        if not self.numbers:
            return ordered
        encoded = np.empty(ordered.shape)
        for at in range(ordered.shape[1]):
            numbers = self.numbers.get(at)
            cells = ordered[:, at]
            encoded[:, at] = cells if numbers is None else [numbers.get(cell, np.nan) for cell in cells.tolist()]
        return encoded


def encoding(
    schema: Schema, names: tuple[str, ...] | None, width: int, categories: Sequence[Sequence[Any] | None]
) -> Encoding:
    """How rows of `schema` become those of a model of `width` columns; `names` and `categories` are in their order.

    Raises ModelError if the signature has other columns, or text where the model takes numbers.
    """
    places = columns.places(schema, names, width)
    for at, values in enumerate(categories):
        column = schema.columns[at if places is None else places[at]]
        are_text = values is not None and isinstance(values[0], str)
        if column.kind not in NUMERIC and not (column.kind is Kind.TEXT and are_text):
            raise ModelError(
                f"the column {column.name!r} of the signature is a {column.kind}, and the model knows no categories of "
                "it: train it on a table whose column has the type category"
            )
        if are_text and column.kind is not Kind.TEXT:
            raise ModelError(
                f"the column {column.name!r} of the signature is a {column.kind}, and the model takes text there: log "
                "the model with the signature of the table that it was trained on"
            )
    numbers = {
        at: {value: float(number) for number, value in enumerate(values)}
        for at, values in enumerate(categories)
        if values is not None
    }
    return Encoding(None if places is None else list(places), numbers)
