"""A model that was logged without a signature gets the one that MLflow would have inferred, where its file tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sluice_server import runtimes
from sluice_server.fetch.fetch import fetch
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched, Outcome
from sluice_server.inference.rows import example_reader
from sluice_server.model.manifest import FILES
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import parse_inputs
from sluice_server.settings import fetch_settings

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Start

# MLflow, pandas and skl2onnx warn about each other while models are made here.
pytestmark = pytest.mark.filterwarnings("ignore")
X, Y = load_iris(return_X_y=True, as_frame=True)
ARRAY = X.to_numpy()
MIXED = pd.DataFrame(
    {
        "city": pd.Categorical(["ulm", "rom", "bonn"] * 50),
        "floor": pd.Categorical([1, 2, 3] * 50),
        "visits": np.arange(150),
        "age": X.iloc[:, 0],
        "member": Y == 0,
    }
)


def save_onnx(folder: Path, **how: Any) -> None:
    model = LogisticRegression(max_iter=500).fit(ARRAY, Y)
    mlflow.onnx.save_model(to_onnx(model, ARRAY[:1].astype(np.float32)), folder, **how)


def xgb(rows: Any, **options: Any) -> Callable[..., None]:
    model = xgboost.XGBClassifier(n_estimators=2, n_jobs=1, **options).fit(rows, Y)
    return lambda folder, **how: mlflow.xgboost.save_model(model, folder, **how)


def lgb(rows: Any) -> Callable[..., None]:
    model = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, Y), 2)
    return lambda folder, **how: mlflow.lightgbm.save_model(model, folder, **how)


def sklearn(rows: Any, *steps: Any) -> Callable[..., None]:
    model = make_pipeline(*steps, LogisticRegression(max_iter=500)).fit(rows, Y)
    return lambda folder, **how: mlflow.sklearn.save_model(model, folder, serialization_format="skops", **how)


def fetched(folder: Path, save: Callable[..., None]) -> Outcome:
    save(folder / "saved", pip_requirements=["mlflow"])
    env = {"SLUICE_MODEL_URI": str(folder / "saved"), "SLUICE_MODEL_DIR": str(folder / "pod")}
    return fetch(fetch_settings(env), this_image(), local=True)


@pytest.mark.parametrize(
    ("save", "rows"),
    [
        (save_onnx, ARRAY.astype(np.float32)),
        (xgb(X), X),
        (xgb(ARRAY), ARRAY),
        (xgb(MIXED, enable_categorical=True), MIXED),
        (lgb(X.set_axis(list("abcd"), axis=1)), X.set_axis(list("abcd"), axis=1)),  # it has no spaces in names
        (sklearn(X), X),
        (sklearn(ARRAY, StandardScaler()), ARRAY),
        (sklearn(X, StandardScaler()), X),
    ],
    ids=["onnx", "xgboost", "an array", "categories", "lightgbm", "scikit-learn", "a pipeline", "its names"],
)
def test_the_file_tells_what_mlflow_would_have_inferred(tmp_path: Path, save: Callable[..., None], rows: Any) -> None:
    """The same columns and kinds; and the model answers the example that is made up of them."""
    outcome = fetched(tmp_path, save)
    assert isinstance(outcome, Fetched), outcome
    found = outcome.manifest
    wanted = parse_inputs(str(mlflow.models.infer_signature(rows).inputs.to_json()))
    assert [column.kind for column in found.schema.columns] == [column.kind for column in wanted.columns]
    assert found.schema.names == wanted.names
    example = example_reader(found.schema).read(found.input_example["features"])
    model = runtimes.by_name(found.runtime).load(tmp_path / "pod" / FILES, found, (), np.asarray(example))
    assert len(model.predict(np.asarray(example)).values) == 1


def test_nobody_guesses_columns_of_text(tmp_path: Path) -> None:
    """scikit-learn keeps no types: what an encoder was fitted on may be anything."""
    encoded = ColumnTransformer([("city", OneHotEncoder(), ["city"])])
    outcome = fetched(tmp_path, sklearn(MIXED, encoded))
    assert isinstance(outcome, Refused)
    assert (outcome.reason, "infer_signature" in outcome.message) == ("NoSignature", True)


GAPS = pd.DataFrame(
    {
        "visits": pd.array([1, None, 3] * 50, dtype="Int64"),
        "member": pd.array([True, None, False] * 50, dtype="boolean"),
        "floor": pd.Categorical([1, None, 3] * 50),
        "age": X.iloc[:, 0],
    }
)


def predicted(start: Start, folder: Path, save: Callable[..., None], row: dict[str, Any]) -> tuple[int, Any]:
    """Status and body for a row."""
    assert isinstance(fetched(folder, save), Fetched)
    client = start(model_dir=folder / "pod")
    answer = client.post("/predict", json={"features": [row]})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("missing", ["visits", "member", "floor"])
def test_what_the_training_had_no_value_of_may_be_null(start: Start, tmp_path: Path, missing: str) -> None:
    """A file has the types of pandas, Int64 and boolean among them, and no gaps. A column that is absent is none."""
    save = xgb(GAPS, enable_categorical=True)
    row = {"visits": 1, "member": True, "floor": 3, "age": 5.1}
    assert predicted(start, tmp_path / "null", save, row | {missing: None})[0] == 200
    del row[missing]
    code, body = predicted(start, tmp_path / "absent", save, row)
    assert (code, body["detail"][0]["msg"]) == (422, f"the column {missing!r} is required")


LINE = "log it with signature=mlflow.models.infer_signature(X, model.predict(X))"


@pytest.mark.parametrize(
    ("save", "row"),
    [
        (lgb(MIXED[["visits", "member"]]), {"visits": 1, "member": True}),
        (sklearn(MIXED[["visits", "member"]]), {"visits": 1, "member": True}),
        (sklearn(MIXED[["visits", "member"]]), {"visits": None, "member": 1}),
        (save_onnx, [None, 3.5, 1.4, 0.2]),
    ],
    ids=["lightgbm", "scikit-learn", "no missing values", "onnx"],
)
def test_what_the_file_does_not_tell_is_refused_with_the_line_to_add(
    start: Start, tmp_path: Path, save: Callable[..., None], row: Any
) -> None:
    """LightGBM and scikit-learn keep no types; and which values may be missing in ONNX, only a signature says."""
    code, body = predicted(start, tmp_path, save, row)
    assert (code, LINE in body["detail"][0]["msg"]) == (422, True)
    assert MIXED["member"].dtype == bool


def test_the_line_helps(start: Start, tmp_path: Path) -> None:
    """With a signature, the same request is answered."""
    rows = MIXED[["visits", "member"]]

    def save(folder: Path, **how: Any) -> None:
        lgb(rows)(folder, signature=mlflow.models.infer_signature(rows, Y), **how)

    assert predicted(start, tmp_path, save, {"visits": 1, "member": True})[0] == 200
