"""A small model of iris: in a folder, and registered in an MLflow whose artifacts go through the server."""

from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def saved(folder: Path, **more: Any) -> Path:
    """The folder, with the files of the model. `more`: for `save_model`."""
    features, classes = load_iris(return_X_y=True)
    mlflow.sklearn.save_model(
        LogisticRegression(max_iter=500).fit(features, classes),
        folder,
        serialization_format="skops",
        signature=mlflow.models.infer_signature(features, classes),
        pip_requirements=["scikit-learn"],
        **more,
    )
    return folder


def registered(client: MlflowClient, name: str, folder: Path) -> str:
    """Registers the files as the first version of a model. Its version."""
    run_id = client.create_run("0").info.run_id
    client.log_artifacts(run_id, str(folder), "model")
    client.create_registered_model(name)
    return str(client.create_model_version(name, f"runs:/{run_id}/model", run_id).version)
