"""What a model of any kind answers, as one value for each row: arrays, tables, series, lists of whatever JSON has.

MLflow writes whatever a model returns. Here requests may be answered together and rows be counted, so an answer that is
not one value per row is refused, with what it is.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sluice_server.runtimes.finite import not_finite, refuse_infinity
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.port import ModelError

_PLAIN, _TIMES = "biuf", "mM"  # numpy's kinds of booleans and numbers, and of durations and dates
_WITH_MISSING = "fM"  # kinds that have a value for what is missing, and take None for it


def per_row(answer: Any, rows: int) -> Output:
    """An answer to so many rows, without probabilities and classes.

    Raises ModelError for anything else, and NotFiniteError for infinity. NaN is a missing value.
    """
    output = _read(answer)
    if len(output.values) != rows:
        raise ModelError(
            f"the model answers {rows} rows with {len(output.values)} predictions: let predict() return one each"
        )
    refuse_infinity(output.values)
    return output


def _read(answer: Any) -> Output:
    if isinstance(answer, pd.DataFrame):
        return _named(answer.columns, [answer.iloc[:, at] for at in range(len(answer.columns))])
    if isinstance(answer, pd.Series):
        name = str(0 if answer.name is None else answer.name)  # what MLflow calls a series without a name
        return Output(_array(answer), None, None, (name,))
    if isinstance(answer, Mapping):
        return _named(answer.keys(), list(answer.values()))
    return Output(_array(answer.toarray() if sparse.issparse(answer) else answer), None, None)


def _named(labels: Iterable[Any], columns: Sequence[Any]) -> Output:
    """A table of (rows, columns); of objects unless all columns have one type of numbers."""
    names = tuple(str(label) for label in labels)
    for name, times in Counter(names).items():
        if times > 1:
            raise ModelError(f"the model answers {times} columns called {name!r} in JSON: give each a name of its own")
    arrays = [_array(values) for values in columns]
    if not arrays or any(len(array) != len(arrays[0]) for array in arrays):
        raise ModelError("the model answers columns of different lengths: let predict() return a value for each row")
    if len({array.dtype for array in arrays}) == 1 and arrays[0].dtype.kind in _PLAIN:
        return Output(np.stack(arrays, axis=1), None, None, names)
    table = np.empty((len(arrays[0]), len(arrays)), dtype=object)
    for at, array in enumerate(arrays):
        table[:, at] = _cells(array.tolist())
    return Output(table, None, None, names)


def _array(values: Any) -> Values:
    """An array whose first dimension are the rows; anything but numbers becomes cells that JSON has."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray | pd.Series | pd.Index):
        raise ModelError(
            f"the model answers a {type(values).__name__}: let predict() return an array, a table, or a list with a "
            "value for each row"
        )
    array = _unmasked(values) if isinstance(values, np.ndarray) else _compact(values)
    if array.ndim == 0:
        raise ModelError("the model answers a single number: let predict() return one for each row")
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(float).itemsize:
        array = array.astype(float)  # JSON has no longer ones
    return array if array.dtype.kind in _PLAIN else _cells(_listed(array))


def _unmasked(array: Values) -> Values:
    """What is masked is missing: NaN, NaT or None."""
    values = np.ma.getdata(array)
    if not np.ma.is_masked(array):
        return values
    missing = np.ma.getmaskarray(array)
    values = values.copy() if values.dtype.kind in _WITH_MISSING else values.astype(object)
    values[missing] = None
    return values


def _listed(array: Values) -> list[Any]:
    """The values of each row. Where numpy would make numbers out of dates and durations, they stay what they are."""
    if array.dtype.kind not in _TIMES:
        listed: list[Any] = array.tolist()
        return listed
    return [_listed(row) for row in array] if array.ndim > 1 else list(array)


def _compact(values: Any) -> Values:
    """Numbers as an array of numbers; whatever is mixed, nested or else as an array of objects."""
    if isinstance(values, pd.Series | pd.Index) and isinstance(values.dtype, np.dtype):
        return np.asarray(values)
    listed = list(values)
    if {type(value) for value in listed} <= {int, float} or len({type(value) for value in listed}) == 1:
        try:
            array = np.asarray(listed)
        except ValueError:  # lists of different lengths
            return _cells(listed)
        if array.dtype.kind in _PLAIN:
            return array
    return _cells(listed)


def _cells(values: Sequence[Any]) -> Values:
    cells = np.empty(len(values), dtype=object)
    cells[:] = [_cell(row, value) for row, value in enumerate(values)] if values else []
    return cells


def _cell(row: int, value: Any) -> Any:
    try:
        return _in_json(value)
    except OverflowError:
        raise not_finite(row, "infinite") from None


def _in_json(value: Any) -> Any:
    """A value with nothing in it that JSON does not have; missing ones are None.

    Raises ModelError, and OverflowError for infinity.
    """
    if isinstance(value, np.datetime64):
        return _date(value)
    if isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = float(value) if isinstance(value, np.floating) else value.item()
    match value:
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            raise OverflowError
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): _in_json(each) for key, each in value.items()}
        case list() | tuple() | set():
            return [_in_json(each) for each in value]
        case np.ndarray():
            return [_in_json(each) for each in _listed(value)]
        case bytes() | bytearray():
            return base64.encodebytes(value).decode()  # as MLflow writes them
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "model_dump"):  # of pydantic, which MLflow takes as well
        return _in_json(value.model_dump())
    raise ModelError(f"the model answers a {type(value).__name__}, which JSON does not have: return numbers and texts")


def _date(value: np.datetime64) -> str | None:
    """A date as MLflow writes it in a table. Python knows no nanoseconds, and pandas no years after 9999."""
    if np.isnat(value):
        return None
    moment = value.item()
    if isinstance(moment, date):
        return moment.isoformat()
    try:
        return str(pd.Timestamp(value).isoformat())
    except ValueError:
        return str(value)
