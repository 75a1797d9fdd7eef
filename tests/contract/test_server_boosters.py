"""XGBoost and LightGBM models from a real MLflow: fetched, loaded, and answering as MLflow's own pyfunc does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pytest
import xgboost
from mlflow import MlflowClient
from sklearn.datasets import load_iris

from sluice_server import runtimes
from sluice_server.fetch.fetch import run
from sluice_server.model import manifest
from sluice_server.settings import fetch_settings

# MLflow and pandas warn about each other while models are made here; what is tested runs in a process of its own.
pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = load_iris(return_X_y=True, as_frame=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
BINARY = (Y == 1).astype(int)
SMALL: dict[str, Any] = {"n_estimators": 4, "max_depth": 3, "n_jobs": 1}
SHARES = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
CLASSES = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}


def logged(registry: str, model: Any, folder: Path, **options: Any) -> tuple[str, Any]:
    """The URI of a registered version, and what MLflow itself answers for X."""
    flavor = mlflow.lightgbm if isinstance(model, lightgbm.Booster | lightgbm.LGBMModel) else mlflow.xgboost
    signature = mlflow.models.infer_signature(X)
    flavor.save_model(model, folder, signature=signature, input_example=X.head(2), pip_requirements=[], **options)
    client = MlflowClient(registry)
    made = client.create_run("0").info.run_id
    client.log_artifacts(made, str(folder), "model")
    return f"runs:/{made}/model", mlflow.pyfunc.load_model(str(folder)).predict(X)


def fetched(uri: str, registry: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """Exit code and termination message of a fetch into `folder`."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry)
    log = folder / "termination-log"
    folder.mkdir()
    env = {"SLUICE_MODEL_URI": uri, "SLUICE_MODEL_DIR": str(folder / "model"), "SLUICE_TERMINATION_LOG": str(log)}
    return run(fetch_settings(env)), json.loads(log.read_bytes())


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (xgboost.XGBClassifier(**SMALL).fit(X, Y), {}),
        (xgboost.XGBClassifier(**SMALL).fit(X, BINARY), {"model_format": "json"}),
        (xgboost.XGBRegressor(**SMALL).fit(X, Y), {"model_format": "xgb"}),
        (xgboost.train(SHARES, xgboost.DMatrix(X, BINARY), 4), {}),
        (lightgbm.train(CLASSES, lightgbm.Dataset(X, Y), 4), {}),
        (lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, n_jobs=1).fit(X, Y).booster_, {}),
        (lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1).fit(X, NAMES), {}),
        (lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, n_jobs=1).fit(X, Y), {}),
    ],
    ids=[
        "classes",
        "two classes",
        "regressor",
        "booster",
        "lightgbm",
        "of a regressor",
        "lightgbm classes",
        "lightgbm regressor",
    ],
)
def test_a_booster_answers_as_mlflow_does(
    mlflow_server: str, model: Any, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the default trust: labels of a classifier, the numbers of everything else."""
    uri, expected = logged(mlflow_server, model, tmp_path / "saved", **options)
    assert fetched(uri, mlflow_server, tmp_path / "pod", monkeypatch)[0] == 0
    folder = tmp_path / "pod" / "model"
    found = manifest.read(folder)
    rows = X.to_numpy()
    loaded = runtimes.by_name(found.runtime).load(folder / manifest.FILES, found, (), rows[:2])
    values = loaded.predict(rows).values
    assert values.tolist() == expected.tolist() if values.dtype.kind == "U" else np.allclose(values, expected, 1e-6, 0)


def test_a_pickled_estimator_is_refused(mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that logs it in another format."""
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, Y)
    uri, _ = logged(mlflow_server, model, tmp_path / "saved", serialization_format="pickle")
    code, message = fetched(uri, mlflow_server, tmp_path / "pod", monkeypatch)
    assert (code, message["refused"]["reason"]) == (3, "PickleNotTrusted")
    assert "serialization_format='skops'" in message["refused"]["message"]


def test_a_file_that_was_changed_is_refused(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before XGBoost has seen it."""
    model = xgboost.XGBClassifier(**SMALL).fit(X, Y)
    uri, _ = logged(mlflow_server, model, tmp_path / "saved", model_format="json")
    changed = tmp_path / "saved" / "model.json"
    changed.write_text(changed.read_text().replace('"left_children":[1', '"left_children":[0', 1))
    MlflowClient(mlflow_server).log_artifact(uri.split("/")[1], str(changed), "model")
    code, message = fetched(uri, mlflow_server, tmp_path / "pod", monkeypatch)
    assert (code, message["refused"]["reason"]) == (3, "BadModelFile")
    assert "leads back" in message["refused"]["message"]
