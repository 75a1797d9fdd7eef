"""From decoded values to a matrix in the model's column order, or to the first value that does not fit.

Values may be rows, one flat row, named columns or a list of records; they are walked cell by cell, so that a rejection
can name the place. `read_matrix` is the short way for rows of numbers. How values are spelt as bytes is a dialect's
concern.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from sluice_server.inference.cells import KINDS_OF_TYPES, Number, RejectedError, bounds, read_cell, type_name, wrong
from sluice_server.inference.rejection import Cause, Location, Rejection, invalid
from sluice_server.model.manifest import EXAMPLE_ROWS
from sluice_server.model.precision import rounding
from sluice_server.model.schema import Kind, Rows, Schema

_FEW = 8  # rows; of more, numpy makes a matrix in half the time if it gets the values one after the other

_INFERRED = (
    "the model was logged without a signature, and this is what its file tells of the column. If the training had "
    "other values there, log it with signature=mlflow.models.infer_signature(X, model.predict(X)), X being the data it "
    "was fitted on"
)
_WITHOUT_NAMES = (
    ": the model's columns have no names but 0, 1, 2, ..., so send rows as lists in their order, or these names"
)
_NO_DATE = "NaT"  # what pandas, and MLflow's client, call a date that is missing


class RowReader:
    """Reads the values of a request for one schema; at most `max_rows` rows.

    `takes_matrix` says whether `read_matrix` can be used at all: only numbers are numbers. `takes_missing`: whether
    there are columns in which a value may be missing; it is NaN in the rows then.
    """

    def __init__(self, schema: Schema, max_rows: int) -> None:
        self.schema = schema
        self.takes_matrix = all(column.kind in (Kind.NUMBER, Kind.INTEGER) for column in schema.columns)
        self._type = np.float64 if schema.is_numeric else object
        self.max_rows = max_rows
        self._integers = np.array([column.kind is Kind.INTEGER for column in schema.columns])
        self._has_integers = bool(self._integers.any())
        self._has_limits = self._has_integers or any(column.range is not None for column in schema.columns)
        self._rounding = rounding(schema)
        self._low, self._high = np.array([bounds(column) for column in schema.columns]).T
        self.allow_missing([False] * len(schema.columns))

    @property
    def nullable(self) -> tuple[bool, ...]:
        """For each column, whether its value may be null."""
        return self._nullable

    def allow_missing(self, nullable: Sequence[bool]) -> None:
        """From now on values may be missing in these columns, apart from required whole numbers and booleans.

        MLflow calls a whole number optional, or a double, where the training had gaps; the file of a model does not.
        """
        self._nullable = tuple(
            takes
            and (self.schema.is_inferred or column.kind not in (Kind.INTEGER, Kind.BOOLEAN) or not column.required)
            for takes, column in zip(nullable, self.schema.columns, strict=True)
        )
        self.takes_missing = any(self._nullable)
        pairs = zip(self.schema.columns, self._nullable, strict=True)
        self._required = tuple(column.required or not may_be_null for column, may_be_null in pairs)

    @property
    def required(self) -> tuple[bool, ...]:
        """For each column, whether it must be there: one that the signature calls optional, only if it may be null."""
        return self._required

    def read(self, values: Any) -> Rows | Rejection:
        """The rows of shape (rows, columns), or why not; locations begin inside of `values`."""
        if self.takes_matrix and (rows := self._read_numbers(values)) is not None:
            return rows
        try:
            cells = list(self._rows(values))
        except RejectedError as error:
            return self._advised(error.rejection)
        if not cells:
            return invalid((), "too_short", "at least one row is needed")
        rows = np.array(cells, dtype=self._type)
        return rows if self._rounding is None else self._rounding(rows)

    def _advised(self, rejection: Rejection) -> Rejection:
        """A value of another type, or a missing one, may be right where only the file of the model tells what is."""
        if not self.schema.is_inferred or rejection.kind not in KINDS_OF_TYPES:
            return rejection
        return dataclasses.replace(rejection, message=f"{rejection.message}: {_INFERRED}")

    def read_matrix(self, matrix: Sequence[Sequence[float | None]]) -> Rows | Rejection | None:
        """The rows if all is well with a matrix of `Number`; None if it has to be walked to say what is wrong.

        Only where `takes_missing` may there be None.
        """
        if len(matrix) > self.max_rows:
            return self.too_many(len(matrix))
        width = len(self.schema.columns)
        if set(map(len, matrix)) != {width}:
            return None
        rows = _floats(matrix, width)
        unlimited = not (self._has_limits or self.takes_missing)  # nothing to find that the type has not refused
        if not (unlimited or self._is_clean(rows)):
            return None
        return rows if self._rounding is None else self._rounding(rows)

    def _read_numbers(self, values: Any) -> Rows | Rejection | None:
        """The rows of a list of lists, if they are all numbers and all is well; a walk takes ten times as long."""
        if not isinstance(values, list) or not values or not isinstance(values[0], list):
            return None
        try:
            matrix = list[list[Number | None]] if self.takes_missing else list[list[Number]]
            return self.read_matrix(msgspec.convert(values, matrix))
        except msgspec.ValidationError:
            return None

    def _is_clean(self, rows: Rows) -> bool:
        fits = (rows >= self._low) & (rows <= self._high)
        if self._has_integers:
            integers = rows[:, self._integers]
            fits[:, self._integers] &= integers == np.trunc(integers)
        if self.takes_missing:
            fits |= np.isnan(rows) & self._nullable
        return bool(fits.all())

    def _rows(self, values: Any) -> Iterator[list[Any]]:
        match values:
            case dict():
                return self._from_columns(values)
            case [dict(), *_]:
                self._count(len(values))
                return (self._from_record(row, (at,)) for at, row in enumerate(values))
            case [list(), *_]:
                self._count(len(values))
                return (self._from_list(row, (at,)) for at, row in enumerate(values))
            case [_, *_]:
                return iter([self._from_list(values, ())])
            case []:
                return iter([])
        raise wrong((), "list_type", f"rows, a row or named columns are needed, not {type_name(values)}")

    def _from_list(self, row: Any, where: Location) -> list[Any]:
        columns = self.schema.columns
        if not isinstance(row, list):
            raise wrong(where, "list_type", f"a row must be a list like the first one, not {type_name(row)}")
        if len(row) != len(columns):
            names = ", ".join(self.schema.names[:20])
            raise wrong(
                where, "wrong_length", f"a row needs {len(columns)} values ({names}), and this one has {len(row)}"
            )
        return [self._cell(value, at, (*where, at)) for at, value in enumerate(row)]

    def _from_record(self, record: Any, where: Location) -> list[Any]:
        if not isinstance(record, dict):
            raise wrong(where, "dict_type", f"a record must be an object like the first one, not {type_name(record)}")
        return [
            self._cell(self._named(record, at, where), at, (*where, column.name))
            for at, column in enumerate(self.schema.columns)
        ]

    def _from_columns(self, columns: dict[str, Any]) -> Iterator[list[Any]]:
        lists = {}
        for at, name in enumerate(self.schema.names):
            value = self._named(columns, at, ())
            lists[name] = value if isinstance(value, list) else [value]
        given = {name: len(values) for name, values in lists.items() if name in columns}
        if not given:
            raise wrong((), "too_short", "at least one column is needed")
        first, rows = next(iter(given.items()))
        for name, length in given.items():
            if length != rows:
                raise wrong((name,), "wrong_length", f"{length} values, but {first!r} has {rows}")
        self._count(rows)
        cells = [values if name in given else values * rows for name, values in lists.items()]
        names = self.schema.names
        return (
            [self._cell(values[row], at, (names[at], row)) for at, values in enumerate(cells)] for row in range(rows)
        )

    def _named(self, record: dict[str, Any], at: int, where: Location) -> Any:
        column = self.schema.columns[at]
        if column.name in record:
            return record[column.name]
        if not self._required[at]:
            return None
        instead = "" if self.schema.is_named else _WITHOUT_NAMES
        raise wrong((*where, column.name), "missing", f"the column {column.name!r} is required{instead}")

    def _cell(self, value: Any, at: int, where: Location) -> Any:
        column = self.schema.columns[at]
        is_missing = (
            value is None
            or (isinstance(value, float) and math.isnan(value))  # some formats can say NaN
            or (value == _NO_DATE and column.kind is Kind.DATE)
        )
        if is_missing and self._nullable[at]:
            return math.nan
        return read_cell(None if is_missing else value, column, where)

    def _count(self, rows: int) -> None:
        if rows > self.max_rows:
            raise RejectedError(self.too_many(rows))

    def too_many(self, rows: int) -> Rejection:
        """What a request gets that has more rows than the limit."""
        message = f"the request has {rows} rows, and {self.max_rows} is the limit: split it"
        return Rejection(Cause.TOO_LARGE, message)


def example_reader(schema: Schema) -> RowReader:
    """Reads the input example of a model. Values may be missing wherever they can be: only the model knows where."""
    reader = RowReader(schema, EXAMPLE_ROWS)
    reader.allow_missing([True] * len(schema.columns))
    return reader


def _floats(matrix: Sequence[Sequence[float | None]], width: int) -> Rows:
    """A matrix of rows of the same width, NaN where a value is None."""
    if len(matrix) > _FEW:
        try:
            return np.fromiter(chain.from_iterable(matrix), np.float64, len(matrix) * width).reshape(-1, width)
        except TypeError:  # a value is None, of which only np.array knows what it means
            pass
    return np.array(matrix, dtype=np.float64)
