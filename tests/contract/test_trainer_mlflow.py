"""The trainer against a real MLflow server on loopback: what a run leaves there, and what an outage looks like."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import skops.io
import yaml

START_LIMIT = 60.0  # seconds until the server must answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_healthy(server: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + START_LIMIT
    with httpx.Client(transport=httpx.HTTPTransport(retries=0), timeout=1) as client:
        while time.monotonic() < end and server.poll() is None:
            try:
                if client.get(f"{url}/health").is_success:
                    return
            except httpx.TransportError:
                server_ended_within(server, 0.2)
    pytest.fail(f"the MLflow server did not answer within {START_LIMIT:.0f} s")


def server_ended_within(server: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        server.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home}/registry.db", "--artifacts-destination", str(home / "artifacts")),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | quiet, cwd=home, stdout=log, stderr=log)
    try:
        until_healthy(server, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def run_trainer(url: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice_trainer", "train", *flags]
    return subprocess.run(
        command, env=os.environ | {"MLFLOW_TRACKING_URI": url}, capture_output=True, text=True, check=False, timeout=120
    )


def ask(url: str, path: str, **query: str) -> Any:
    answer = httpx.get(f"{url}/api/2.0/mlflow/{path}", params=query)
    answer.raise_for_status()
    return answer.json()


def artefact(url: str, artifact_uri: str, path: str) -> bytes:
    inside = artifact_uri.removeprefix("mlflow-artifacts:/")
    return httpx.get(f"{url}/api/2.0/mlflow-artifacts/artifacts/{inside}/{path}").raise_for_status().content


def pairs(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in entries}


@pytest.fixture(scope="module")
def trained(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with every flag that leaves something behind."""
    home = tmp_path_factory.mktemp("trained")
    files = {"output": home / "model.skops", "metrics": home / "metrics.json"}
    done = run_trainer(
        mlflow_url,
        *("--name", "flowers", "--alias", "challenger", "--max-depth", "2", "--trees", "5", "--json"),
        *("--output", str(files["output"]), "--metrics", str(files["metrics"])),
    )
    assert done.returncode == 0, done.stderr
    return {"result": json.loads(done.stdout), "stderr": done.stderr, **files}


def test_the_last_line_is_a_uri_that_resolves(mlflow_url: str) -> None:
    """A script may take the last line of stdout and ask the registry for it."""
    done = run_trainer(mlflow_url, "--name", "last line")
    uri = done.stdout.splitlines()[-1]

    assert uri == "models:/last line/1"
    version = ask(mlflow_url, "model-versions/get", name="last line", version="1")["model_version"]
    assert version["status"] == "READY"


def test_a_normal_run_warns_of_nothing(trained: dict[str, Any]) -> None:
    """Progress is all that goes to stderr."""
    assert "warning" not in trained["stderr"].lower()
    assert "43 of 45 right" in trained["stderr"]


def test_the_alias_is_on_the_new_version(mlflow_url: str, trained: dict[str, Any]) -> None:
    """`--alias` points at what was just registered."""
    answer = ask(mlflow_url, "registered-models/alias", name="flowers", alias="challenger")

    assert answer["model_version"]["version"] == trained["result"]["version"]


def test_the_run_tells_how_the_model_came_about(mlflow_url: str, trained: dict[str, Any]) -> None:
    """Params, counts beside the ratio, data digest and library versions are in the run."""
    data = ask(mlflow_url, "runs/get", run_id=trained["result"]["run_id"])["run"]["data"]
    params, metrics, tags = pairs(data["params"]), pairs(data["metrics"]), pairs(data["tags"])

    assert params["max_depth"] == "2"
    assert params["trees"] == "5"
    assert metrics == {"accuracy": pytest.approx(43 / 45), "correct": 43, "total": 45}
    assert tags["data.digest"].startswith("sha256:")
    assert tags["version.scikit-learn"]


def test_the_run_keeps_the_reference_bins(mlflow_url: str, trained: dict[str, Any]) -> None:
    """Edges and counts of each feature of the training rows are there as JSON."""
    info = ask(mlflow_url, "runs/get", run_id=trained["result"]["run_id"])["run"]["info"]
    bins = json.loads(artefact(mlflow_url, info["artifact_uri"], "reference_bins.json"))

    assert bins["rows"] == 105
    assert [sum(feature["counts"]) for feature in bins["features"]] == [105] * 4


def test_the_model_says_how_it_may_be_loaded(mlflow_url: str, trained: dict[str, Any]) -> None:
    """The model is skops with one trusted type, and has a signature with names and an input example."""
    answer = ask(mlflow_url, "model-versions/get-download-uri", name="flowers", version=trained["result"]["version"])
    document = yaml.safe_load(artefact(mlflow_url, answer["artifact_uri"], "MLmodel"))
    example = json.loads(artefact(mlflow_url, answer["artifact_uri"], "serving_input_example.json"))

    assert document["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert document["flavors"]["sklearn"]["skops_trusted_types"] == ["sklearn.tree._tree.Tree"]
    columns = [column["name"] for column in json.loads(document["signature"]["inputs"])]
    assert columns == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert len(example["dataframe_split"]["data"][0]) == 4


def test_files_hold_the_same_model_and_metrics(trained: dict[str, Any]) -> None:
    """`--output` is the skops file, which loads with the one trusted type; `--metrics` is what the run reports."""
    output: Path = trained["output"]
    model = skops.io.load(output, trusted=["sklearn.tree._tree.Tree"])

    assert skops.io.get_untrusted_types(file=output) == ["sklearn.tree._tree.Tree"]
    assert len(model.estimators_) == 5
    assert json.loads(trained["metrics"].read_text()) == trained["result"]["metrics"]


def test_an_unreachable_mlflow_is_one_sentence() -> None:
    """No traceback: the address, what to check, and exit code 2."""
    url = f"http://127.0.0.1:{free_port()}"
    done = run_trainer(url)

    assert done.returncode == 2
    assert done.stderr == f"MLflow at {url} does not answer: check MLFLOW_TRACKING_URI or --tracking-uri\n"
    assert done.stdout == ""
