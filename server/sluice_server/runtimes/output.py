"""What a model gives for some rows; a value that can be cut into the parts of single requests."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]

_TYPES = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}  # by numpy's kind; all others are text


class Output(msgspec.Struct, frozen=True):
    """Values, probabilities (rows x classes) and class indexes; the last two are None where a model has none.

    `columns` are the names of a row's values, where a model answers a table or a series with a name.
    """

    values: Values
    probabilities: Values | None
    classes: Values | None
    columns: tuple[str, ...] | None = None

    def slice(self, start: int, stop: int) -> Output:
        """The output for the rows from `start` up to `stop`."""
        return Output(
            self.values[start:stop],
            None if self.probabilities is None else self.probabilities[start:stop],
            None if self.classes is None else self.classes[start:stop],
            self.columns,
        )

    @property
    def type_in_json(self) -> str:
        """What callers get for a value: boolean, integer, number, string, or object for whatever is mixed or nested."""
        if self.values.dtype.kind == "O" and not all(isinstance(value, str | None) for value in self.values.flat):
            return "object"
        return _TYPES.get(self.values.dtype.kind, "string")

    @property
    def records(self) -> list[Any]:
        """What each row gets in JSON: by name where its values have names, else a value or a list of them."""
        return self.records_of(self.values)

    def records_of(self, values: Values) -> list[Any]:
        """The same of some rows of `values`."""
        listed: list[Any] = values.tolist()
        if self.columns is None:
            return listed
        rows = listed if values.ndim > 1 else [[value] for value in listed]
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    @property
    def cells(self) -> int:
        """How many values and probabilities there are, as a measure of how long they take to be written."""
        return self.values.size + (0 if self.probabilities is None else self.probabilities.size)

    @property
    def is_open(self) -> bool:
        """Whether a value may be as long as the model likes: a text, or something nested, which is no class of it."""
        return self.values.dtype.kind in "OSU" and self.classes is None

    @property
    def values_per_row(self) -> int:
        """More than 1 for a model with several outputs."""
        return int(np.prod(self.values.shape[1:]))
