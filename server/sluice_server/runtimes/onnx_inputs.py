"""How the rows of a request become the inputs of an ONNX model: one matrix, or one input for each column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import NUMERIC, Column, Kind, Rows, Schema
from sluice_server.runtimes.port import ModelError

Inputs: TypeAlias = dict[str, NDArray[Any]]

_WHOLE = frozenset({Kind.INTEGER, Kind.BOOLEAN})
_WHOLE_IN_FLOAT16 = 2_048  # up to which it has each whole number
_TYPES: dict[str, tuple[type, frozenset[Kind]]] = {  # numpy's type, and the columns that it may hold without a loss
    "tensor(float16)": (np.float16, NUMERIC),
    "tensor(float)": (np.float32, NUMERIC),
    "tensor(double)": (np.float64, NUMERIC),
    **{f"tensor({kind.__name__})": (kind, _WHOLE) for kind in (np.int8, np.int16, np.int32, np.int64)},
    **{f"tensor({kind.__name__})": (kind, _WHOLE) for kind in (np.uint8, np.uint16, np.uint32, np.uint64)},
    "tensor(bool)": (np.bool_, frozenset({Kind.BOOLEAN})),
    "tensor(string)": (np.object_, frozenset({Kind.TEXT})),
}


@dataclass(frozen=True, slots=True)
class Input:
    """An input as the model file describes it; an entry of the shape is None where any size fits."""

    name: str
    type: str
    shape: tuple[int | None, ...]


def feeding(inputs: Sequence[Input], schema: Schema) -> Callable[[Rows], Inputs]:
    """What makes the inputs out of rows of the schema; raises ModelError if they cannot be made."""
    for each in inputs:
        if each.shape and each.shape[0] is not None:
            raise ModelError(
                f"input {each.name!r} takes {each.shape[0]} rows at a time: export the model with a first dimension of "
                "any size (dynamic_axes or dynamic_shapes)"
            )
    if len(inputs) == 1 and _is_matrix(inputs[0], len(schema.columns)):
        return _matrix(inputs[0], schema)
    if len(inputs) == len(schema.columns) and all(map(_is_column, inputs)):
        return _columns(inputs, schema)
    shown = ", ".join(f"{each.name!r} {each.type} {list(each.shape)}" for each in inputs[:5])
    raise ModelError(
        f"the model takes {len(inputs)} inputs ({shown}), and the signature has {len(schema.columns)} columns: a model "
        "is served that takes one input of shape [None, columns], or one of shape [None, 1] for each column"
    )


def _is_matrix(each: Input, width: int) -> bool:
    return len(each.shape) == 2 and each.shape[1] in (None, width)


def _is_column(each: Input) -> bool:
    return len(each.shape) == 1 or (len(each.shape) == 2 and each.shape[1] in (None, 1))


def _matrix(each: Input, schema: Schema) -> Callable[[Rows], Inputs]:
    kind = _type_for(each, schema.columns)
    return lambda rows: {each.name: _cast(rows, kind)}


def _columns(inputs: Sequence[Input], schema: Schema) -> Callable[[Rows], Inputs]:
    """By their names where both sides have the same ones, else by their places."""
    by_name = {each.name: each for each in inputs}
    ordered = [by_name[name] for name in schema.names] if set(by_name) == set(schema.names) else list(inputs)
    kinds = [_type_for(each, [column]) for each, column in zip(ordered, schema.columns, strict=True)]
    parts = [
        (each.name, kind, (-1,) * len(each.shape[:1]) + (1,) * len(each.shape[1:]))
        for each, kind in zip(ordered, kinds, strict=True)
    ]

    def feed(rows: Rows) -> Inputs:
        return {name: _cast(rows[:, at], kind).reshape(shape) for at, (name, kind, shape) in enumerate(parts)}

    return feed


def _cast(cells: Rows, kind: type) -> NDArray[Any]:
    """Cells as the model has them; raises ValueError where a value is missing that its type cannot say."""
    if issubclass(kind, np.integer | np.bool_) and (cells != cells).any():  # noqa: PLR0124 - NaN is not itself
        raise ValueError("a whole number or a boolean is missing, which the model cannot be told")
    return cells.astype(kind, copy=False)


def _type_for(each: Input, columns: Sequence[Column]) -> type:
    kind, kinds = _TYPES.get(each.type, (np.object_, frozenset()))
    for column in columns:
        if column.kind not in kinds or not _holds(kind, column):
            limited = "" if column.range is None else f" ({column.range.type})"
            raise ModelError(
                f"input {each.name!r} of the model is a {each.type}, and the signature calls column {column.name!r} a "
                f"{column.kind}{limited}: export the model with inputs of {', '.join(_TYPES)}, and log it with a "
                "signature of the same types, such as infer_signature(X) of the array that the model takes"
            )
    return kind


def _holds(kind: type, column: Column) -> bool:
    """Whether a type has all numbers of a column; those of a type of its own are checked in each request."""
    if column.kind is Kind.BOOLEAN or not (kind is np.float16 or issubclass(kind, np.integer)) or kind is np.int64:
        return True
    if kind is np.float16:
        largest = _WHOLE_IN_FLOAT16 if column.kind is Kind.INTEGER else float(np.finfo(kind).max)
        low, high = -largest, largest
    else:
        limits = np.iinfo(kind.__name__)
        low, high = float(limits.min), float(limits.max)
    return column.range is not None and low <= column.range.low and column.range.high <= high
