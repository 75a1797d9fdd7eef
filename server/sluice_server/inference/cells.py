"""From one decoded value to a cell of a row, or to a rejection that names the place.

Nothing is cast with loss: 2.9 is no integer, "1" no number, and null no value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from sluice_server.inference.rejection import Location, Rejection, invalid
from sluice_server.model.schema import Column, Kind

LARGEST = float(np.finfo(np.float32).max)  # trees compute in single precision; one rule for all models is simpler
Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]  # also not NaN
KINDS_OF_TYPES = frozenset({"bool_type", "float_type", "string_type", "datetime_type"})  # of rejections
LARGEST_INTEGER = 2.0**53  # above it a float64 cannot hold every whole number


class RejectedError(Exception):
    """Carries the rejection of the first fault out of the walk through the values."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection


def wrong(location: Location, kind: str, message: str) -> RejectedError:
    """What to raise for a value that does not fit."""
    return RejectedError(invalid(location, kind, message))


def read_cell(value: Any, column: Column, where: Location) -> Any:
    """The cell for a value that is there; raises RejectedError."""
    cell = _READ[column.kind](value, column, where)
    fits = column.range
    if fits is not None and not fits.low <= cell <= fits.high:
        raise wrong(
            where,
            "out_of_range",
            f"{column.name!r} is of the type {fits.type}, which goes from {fits.low:.0f} to {fits.high:.0f}",
        )
    return cell


def bounds(column: Column) -> tuple[float, float]:
    """The smallest and the largest number that `read_cell` accepts for a column of numbers."""
    most = LARGEST_INTEGER - 1 if column.kind is Kind.INTEGER else LARGEST
    fits = column.range
    return (-most, most) if fits is None else (max(-most, fits.low), min(most, fits.high))


def _boolean(value: Any, column: Column, where: Location) -> float:
    if not isinstance(value, bool):
        raise wrong(where, "bool_type", f"{column.name!r} needs true or false, not {type_name(value)}")
    return float(value)


def _number(value: Any, column: Column, where: Location) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(where, "float_type", f"{column.name!r} needs a number, not {type_name(value)}")
    if abs(value) > LARGEST:
        raise wrong(
            where, "too_large", f"{column.name!r} is beyond the largest number that models compute with, 3.4e38"
        )
    return float(value)


def _integer(value: Any, column: Column, where: Location) -> float:
    number = _number(value, column, where)
    if value != int(value):
        raise wrong(where, "int_from_float", f"{column.name!r} needs a whole number, and {value} would be cut")
    if abs(value) >= LARGEST_INTEGER:
        raise wrong(where, "too_large", f"{column.name!r} is a whole number beyond 2^53, which would be rounded")
    return number


def _text(value: Any, column: Column, where: Location) -> str:
    if not isinstance(value, str):
        raise wrong(where, "string_type", f"{column.name!r} needs a string, not {type_name(value)}")
    return value


def _date(value: Any, column: Column, where: Location) -> datetime:
    """Dates without a time zone are taken as they are, as pandas does; others in UTC."""
    needs = f"{column.name!r} needs a date as a string, such as 2025-01-31T12:30:00"
    if not isinstance(value, str):
        raise wrong(where, "datetime_type", f"{needs}, not {type_name(value)}")
    try:
        date = datetime.fromisoformat(value)
        return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise wrong(where, "datetime_parsing", f"{needs}, and this is none") from None


_READ: Mapping[Kind, Callable[[Any, Column, Location], Any]] = {
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.TEXT: _text,
    Kind.DATE: _date,
}


def type_name(value: Any) -> str:
    """What a JSON value is, for messages."""
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
