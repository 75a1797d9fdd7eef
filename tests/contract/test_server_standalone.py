"""A server without an operator: one command, a folder with a model, and a registry that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import mlflow
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from dev.processes import free_ports, running

PATIENCE = 120.0


@pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
def test_a_folder_is_served_when_the_registry_does_not_answer(tmp_path: Path) -> None:
    """With variables of a prefix; the process that serves is the one that was started, so signals reach it."""
    features, classes = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(features, classes)
    signature = mlflow.models.infer_signature(features, model.predict(features))
    folder, log, (port, other, dead) = tmp_path / "iris", tmp_path / "log", free_ports(3)
    mlflow.sklearn.save_model(
        model, folder, serialization_format="skops", signature=signature, pip_requirements=["scikit-learn"]
    )
    environment = os.environ | {
        "SLUICE_ENV_PREFIX": "IRIS_",
        "IRIS_MLFLOW_USE_REGISTRY": "true",
        "IRIS_MLFLOW_REGISTRY_MODEL_NAME": "iris",
        "IRIS_MLFLOW_REGISTRY_STAGE": "Production",
        "IRIS_MLFLOW_TRACKING_URI": f"http://127.0.0.1:{dead}",
        "IRIS_MODEL_PATH": str(folder / "model.skops"),
        "IRIS_API_HOST": "127.0.0.1",
        "IRIS_API_PORT": str(port),
        "SLUICE_GATEWAY_PORT": str(other),
        "SLUICE_MODEL_DIR": str(tmp_path / "fetched"),
        "SLUICE_DRAIN_DELAY": "0",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    with running([sys.executable, "-m", "sluice_server", "run"], log, environment) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE
        while not is_ready(url):
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        answer = httpx.post(f"{url}/predict", json={"features": features.iloc[0].tolist()}).json()
        named = httpx.get(f"{url}/metadata").json()["model"]
    assert answer["predictions"] == [0]
    assert (named["name"], named["source"]) == ("iris", str(folder / "model.skops"))
    assert "RegistryUnreachable" in log.read_text()
    assert process.returncode == 0


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_without_any_model_the_command_ends(tmp_path: Path) -> None:
    """With what was wrong with each source in the log."""
    environment = os.environ | {"MODEL_PATH": str(tmp_path), "SLUICE_MODEL_DIR": str(tmp_path / "fetched")}
    command = [sys.executable, "-m", "sluice_server", "run"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "there is no file MLmodel in or beside" in ended.stderr
