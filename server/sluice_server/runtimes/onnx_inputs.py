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

_TYPES: dict[str, tuple[type, frozenset[Kind]]] = {  # numpy's type, and the columns that it holds without a loss
    "tensor(float)": (np.float32, NUMERIC),
    "tensor(double)": (np.float64, NUMERIC),
    "tensor(int64)": (np.int64, frozenset({Kind.INTEGER, Kind.BOOLEAN})),
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
    return lambda rows: {each.name: rows.astype(kind, copy=False)}


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
        return {name: rows[:, at].astype(kind).reshape(shape) for at, (name, kind, shape) in enumerate(parts)}

    return feed


def _type_for(each: Input, columns: Sequence[Column]) -> type:
    kind, holds = _TYPES.get(each.type, (np.object_, frozenset()))
    for column in columns:
        if column.kind not in holds:
            raise ModelError(
                f"input {each.name!r} of the model is a {each.type}, and the signature calls column {column.name!r} a "
                f"{column.kind}: export the model with inputs of {', '.join(sorted(_TYPES))}, and log it with a "
                "signature of the same types"
            )
    return kind
