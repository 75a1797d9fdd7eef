"""One saved model through the real commands: fetched from a real MLflow, served by a process, asked in each dialect."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from mlflow import MlflowClient
from numpy.typing import NDArray

from dev import processes
from dev.api_server import ROOT
from dev.bench.server import usage
from dev.models.case import Logged, cells, names

TRUST = ("Data", "TrustedTypes", "Code")  # from least to most
_PATIENCE = 60.0  # seconds until a model is ready or has failed


@dataclass(frozen=True)
class Refused:
    """Not served: the reason and its sentence."""

    reason: str
    message: str


@dataclass(frozen=True)
class Served:
    """Served with `runtime`; for each dialect, the largest difference from the model's own answer, or what went wrong.

    `ready`: seconds from the start of the process. `memory`: bytes that it has after the requests.
    """

    runtime: str
    differences: Mapping[str, str]
    ready: float
    memory: int


class Registry:
    """A running MLflow server, to which saved models are uploaded as they are."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = MlflowClient(url)

    def upload(self, folder: Path) -> str:
        """The URI of the model in this folder."""
        run = self._client.create_run("0").info.run_id
        self._client.log_artifacts(run, str(folder), "model")
        return f"runs:/{run}/model"


def fetched(registry: Registry, uri: str, folder: Path, trust: str, types: str = "") -> Refused | None:
    """Runs `fetch` into a folder that does not exist; None if the model is there."""
    folder.mkdir(parents=True)
    log = folder / "termination-log"
    variables = {
        "MLFLOW_TRACKING_URI": registry.url,
        "SLUICE_MODEL_URI": uri,
        "SLUICE_MODEL_DIR": str(folder / "model"),
        "SLUICE_TERMINATION_LOG": str(log),
        "SLUICE_TRUST": trust,
        "SLUICE_TRUSTED_TYPES": types,
    }
    done = _ran("fetch", variables)
    if done.returncode == 0:
        _ran("convert", variables)  # as a Job does that prepares a model
        return None
    told = json.loads(log.read_text()) if log.is_file() else {}
    return Refused(told.get("reason", f"exit {done.returncode}"), told.get("message", done.stderr[-300:]))


def _ran(command: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "sluice_server", command]
    return subprocess.run(arguments, env=_environment(variables), capture_output=True, text=True, check=False)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """That of the image: it has no module of whoever trains."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "server"), **variables}


def served(folder: Path, logged: Logged, types: str = "") -> Served | Refused:
    """Serves what `fetched` put into the folder, and asks it for the rows of the case."""
    began = time.monotonic()
    with _process(folder, types) as (process, client):
        while not (state := _readiness(client)).get("ready"):
            failed = "cannot be served" in state.get("reason", "")
            if failed or process.poll() is not None or time.monotonic() - began > _PATIENCE:
                return Refused("not ready", state.get("reason", (folder / "serve.log").read_text()[-300:]))
            time.sleep(0.05)
        ready = time.monotonic() - began
        runtime = client.get("/metadata").json()["runtime"]
        differences = {dialect: _difference(client, path, body, logged) for dialect, path, body in _requests(logged)}
        return Served(runtime, differences, ready, usage.resident_bytes(process.pid))


@contextmanager
def _process(folder: Path, types: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    cluster, gateway = processes.free_ports(2)
    variables = {
        "SLUICE_MODEL_NAME": "m",
        "SLUICE_MODEL_VERSION": "1",
        "SLUICE_MODEL_DIR": str(folder / "model"),
        "SLUICE_TRUSTED_TYPES": types,
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(cluster),
        "SLUICE_GATEWAY_PORT": str(gateway),
        "SLUICE_DRAIN_DELAY": "0",
        "SLUICE_FEEDBACK_KEY_FILE": str(folder / "none"),
    }
    command = [sys.executable, "-m", "sluice_server", "serve"]
    client = httpx.Client(base_url=f"http://127.0.0.1:{cluster}", timeout=30.0)
    with client, processes.running(command, folder / "serve.log", _environment(variables)) as process:
        yield process, client


def _readiness(client: httpx.Client) -> dict[str, Any]:
    try:
        state: dict[str, Any] = client.get("/health/ready").json()
    except httpx.TransportError:
        return {}
    return state


def _requests(logged: Logged) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same rows in each dialect: its name, its path and the body."""
    columns, rows = names(logged.rows), cells(logged.rows)
    yield "plain", "/predict", {"features": rows}
    yield "MLflow", "/invocations", {"dataframe_split": {"columns": columns, "data": rows}}
    inputs = [_tensor(name, [row[at] for row in rows]) for at, name in enumerate(columns)]
    yield "Open Inference", "/v2/models/m/infer", {"inputs": inputs}


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    kinds = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    kind = next(kinds[type(value)] for value in values if value is not None)
    return {"name": name, "shape": [len(values)], "datatype": kind, "data": values}


def _difference(client: httpx.Client, path: str, body: dict[str, Any], logged: Logged) -> str:
    answer = client.post(path, json=body)
    if answer.status_code != httpx.codes.OK:
        return f"{answer.status_code}: {answer.text[:200]}"
    content = answer.json()
    found = content["predictions"] if "predictions" in content else content["outputs"][0]["data"]
    return compared(np.asarray(found).reshape(logged.expected.shape), logged.expected)


def compared(found: NDArray[Any], expected: NDArray[Any]) -> str:
    """The largest difference; of labels, the number of those that differ."""
    if expected.dtype.kind == "f":
        largest = float(np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected))))
        return "0" if largest == 0.0 else f"{largest:.0e}"
    wrong = int(np.sum(found.astype(str) != expected.astype(str)))
    return f"{wrong} of {expected.size} labels differ" if wrong else "0"
