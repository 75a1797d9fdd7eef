"""From the bytes of a /predict request to a matrix in the model's column order, or to FastAPI's `detail`.

Accepted are `{"features": ...}` with rows, one flat row, named columns or a list of records. The common form (rows of
numbers) is decoded in one typed pass; everything else, including whatever is wrong, is walked cell by cell so that
the answer can name the field. Nothing is cast with loss: 2.9 is no integer, "1" no number, null no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import Column, Kind, Schema

Rows: TypeAlias = NDArray[np.float64]
Location: TypeAlias = tuple[str | int, ...]

LARGEST = float(np.finfo(np.float32).max)  # trees compute in single precision; one rule for all models is simpler
LARGEST_INTEGER = 2.0**53  # beyond it neighbours are lost in a float64


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that gets an error: status code and the `detail` of the answer."""

    code: int
    detail: str | list[dict[str, Any]]


class _PayloadError(Exception):
    """Carries the first fault of a body to the border of this module."""

    def __init__(self, location: Location, kind: str, message: str) -> None:
        super().__init__(message)
        self.location = location
        self.kind = kind


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    features: list[list[float]]


class PayloadReader:
    """Reads request bodies for one schema; at most `max_rows` rows."""

    def __init__(self, schema: Schema, max_rows: int) -> None:
        self._schema = schema
        self._max_rows = max_rows
        self._plain = msgspec.json.Decoder(_Plain)
        self._any = msgspec.json.Decoder()
        self._plain_fits = all(column.kind is not Kind.BOOLEAN for column in schema.columns)
        self._integers = np.array([column.kind is Kind.INTEGER for column in schema.columns])
        self._has_integers = bool(self._integers.any())

    def read(self, body: bytes) -> Rows | Rejected:
        """The rows as float64 of shape (rows, columns), or why not."""
        try:
            rows = self._read_plain(body)
            return self._read_any(body) if rows is None else rows
        except _PayloadError as wrong:
            return unprocessable(wrong.location, wrong.kind, str(wrong))
        except _TooManyRowsError as too_many:
            return Rejected(413, f"the request has {too_many.rows} rows, and {self._max_rows} is the limit: split it")

    def _read_plain(self, body: bytes) -> Rows | None:
        """The rows if the body is a plain, clean matrix; None if it has to be walked."""
        if not self._plain_fits:
            return None
        try:
            features = self._plain.decode(body).features
        except (msgspec.DecodeError, RecursionError):
            return None
        if len(features) > self._max_rows:
            raise _TooManyRowsError(len(features))
        width = len(self._schema.columns)
        if not features or any(len(row) != width for row in features):
            return None
        rows = np.array(features, dtype=np.float64)
        return rows if self._clean(rows) else None

    def _clean(self, rows: Rows) -> bool:
        if not (np.abs(rows) <= LARGEST).all():
            return False
        if not self._has_integers:
            return True
        integers = rows[:, self._integers]
        return bool(((np.abs(integers) < LARGEST_INTEGER) & (integers == np.trunc(integers))).all())

    def _read_any(self, body: bytes) -> Rows:
        try:
            content = self._any.decode(body)
        except msgspec.DecodeError as error:
            raise _PayloadError(("body",), "json_invalid", f"the body is not JSON: {error}") from None
        except RecursionError:
            raise _PayloadError(("body",), "json_invalid", "the body is nested too deeply") from None
        features = _features(content)
        cells = list(self._rows(features))
        if not cells:
            raise _PayloadError(("body", "features"), "too_short", "at least one row is needed")
        return np.array(cells, dtype=np.float64)

    def _rows(self, features: Any) -> Iterator[list[float]]:
        match features:
            case dict():
                return self._from_columns(features)
            case [dict(), *_]:
                self._count(len(features))
                return (self._from_record(row, ("body", "features", at)) for at, row in enumerate(features))
            case [list(), *_]:
                self._count(len(features))
                return (self._from_list(row, ("body", "features", at)) for at, row in enumerate(features))
            case [_, *_]:
                return iter([self._from_list(features, ("body", "features"))])
            case []:
                return iter([])
        raise _PayloadError(
            ("body", "features"), "list_type", f"rows, a row or named columns are needed, not {_name(features)}"
        )

    def _from_list(self, row: Any, where: Location) -> list[float]:
        columns = self._schema.columns
        if not isinstance(row, list):
            raise _PayloadError(where, "list_type", f"a row must be a list like the first one, not {_name(row)}")
        if len(row) != len(columns):
            names = ", ".join(self._schema.names[:20])
            raise _PayloadError(
                where, "wrong_length", f"a row needs {len(columns)} values ({names}), and this one has {len(row)}"
            )
        return [_cell(value, column, (*where, at)) for at, (value, column) in enumerate(zip(row, columns, strict=True))]

    def _from_record(self, record: Any, where: Location) -> list[float]:
        if not isinstance(record, dict):
            raise _PayloadError(
                where, "dict_type", f"a record must be an object like the first one, not {_name(record)}"
            )
        return [_cell(_named(record, column, where), column, (*where, column.name)) for column in self._schema.columns]

    def _from_columns(self, columns: dict[str, Any]) -> Iterator[list[float]]:
        where: Location = ("body", "features")
        lists = {}
        for column in self._schema.columns:
            value = _named(columns, column, where)
            lists[column.name] = value if isinstance(value, list) else [value]
        lengths = {name: len(values) for name, values in lists.items()}
        rows = next(iter(lengths.values()))
        for name, length in lengths.items():
            if length != rows:
                first = self._schema.names[0]
                raise _PayloadError((*where, name), "wrong_length", f"{length} values, but {first!r} has {rows}")
        self._count(rows)
        return ([_cell(lists[c.name][at], c, (*where, c.name, at)) for c in self._schema.columns] for at in range(rows))

    def _count(self, rows: int) -> None:
        if rows > self._max_rows:
            raise _TooManyRowsError(rows)


class _TooManyRowsError(Exception):
    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


def unprocessable(location: Location, kind: str, message: str) -> Rejected:
    """A 422 in FastAPI's shape."""
    return Rejected(422, [{"type": kind, "loc": list(location), "msg": message}])


def _features(content: Any) -> Any:
    if not isinstance(content, dict):
        raise _PayloadError(("body",), "dict_type", f'the body must be {{"features": ...}}, not {_name(content)}')
    if "features" not in content:
        raise _PayloadError(("body", "features"), "missing", "the field 'features' is required")
    for field in content:
        if field != "features":
            raise _PayloadError(
                ("body", field), "extra_forbidden", f"there is no field {field!r}; 'features' is the only one"
            )
    return content["features"]


def _named(record: dict[str, Any], column: Column, where: Location) -> Any:
    if column.name not in record:
        raise _PayloadError((*where, column.name), "missing", f"the column {column.name!r} is required")
    return record[column.name]


def _cell(value: Any, column: Column, where: Location) -> float:
    if column.kind is Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise _PayloadError(where, "bool_type", f"{column.name!r} needs true or false, not {_name(value)}")
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _PayloadError(where, "float_type", f"{column.name!r} needs a number, not {_name(value)}")
    if abs(value) > LARGEST:
        raise _PayloadError(
            where, "too_large", f"{column.name!r} is beyond the largest number that models compute with, 3.4e38"
        )
    if column.kind is Kind.INTEGER:
        if value != int(value):
            raise _PayloadError(
                where, "int_from_float", f"{column.name!r} needs a whole number, and {value} would be cut"
            )
        if abs(value) >= LARGEST_INTEGER:
            raise _PayloadError(
                where, "too_large", f"{column.name!r} is a whole number beyond 2^53, which would be rounded"
            )
    return float(value)


def _name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
