"""The models of the benchmark, logged to an MLflow store as anybody would, and fetched by the server's own command."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

_TREES = 100
_TRUSTED = ["sklearn.tree._tree.Tree"]
FOREST, LOGISTIC = "forest", "logistic"


@dataclass(frozen=True, slots=True)
class Model:
    """A logged model: its URI, the folder that the server reads, and rows to ask it for."""

    name: str
    uri: str
    folder: Path
    rows: list[list[float]]

    def plain(self, rows: int) -> bytes:
        """A body for /predict."""
        return json.dumps({"features": self.rows[:rows]}).encode()

    def scoring(self, rows: int) -> bytes:
        """A body for MLflow's /invocations; iris' columns have names there."""
        columns = [str(name) for name in load_iris(as_frame=True).data.columns]
        return json.dumps({"dataframe_split": {"columns": columns, "data": self.rows[:rows]}}).encode()


def environment(folder: Path) -> dict[str, str]:
    """What leads processes to the store in `folder`."""
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }


def estimators() -> dict[str, Any]:
    """Both models, not trained."""
    return {FOREST: RandomForestClassifier(_TREES, random_state=0), LOGISTIC: LogisticRegression(max_iter=1_000)}


def make(folder: Path) -> dict[str, Model]:
    """Both models, trained, logged below `folder` and fetched."""
    os.environ.update(environment(folder))
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("bench", artifact_location=(folder / "runs").as_uri()))
    iris = load_iris(as_frame=True)
    rows = iris.data.sample(64, random_state=0).to_numpy().tolist()
    return {
        name: _log(name, each.fit(iris.data, iris.target), iris.data, rows, folder)
        for name, each in estimators().items()
    }


def _log(name: str, estimator: Any, data: pd.DataFrame, rows: list[list[float]], folder: Path) -> Model:
    logged = mlflow.sklearn.log_model(
        estimator,
        name=name,
        signature=mlflow.models.infer_signature(data, estimator.predict(data)),
        input_example=data.head(2),
        serialization_format="skops",
        skops_trusted_types=_TRUSTED,
    )
    fetched = folder / name
    settings = {
        "SLUICE_MODEL_URI": logged.model_uri,
        "SLUICE_MODEL_DIR": str(fetched),
        "SLUICE_TERMINATION_LOG": str(folder / f"{name}.json"),
    }
    for command in ("fetch", "convert"):  # as a Job prepares a model
        subprocess.run([sys.executable, "-m", "sluice_server", command], env=os.environ | settings, check=True)
    return Model(name, logged.model_uri, fetched, rows)
