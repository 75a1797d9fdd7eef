"""Logs models to the cluster's registry that cannot be served: one saved as a pickle, and one that is not a model."""

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True, slots=True)
class Unservable:
    """URIs that the registry resolves."""

    pickle: str
    no_model: str  # an artefact of a run without the file MLmodel


def log_unservable(registry: str) -> Unservable:
    """Log both in one run."""
    client = MlflowClient(registry)
    run = client.create_run("0").info.run_id
    client.log_text(run, "nothing that was logged as a model\n", "notes/readme.txt")
    with tempfile.TemporaryDirectory() as folder:
        _save_pickle(Path(folder) / "model")
        client.log_artifacts(run, str(Path(folder) / "model"), "model")
    return Unservable(pickle=f"runs:/{run}/model", no_model=f"runs:/{run}/notes")


def _save_pickle(folder: Path) -> None:
    features, classes = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(features, classes)
    signature = mlflow.models.infer_signature(features, model.predict(features))
    with warnings.catch_warnings(action="ignore"):  # MLflow warns that a pickle is unsafe
        mlflow.sklearn.save_model(
            model, folder, serialization_format="pickle", signature=signature, pip_requirements=["scikit-learn"]
        )
