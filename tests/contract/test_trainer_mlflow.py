"""The trainer with a real MLflow server on loopback: what a run logs there, and the message of an outage."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import skops.io
import yaml
from mlflow import MlflowClient

from sluice_operator.analysis.hold_out import refusal
from sluice_operator.api.observation import HoldOut, HoldOutAnswer, HoldOuts, Rows
from sluice_operator.api.quantities import Share
from sluice_operator.api.revision import Model
from sluice_operator.api.spec import Accuracy, Confidence, Objective, Source
from sluice_operator.http_client import HttpClient
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Connection
from sluice_server.fetch.preflight import parse_mlmodel
from sluice_server.model import reference
from sluice_server.model.mlmodel import MLmodel
from tests.contract import trainer


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
def trained(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with all flags that write something."""
    home = tmp_path_factory.mktemp("trained")
    files = {"output": home / "model.skops", "metrics": home / "metrics.json"}
    done = run_trainer(
        mlflow_server,
        *("--name", "flowers", "--alias", "challenger", "--max-depth", "2", "--trees", "5", "--json"),
        *("--output", str(files["output"]), "--metrics", str(files["metrics"])),
    )
    assert done.returncode == 0, done.stderr
    return {"result": json.loads(done.stdout), "stderr": done.stderr, **files}


def test_the_last_line_is_a_uri_that_resolves(mlflow_server: str) -> None:
    """So a script can take the last line of stdout."""
    done = run_trainer(mlflow_server, "--name", "last line")
    uri = done.stdout.splitlines()[-1]

    assert uri == "models:/last line/1"
    version = ask(mlflow_server, "model-versions/get", name="last line", version="1")["model_version"]
    assert version["status"] == "READY"


def test_a_normal_run_prints_no_warning(trained: dict[str, Any]) -> None:
    """stderr has only the progress."""
    assert "warning" not in trained["stderr"].lower()
    assert "43 of 45 right" in trained["stderr"]


def test_the_alias_points_to_the_new_version(mlflow_server: str, trained: dict[str, Any]) -> None:
    """`--alias` is set on the version that was registered."""
    answer = ask(mlflow_server, "registered-models/alias", name="flowers", alias="challenger")

    assert answer["model_version"]["version"] == trained["result"]["version"]


def test_the_run_says_how_the_model_was_trained(mlflow_server: str, trained: dict[str, Any]) -> None:
    """It has parameters, the ratio with its counts, the digest of the data and library versions."""
    data = ask(mlflow_server, "runs/get", run_id=trained["result"]["run_id"])["run"]["data"]
    params, metrics, tags = pairs(data["params"]), pairs(data["metrics"]), pairs(data["tags"])

    assert params["max_depth"] == "2"
    assert params["trees"] == "5"
    assert metrics.pop("training_seconds") > 0
    assert metrics == {"accuracy": pytest.approx(43 / 45), "correct": 43, "total": 45}
    assert tags["data.digest"].startswith("sha256:")
    assert tags["sluice.holdout.digest"].startswith("sha256:")
    assert len(tags["sluice.holdout.correct"]) == 8  # 45 bits in 6 bytes
    assert tags["version.scikit-learn"]


def test_the_run_has_the_reference_bins(mlflow_server: str, trained: dict[str, Any]) -> None:
    """JSON with edges and counts of each feature of the training rows."""
    info = ask(mlflow_server, "runs/get", run_id=trained["result"]["run_id"])["run"]["info"]
    bins = json.loads(artefact(mlflow_server, info["artifact_uri"], "reference_bins.json"))

    assert bins["rows"] == 105
    assert [sum(feature["counts"]) for feature in bins["features"]] == [105] * 4


def test_the_model_is_logged_with_what_a_server_needs(mlflow_server: str, trained: dict[str, Any]) -> None:
    """It is skops with one trusted type, and has a signature with names and an input example."""
    answer = ask(mlflow_server, "model-versions/get-download-uri", name="flowers", version=trained["result"]["version"])
    document = yaml.safe_load(artefact(mlflow_server, answer["artifact_uri"], "MLmodel"))
    example = json.loads(artefact(mlflow_server, answer["artifact_uri"], "serving_input_example.json"))

    assert document["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert document["flavors"]["sklearn"]["skops_trusted_types"] == ["sklearn.tree._tree.Tree"]
    columns = [column["name"] for column in json.loads(document["signature"]["inputs"])]
    assert columns == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert len(example["dataframe_split"]["data"][0]) == 4
    model = parse_mlmodel(yaml.safe_dump(document))
    assert isinstance(model, MLmodel)
    bins = reference.parse(model.tag(reference.METADATA_KEY))
    assert [feature.name for feature in bins.features] == columns


def test_files_hold_the_same_model_and_metrics(trained: dict[str, Any]) -> None:
    """`--output` is the skops file, which loads with the trusted type; `--metrics` has the metrics of the run."""
    output: Path = trained["output"]
    model = skops.io.load(output, trusted=["sklearn.tree._tree.Tree"])

    assert skops.io.get_untrusted_types(file=output) == ["sklearn.tree._tree.Tree"]
    assert len(model.estimators_) == 5
    assert json.loads(trained["metrics"].read_text()) == trained["result"]["metrics"]


def test_an_unreachable_mlflow_is_one_sentence(silent_url: str) -> None:
    """It has the address and what to check. The exit code is 2, and there is no traceback."""
    done = run_trainer(silent_url)

    assert done.returncode == 2
    assert done.stderr == f"MLflow at {silent_url} does not answer: check MLFLOW_TRACKING_URI or --tracking-uri\n"
    assert done.stdout == ""


RECIPES = {"good": [], "bad": ["--label-noise", "0.45"], "elsewhere": ["--seed", "8"]}


@pytest.fixture(scope="module")
def hold_outs(mlflow_server: str, trained: dict[str, Any]) -> dict[str, HoldOut]:
    """What the operator reads of versions that were trained in different ways. `first` is that of `trained`."""
    models = {"first": Model("models:/flowers/1", "flowers", "1", trained["result"]["run_id"])}
    for role, flags in RECIPES.items():
        done = run_trainer(mlflow_server, "--name", "flowers", "--trees", "5", "--json", *flags)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        models[role] = Model(result["uri"], "flowers", result["version"], result["run_id"])

    async def ask() -> dict[str, HoldOutAnswer]:
        async with HttpClient("mlflow") as client:
            registry = Registry(client, mlflow_server)
            return {role: await registry.hold_out(model, Connection()) for role, model in models.items()}

    results = asyncio.run(ask())
    return {role: result for role, result in results.items() if isinstance(result, HoldOut)}


def reason_of_refusal(canary: HoldOut, stable: HoldOut, max_drop: str) -> str:
    accuracy = Accuracy(Source.TRAINING, max_drop=Share.parse(max_drop))
    refused = refusal(Objective("trained", accuracy=accuracy), HoldOuts(canary, stable), Confidence())
    return refused.reason if refused else "passes"


def test_the_operator_reads_which_rows_were_right(hold_outs: dict[str, HoldOut]) -> None:
    """There are as many bits as the run counts right. Another seed gives another hold-out."""
    rows = {role: hold_out.rows for role, hold_out in hold_outs.items() if isinstance(hold_out.rows, Rows)}

    assert {role: right_rows.right.bit_count() for role, right_rows in rows.items()} == {
        role: hold_out.correct for role, hold_out in hold_outs.items()
    }
    assert rows["first"].digest == rows["good"].digest == rows["bad"].digest != rows["elsewhere"].digest


@pytest.mark.parametrize(
    ("canary", "max_drop", "reason"),
    [
        ("good", "20%", "passes"),
        ("good", "2%", "HoldOutTooSmall"),
        ("bad", "20%", "TrainingAccuracyWorseThanStable"),
        ("elsewhere", "20%", "HoldOutsDiffer"),
    ],
)
def test_two_versions_of_the_trainer_can_be_compared(
    hold_outs: dict[str, HoldOut], canary: str, max_drop: str, reason: str
) -> None:
    """45 rows can rule out a drop of 20 points, but not one of 2 points."""
    assert reason_of_refusal(hold_outs[canary], hold_outs["first"], max_drop) == reason


def evaluated(url: str, candidate: HoldOut, champion: str) -> trainer.Done:
    flags = ("--candidate", f"models:/{candidate.model}", "--champion", champion, "--json")
    return trainer.run("evaluate", *flags, MLFLOW_TRACKING_URI=url)


@pytest.mark.parametrize(
    ("candidate", "champion", "code", "verdict"),
    [("first", "bad", 0, "better"), ("bad", "first", 1, "worse"), ("good", "first", 3, "cannot tell")],
)
def test_a_candidate_is_compared_with_the_champion(
    mlflow_server: str, hold_outs: dict[str, HoldOut], candidate: str, champion: str, code: int, verdict: str
) -> None:
    """Row by row, with an exit code for each answer."""
    done = evaluated(mlflow_server, hold_outs[candidate], f"models:/{hold_outs[champion].model}")
    result = json.loads(done.out)
    assert (done.code, result["verdict"]) == (code, verdict), done.err
    assert result["candidate_correct"] == hold_outs[candidate].correct
    assert result["champion_correct"] == hold_outs[champion].correct


@pytest.mark.parametrize(
    ("champion", "words"),
    [
        ("models:/flowers/99", "models:/flowers/99 names no version in MLflow"),
        ("models:/flowers@nobody", "models:/flowers@nobody names no version in MLflow"),
        ("models:/plain/1", "the run of models:/plain/1 has no tag sluice.holdout.digest"),
        ("elsewhere", "were evaluated on different hold-outs: train both with the same data and the same --seed"),
    ],
)
def test_versions_that_cannot_be_compared_are_told(
    mlflow_server: str, hold_outs: dict[str, HoldOut], plain: None, champion: str, words: str
) -> None:
    """In one sentence, with exit code 2."""
    uri = f"models:/{hold_outs[champion].model}" if champion in hold_outs else champion
    done = evaluated(mlflow_server, hold_outs["first"], uri)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture(scope="module")
def plain(mlflow_server: str) -> None:
    """A version of somebody else's trainer, whose run says nothing about a hold-out."""
    client = MlflowClient(mlflow_server)
    run_id = client.create_run("0").info.run_id
    client.create_registered_model("plain")
    client.create_model_version("plain", f"runs:/{run_id}/model", run_id)
