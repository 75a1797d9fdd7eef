"""The signature of an ONNX file that was logged without one: its inputs have names, types and shapes."""

from __future__ import annotations

from typing import Any

import onnx

from sluice_server.runtimes import inferred

_OF_COLUMNS = {"float32": "float", "float64": "double", "int32": "integer", "int64": "long", "bool": "boolean"}
_TEXT = "object"


def inputs(model: Any) -> str | None:
    """As MLmodel would have it: a tensor, or a column for each input; None for anything else."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    found = [_described(each) for each in model.graph.input if each.name not in fixed]
    match found:
        case [(_, str(dtype), [_, int(width)])] if width > 0:
            return inferred.of_tensor("str" if dtype == _TEXT else dtype, width)
    types = [_column_type(dtype, sizes) for _, dtype, sizes in found]
    known = [kind for kind in types if kind is not None]
    return inferred.of_columns([name for name, _, _ in found], known) if len(known) == len(types) > 0 else None


def _described(each: Any) -> tuple[str, str | None, list[int]]:
    """Name, numpy's name of the type, and the sizes, 0 where any fits."""
    kind = each.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except KeyError:  # no tensor, or a type that numpy does not have
        dtype = None
    return each.name, dtype, [max(size.dim_value, 0) for size in kind.shape.dim]


def _column_type(dtype: str | None, sizes: list[int]) -> str | None:
    if len(sizes) not in (1, 2) or sizes[1:] not in ([], [1]) or dtype is None:
        return None
    return "string" if dtype == _TEXT else _OF_COLUMNS.get(dtype)
