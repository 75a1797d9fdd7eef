"""A signature for a model that was logged without one, where its file has names and types of what it was fitted on.

In the form that MLflow writes into MLmodel. It says nothing of optional columns: nothing but a signature tells of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


def of_columns(names: Sequence[str] | None, types: Sequence[str]) -> str:
    """That of a table; `types` are MLflow's. Columns without names are known by their place."""
    entries = [{"type": kind, "required": True} for kind in types]
    if names is not None:
        entries = [{**entry, "name": name} for entry, name in zip(entries, names, strict=True)]
    return msgspec.json.encode(entries).decode()


def of_tensor(dtype: str, width: int) -> str:
    """That of a matrix of so many columns, with numpy's name for the type."""
    spec = {"dtype": dtype, "shape": [-1, width]}
    return msgspec.json.encode([{"type": "tensor", "tensor-spec": spec}]).decode()


def of_categories(values: Sequence[object]) -> str:
    """The type of a column that has these values and no others."""
    if isinstance(values[0], str):
        return "string"
    return "long" if all(isinstance(value, int) for value in values) else "double"
