"""A model that was logged without a signature gets the one that MLflow would have inferred, where its file tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
