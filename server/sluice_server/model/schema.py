"""What a model takes: the columns of its MLflow signature, as far as this server can serve them.

Served are numbers and booleans, as named columns, unnamed columns or one tensor of shape (-1, n). Pure; used by the
preflight (is it servable?), the row reader (does a request fit?) and the OpenAPI description.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.float64]  # (rows, columns), in the column order of a schema


class Kind(StrEnum):
    """What a cell of a column may hold in JSON."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One input column; an unnamed one is called by its position. One that is not `required` may be left out."""

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """The input columns in the order the model wants them."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def is_named(self) -> bool:
        """Whether the columns have names, and not only positions."""
        return self.names != tuple(map(str, range(len(self.columns))))


class SignatureError(ValueError):
    """A signature that this server cannot serve; the message names the column and what to do."""


_COLUMN_KINDS = {
    "double": Kind.NUMBER,
    "float": Kind.NUMBER,
    "long": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
}


def parse_inputs(inputs: str) -> Schema:
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
    return Schema(columns)


def _column(position: int, entry: dict[str, Any]) -> Column:
    name = str(entry.get("name", position))
    kind = _COLUMN_KINDS.get(str(entry.get("type")))
    if kind is None:
        raise SignatureError(
            f"input column {name!r} has type {entry.get('type')!r}, and this server takes {', '.join(_COLUMN_KINDS)}: "
            "encode it as numbers before the model"
        )
    return Column(name, kind, entry.get("required") is not False)


def _tensor_columns(entry: dict[str, Any]) -> tuple[Column, ...]:
    spec = entry.get("tensor-spec")
    if not isinstance(spec, dict):
        raise SignatureError("the input is a tensor without tensor-spec: log the model with infer_signature")
    shape, dtype = spec.get("shape"), str(spec.get("dtype"))
    kind = _tensor_kind(dtype)
    if kind is None or not isinstance(shape, list) or len(shape) != 2 or not _is_width(shape[1]):
        raise SignatureError(
            f"the input is a tensor of {dtype} with shape {shape}, and this server takes numbers with shape [-1, n]: "
            "log the model with rows of a fixed number of columns"
        )
    return tuple(Column(str(position), kind) for position in range(shape[1]))


def _is_width(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= 100_000


def _tensor_kind(dtype: str) -> Kind | None:
    if dtype.startswith("float"):
        return Kind.NUMBER
    if dtype.startswith(("int", "uint")):
        return Kind.INTEGER
    return Kind.BOOLEAN if dtype == "bool" else None
