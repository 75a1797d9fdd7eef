"""Rows as boosted trees take them: columns in the order of the fit, and each category as its number.

A table of pandas has the categories of each column with it; a request has only a value. The libraries keep the values
in the model file, each at the place that is its number. Of a value that was not in the training, LightGBM makes a
missing one, and XGBoost refuses it: so it is done here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import NUMERIC, Kind, Rows, Schema
from sluice_server.runtimes import columns
from sluice_server.runtimes.port import ModelError, UnfitRowsError

_SHOWN, _LONGEST = 10, 50  # categories, and characters of a value, in a message


@dataclass(frozen=True, slots=True)
class Encoding:
    """`places`: where the columns of the fit are in a row, None if in their order. `numbers`: those of the categories.

    The keys of `numbers` are columns of the fit, whose `names` are those of the signature. `refuses_unknown`: whether a
    value that is no category is refused.
    """

    places: list[int] | None
    numbers: Mapping[int, Mapping[Any, float]]
    names: tuple[str, ...]
    refuses_unknown: bool = False

    def in_order(self, rows: Rows) -> Rows:
        """Rows in the order of the signature with the columns of the fit."""
        return rows if self.places is None else rows[:, self.places]

    def matrix(self, rows: Rows) -> NDArray[np.float64]:
        """Rows in the order of the signature as a float64 matrix of the same shape; NaN for what is missing.

        Raises UnfitRowsError for a value that is refused.
        """
        ordered = self.in_order(rows)
        if self.refuses_unknown:
            for at, numbers in self.numbers.items():
                self._check(at, ordered[:, at].tolist(), numbers)
        return self._encoded(ordered)

    def matrix_of_known(self, rows: Rows) -> NDArray[np.float64]:
        """The same, but nothing is refused: what is no category is missing."""
        return self._encoded(self.in_order(rows))

    def _check(self, at: int, cells: list[Any], numbers: Mapping[Any, float]) -> None:
        for row, cell in enumerate(cells):
            if cell in numbers or cell != cell:  # noqa: PLR0124 - NaN, which is missing, is not itself
                continue
            known = ", ".join(repr(value) for value in list(numbers)[:_SHOWN])
            more = ", ..." if len(numbers) > _SHOWN else ""
            raise UnfitRowsError(
                f"row {row} has {str(cell)[:_LONGEST]!r} in the column {self.names[at]!r}, which is no category of the "
                f"training ({known}{more}), and XGBoost refuses such a value: send one of these, or null "
                "where a value may be missing"
            )

    def _encoded(self, ordered: Rows) -> NDArray[np.float64]:
        if not self.numbers:
            return ordered
        encoded = np.empty(ordered.shape)
        for at in range(ordered.shape[1]):
            numbers = self.numbers.get(at)
            cells = ordered[:, at]
            encoded[:, at] = cells if numbers is None else [numbers.get(cell, np.nan) for cell in cells.tolist()]
        return encoded


def encoding(
    schema: Schema,
    names: tuple[str, ...] | None,
    width: int,
    categories: Sequence[Sequence[Any] | None],
    refuses_unknown: bool = False,
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
    ordered = schema.names if places is None else tuple(schema.names[at] for at in places)
    return Encoding(None if places is None else list(places), numbers, ordered, refuses_unknown)
