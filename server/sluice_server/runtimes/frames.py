"""Rows as MLflow wants them: a table with the signature's types and names, or an array where it has a tensor.

MLflow compares a table with the signature type by type, and refuses a float64 where it says long or float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pandas as pd

from sluice_server.model.schema import Rows
from sluice_server.runtimes.port import UnfitRowsError

ToInput: TypeAlias = Callable[[Rows], Any]

_NUMBERS = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32", "boolean": "bool"}
_FLOATS, _WHOLE = ("double", "float"), ("long", "integer")


def for_signature(inputs: str) -> ToInput:
    """What makes MLflow's input out of rows; `inputs` are those of the signature, as MLmodel has them."""
    entries: list[dict[str, Any]] = msgspec.json.decode(inputs)
    if entries[0]["type"] == "tensor":
        spec = entries[0]["tensor-spec"]
        return _array(str(spec["dtype"]), len(spec["shape"]))
    kinds = [str(entry["type"]) for entry in entries]
    whole = [kind in _WHOLE and entry.get("required") is False for kind, entry in zip(kinds, entries, strict=True)]
    return _table(kinds, [entry.get("name", at) for at, entry in enumerate(entries)], whole)


def _array(dtype: str, dimensions: int) -> ToInput:
    target = np.dtype(object if dtype == "str" else dtype)

    def to_array(rows: Rows) -> Any:
        values = rows.astype(target)
        return values[:, 0] if dimensions == 1 else values

    return to_array


def _table(kinds: Sequence[str], names: Sequence[str | int], may_be_left_out: Sequence[bool]) -> ToInput:
    """`may_be_left_out`: columns without which MLflow takes a table, and with missing values it does not."""
    labels = pd.Index(names)
    if all(kind == "double" for kind in kinds):
        return lambda rows: pd.DataFrame(rows, columns=labels)

    def to_table(rows: Rows) -> Any:
        there = [at for at in range(len(kinds)) if not (may_be_left_out[at] and pd.isna(rows[:, at]).all())]
        table = pd.DataFrame({at: _column(rows[:, at], kinds[at]) for at in there}, index=pd.RangeIndex(len(rows)))
        table.columns = labels[there]
        return table

    return to_table


def _column(cells: Rows, kind: str) -> Any:
    """The values of a column; raises UnfitRowsError."""
    if kind == "string":
        texts = [None if pd.isna(cell) else cell for cell in cells.tolist()]
        return pd.Series(texts, dtype=object if None in texts else None)
    if kind == "datetime":
        return _dates(cells)
    numbers = cells.astype(np.float64)
    if kind in _FLOATS or not np.isnan(numbers).any():
        return numbers.astype(_NUMBERS[kind])
    if kind == "boolean":
        return pd.Series([None if np.isnan(number) else bool(number) for number in numbers], dtype=object)
    raise UnfitRowsError(
        "a whole number is missing in some rows and there in others, which MLflow cannot give to a model: send those "
        "without it in a request of their own"
    )


def _dates(cells: Rows) -> Any:
    """In nanoseconds, as MLflow has them: they hold the years 1678 to 2261."""
    try:
        return pd.Series([pd.Timestamp(cell) for cell in cells.tolist()]).astype("datetime64[ns]")  # of NaN, NaT
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        raise UnfitRowsError(
            "a date is before the year 1678 or after 2261, which MLflow cannot give to a model"
        ) from None
