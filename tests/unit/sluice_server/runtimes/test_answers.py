"""Whatever a model returns becomes one value of JSON per row, or a sentence."""

from __future__ import annotations

from collections import namedtuple
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sluice_server.runtimes.answers import per_row
from sluice_server.runtimes.port import ModelError, NotFiniteError

TABLE = pd.DataFrame({"label": ["x", None], "score": [0.5, np.nan], "rank": [1, 2]})
DATES = np.array(["2020-01-01", "2020-01-02T03:04:05"], dtype="datetime64[ns]")
WRITTEN = ["2020-01-01T00:00:00", "2020-01-02T03:04:05"]
Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("answer", "written", "kind"),
    [
        (np.array([1, 2]), [1, 2], "integer"),
        (np.array([0.5, np.nan]), [0.5, None], "number"),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]], "number"),
        (np.array(["a", "b"]), ["a", "b"], "string"),
        (np.array(["a", None], dtype=object), ["a", None], "string"),
        (np.array(["2025-01-31", "NaT"], dtype="datetime64[D]"), ["2025-01-31", None], "string"),
        (DATES, WRITTEN, "string"),
        (DATES.reshape(2, 1), [[date] for date in WRITTEN], "object"),
        (list(DATES), WRITTEN, "string"),
        ([{"at": DATES}, {"at": DATES[:1]}], [{"at": WRITTEN}, {"at": WRITTEN[:1]}], "object"),
        (pd.Series(DATES), [{"0": date} for date in WRITTEN], "string"),
        (pd.DatetimeIndex(DATES), WRITTEN, "string"),
        (
            pd.DataFrame({"ds": DATES, "yhat": [1.0, 2.0]}),
            [{"ds": date, "yhat": at} for date, at in zip(WRITTEN, (1.0, 2.0), strict=True)],
            "object",
        ),
        (DATES.astype("datetime64[us]"), WRITTEN, "string"),
        (np.array(["20000-01-01", "NaT"], dtype="datetime64[s]"), ["20000-01-01T00:00:00", None], "string"),
        (
            np.array(["2020-01-01T00:00:00.000000001"] * 2, "datetime64[ns]"),
            ["2020-01-01T00:00:00.000000001"] * 2,
            "string",
        ),
        (np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, None], "number"),
        (np.ma.array([1, 2], mask=[False, True]), [1, None], "object"),
        (np.ma.array([1, 2], mask=False), [1, 2], "integer"),
        (np.ma.array(DATES, mask=[False, True]), [WRITTEN[0], None], "string"),
        ([1, 2], [1, 2], "integer"),
        ([1, 2.5], [1, 2.5], "number"),
        ([True, False], [True, False], "boolean"),
        ((np.float32(0.5), np.float32(1.5)), [0.5, 1.5], "number"),
        (np.array([0.5, np.nan], dtype=np.longdouble), [0.5, None], "number"),
        ([np.longdouble(0.5), {"a": np.longdouble(1.5)}], [0.5, {"a": 1.5}], "object"),
        (["a", "b"], ["a", "b"], "string"),
        ([1, "a"], [1, "a"], "object"),
        ([[1], [1, 2]], [[1], [1, 2]], "object"),
        ([{"a": np.int64(1)}, {"a": {"b": (1, 2)}}], [{"a": 1}, {"a": {"b": [1, 2]}}], "object"),
        ([date(2025, 1, 31), pd.NaT], ["2025-01-31", None], "string"),
        ([b"ab", b"c"], ["YWI=\n", "Yw==\n"], "string"),
        ([Pair(1, "x"), Pair(2, "y")], [[1, "x"], [2, "y"]], "object"),
        (sparse.csr_matrix([[0, 1], [1, 0]]), [[0, 1], [1, 0]], "integer"),
        (pd.Series([1.5, 2.5]), [{"0": 1.5}, {"0": 2.5}], "number"),
        (pd.Series(["a", "b"], name="x"), [{"x": "a"}, {"x": "b"}], "string"),
        (pd.Series(["a", "b"], dtype="category"), [{"0": "a"}, {"0": "b"}], "string"),
        (pd.Series([1, None], dtype="Int64"), [{"0": 1}, {"0": None}], "object"),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}], "integer"),
        (
            TABLE,
            [{"label": "x", "score": 0.5, "rank": 1}, {"label": None, "score": None, "rank": 2}],
            "object",
        ),
        ({"a": np.array([1, 2]), "b": ["x", "y"]}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], "object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_is_a_value_of_json_for_each_row(answer: Any, written: list[Any], kind: str) -> None:
    """Names stay, missing values are null, and nothing is rounded or turned into text."""
    output = per_row(answer, 2)
    assert msgspec.json.decode(msgspec.json.encode(output.records)) == written
    assert output.type_in_json == kind
    assert output.slice(1, 2).records == output.records[1:] or pd.isna(output.values[1])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([1], "2 rows with 1 predictions"),
        ("both", "answers a str"),
        (1.5, "answers a float"),
        (np.array(1), "a single number"),
        ({"a": [1, 2], "b": [1]}, "different lengths"),
        ({}, "different lengths"),
        ([object(), object()], "answers a object, which JSON does not have"),
        (None, "answers a NoneType"),
        (np.array([1, 2], dtype="timedelta64[ns]"), "answers a timedelta64, which JSON does not have"),
        (np.array([1, 2], dtype="timedelta64[s]"), "answers a timedelta64, which JSON does not have"),
        (pd.DataFrame({"took": pd.to_timedelta([1, 2], "h")}), "answers a timedelta64, which JSON does not have"),
        ([timedelta(1), timedelta(2)], "answers a timedelta, which JSON does not have"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "2 columns called 'a' in JSON"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["1", 1]), "2 columns called '1' in JSON"),
        ({1: [1, 2], "1": [3, 4]}, "2 columns called '1' in JSON"),
    ],
)
def test_what_is_not_one_value_per_row_is_told(answer: Any, told: str) -> None:
    """The model is not ready then, with what its author has to change."""
    with pytest.raises(ModelError, match=told):
        per_row(answer, 2)


@pytest.mark.parametrize(
    "answer",
    [
        [1.0, np.inf],
        ["a", -np.inf],
        [{"a": 1.0}, {"a": [np.inf]}],
        np.array([1.0, np.inf], dtype="float32"),
        pd.DataFrame({"label": ["x", "y"], "score": [1.0, np.inf]}),
    ],
    ids=["numbers", "mixed", "nested", "array", "table"],
)
def test_infinity_is_no_missing_value(answer: Any) -> None:
    """NaN is one, and null; infinity as null would be an answer that the model has not given."""
    with pytest.raises(NotFiniteError, match="row 1 is infinite"):
        per_row(answer, 2)


def test_what_is_masked_has_no_value_anywhere() -> None:
    """Neither in the bytes of the Open Inference Protocol nor in a prediction id is what lies under the mask."""
    assert np.isnan(per_row(np.ma.array([1.0, 1e20], mask=[False, True]), 2).values).tolist() == [False, True]
