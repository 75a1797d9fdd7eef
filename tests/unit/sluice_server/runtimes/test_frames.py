"""What MLflow gets for the rows of a request."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from sluice_server.runtimes import frames
from sluice_server.runtimes.port import UnfitRowsError

KINDS = ("double", "float", "long", "integer", "boolean", "string", "datetime")
ROW = [0.5, 1.5, 2.0, 3.0, 1.0, "x", datetime(2025, 1, 31, 12, 30)]


def columns(*kinds: str, named: bool = True) -> str:
    return json.dumps([{"type": kind} | ({"name": kind} if named else {}) for kind in kinds])


def tensor(dtype: str, *shape: int) -> str:
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}])


def test_each_column_has_the_type_of_the_signature() -> None:
    """MLflow refuses an int64 where the signature says integer, and a float64 where it says float."""
    table = frames.for_signature(columns(*KINDS))(np.array([ROW], dtype=object))
    types = ["float64", "float32", "int64", "int32", "bool", str(pd.Series(["x"]).dtype), "datetime64[ns]"]
    assert dict(table.dtypes.astype(str)) == dict(zip(KINDS, types, strict=True))
    assert table.iloc[0].tolist() == [0.5, 1.5, 2, 3, True, "x", pd.Timestamp("2025-01-31T12:30")]


@pytest.mark.parametrize("kinds", [("double", "double"), ("double", "long")])
def test_columns_without_names_are_numbered(kinds: tuple[str, ...]) -> None:
    """As in a table that pandas makes of a list."""
    assert list(frames.for_signature(columns(*kinds, named=False))(np.ones((1, 2))).columns) == [0, 1]


def test_a_missing_value_is_what_pandas_has_for_it() -> None:
    """None or NaN in a text, NaT in a date, NaN in a number; the values beside it stay what they are."""
    rows = np.array([[np.nan] * 4, [1.0, 1.0, "x", ROW[-1]]], dtype=object)
    table = frames.for_signature(columns("double", "boolean", "string", "datetime"))(rows)
    assert table.iloc[0].isna().all()
    assert table.iloc[1].tolist() == [1.0, True, "x", pd.Timestamp(ROW[-1])]


@pytest.mark.parametrize("kind", ["long", "integer"])
def test_a_whole_number_that_is_missing_in_all_rows_is_no_column(kind: str) -> None:
    """If the signature calls it optional: MLflow takes a table without it, and none with a gap in it."""
    inputs = json.dumps([{"type": "double", "name": "a"}, {"type": kind, "name": "n", "required": False}])
    to_input = frames.for_signature(inputs)
    table = to_input(np.array([[0.5, np.nan], [1.5, np.nan]]))
    assert (list(table.columns), table["a"].tolist()) == (["a"], [0.5, 1.5])
    assert to_input(np.array([[0.5, 2.0]]))["n"].tolist() == [2]
    with pytest.raises(UnfitRowsError, match="in a request of their own"):
        to_input(np.array([[0.5, np.nan], [1.5, 2.0]]))


def test_a_table_of_which_nothing_is_there_has_rows() -> None:
    """The model answers each of them."""
    inputs = json.dumps([{"type": "long", "name": "n", "required": False}])
    assert frames.for_signature(inputs)(np.array([[np.nan]] * 3)).shape == (3, 0)


def test_a_date_that_mlflow_has_no_room_for_is_the_callers_matter() -> None:
    """Nanoseconds end in the year 2262; whoever sends another date is told so, and the model has not failed."""
    rows = np.array([[datetime(9999, 12, 31)]], dtype=object)
    with pytest.raises(UnfitRowsError, match="2261"):
        frames.for_signature(columns("datetime"))(rows)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_a_tensor_has_its_type_and_shape(dtype: str) -> None:
    """Also the one with a single dimension, which is a column by itself."""
    matrix, vector = (frames.for_signature(tensor(dtype, *shape)) for shape in ((2,), ()))
    assert (matrix(np.ones((3, 2))).dtype, matrix(np.ones((3, 2))).shape) == (np.dtype(dtype), (3, 2))
    assert (vector(np.ones((3, 1))).dtype, vector(np.ones((3, 1))).shape) == (np.dtype(dtype), (3,))


def test_a_tensor_of_texts_is_an_array_of_objects() -> None:
    """MLflow calls it str or object."""
    texts = np.array([["a"], ["bc"]], dtype=object)
    assert frames.for_signature(tensor("str"))(texts).tolist() == ["a", "bc"]
