"""What a model takes: the columns of its MLflow signature, as far as this server can serve them.

Served are numbers, booleans, text and dates, as named columns, unnamed columns or one tensor of shape (-1, n) or (-1,).
Pure; used by the preflight (is it servable?), the row reader (does a request fit?) and the OpenAPI description.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

# (rows, columns), in the column order of a schema. float64 where all columns are numbers or booleans, else objects: a
# float for a number or boolean, str, datetime without a time zone (UTC). NaN where a value is missing, in both.
Rows: TypeAlias = NDArray[Any]


class Kind(StrEnum):
    """What a cell of a column may hold in JSON."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "string"
    DATE = "datetime"


NUMERIC = frozenset({Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN})


DOUBLE = "float64"


@dataclass(frozen=True, slots=True)
class Range:
    """What numbers of a type go to, from `low` to `high`; beyond it they would become other numbers without a word."""

    type: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Column:
    """One input column; an unnamed one is called by its position. One that is not `required` may be left out.

    `range`: that of its type, where it is smaller than what a column of its kind may hold anyway. `precision`: numpy's
    name of the type that its numbers are rounded to; all but some of Kind.NUMBER are float64 in a row anyway.
    """

    name: str
    kind: Kind
    required: bool = True
    range: Range | None = None
    precision: str = DOUBLE


@dataclass(frozen=True, slots=True)
class Schema:
    """The input columns in the order the model wants them.

    `is_inferred`: they are from the file of a model that was logged without a signature. It tells less: which values
    may be missing, for example, only the model itself knows.
    """

    columns: tuple[Column, ...]
    is_inferred: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def is_named(self) -> bool:
        """Whether the columns have names, and not only positions."""
        return self.names != tuple(map(str, range(len(self.columns))))

    @property
    def is_numeric(self) -> bool:
        """Whether its rows are matrices of float64."""
        return all(column.kind in NUMERIC for column in self.columns)

    @property
    def is_one_text(self) -> bool:
        """Whether a row is one text."""
        return [column.kind for column in self.columns] == [Kind.TEXT]


MOST_COLUMNS = 100_000  # of a tensor, whose width is a number in a file


class SignatureError(ValueError):
    """A signature that this server cannot serve; the message names the column and what to do."""


_COLUMN_KINDS = {
    "double": Kind.NUMBER,
    "float": Kind.NUMBER,
    "long": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
    "string": Kind.TEXT,
    "datetime": Kind.DATE,
}


_ROUNDED = ("float16", "float32")  # what single precision and half of it make of the numbers of JSON
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_WHOLE = frozenset(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))


def parse_inputs(inputs: str, is_inferred: bool = False) -> Schema:
    """The schema of a signature's `inputs` (a JSON string, as MLmodel holds it); raises SignatureError."""
    try:
        entries = msgspec.json.decode(inputs, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise SignatureError("the signature's inputs are not a JSON list of columns: log the model again") from None
    if len(entries) == 1 and entries[0].get("type") == "tensor":
        columns = _tensor_columns(entries[0])
    else:
        columns = tuple(_column(position, entry) for position, entry in enumerate(entries))
    names = [column.name for column in columns]
    if not names or len(set(names)) != len(names):
        raise SignatureError("the signature needs at least one input column, each with a name of its own")
    return Schema(columns, is_inferred)


def _column(position: int, entry: dict[str, Any]) -> Column:
    name = str(entry.get("name", position))
    kind = _COLUMN_KINDS.get(str(entry.get("type")))
    if entry.get("type") == "tensor":
        raise SignatureError(
            f"input {name!r} is one of several tensors, and this server takes one tensor, or a column for each input: "
            "log the same model with the signature of a table, infer_signature(pandas.DataFrame({...}), ...)"
        )
    if kind is None:
        raise SignatureError(
            f"input column {name!r} has type {entry.get('type')!r}, and this server takes {', '.join(_COLUMN_KINDS)}: "
            "give the model columns of these types"
        )
    int32 = _range("int32") if entry.get("type") == "integer" else None
    precision = "float32" if entry.get("type") == "float" else DOUBLE
    return Column(name, kind, entry.get("required") is not False, int32, precision)


def _tensor_columns(entry: dict[str, Any]) -> tuple[Column, ...]:
    spec = entry.get("tensor-spec")
    if not isinstance(spec, dict):
        raise SignatureError("the input is a tensor without tensor-spec: log the model with infer_signature")
    shape, dtype = spec.get("shape"), str(spec.get("dtype"))
    kind, width = _tensor_kind(dtype), _width(shape)
    if kind is None or width is None:
        raise SignatureError(
            f"the input is a tensor of {dtype} with shape {shape}, and this server takes numbers and text with shape "
            "[-1, n] or [-1]: log the model with rows of a fixed number of columns"
        )
    narrow, precision = _range(dtype), dtype if dtype in _ROUNDED else DOUBLE
    return tuple(Column(str(position), kind, range=narrow, precision=precision) for position in range(width))


def _width(shape: object) -> int | None:
    """The number of columns; None if they are not rows of a fixed number of them."""
    match shape:
        case [_]:
            return 1
        case [_, int(width)] if 0 < width <= MOST_COLUMNS:
            return width
    return None


def _tensor_kind(dtype: str) -> Kind | None:
    if dtype.startswith("float"):
        return Kind.NUMBER
    if dtype.startswith(("int", "uint")):
        return Kind.INTEGER
    return {"bool": Kind.BOOLEAN, "str": Kind.TEXT, "object": Kind.TEXT}.get(dtype)


def _range(dtype: str) -> Range | None:
    """That of a type of numpy; None where all that a row may hold fits into it."""
    if dtype == "float16":
        return Range(dtype, -_LARGEST_FLOAT16, _LARGEST_FLOAT16)
    if dtype in _WHOLE and dtype != "int64":
        limits = np.iinfo(dtype)
        return Range(dtype, float(limits.min), float(limits.max))
    return None
