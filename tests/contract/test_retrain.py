"""Retraining with a real MLflow and a real store: what pods keep, and clients label, becomes a challenger or not."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from mlflow import MlflowClient
from numpy.typing import NDArray

from sluice_server.inference.kept_rows import KeptRows
from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.runtimes.output import Output
from sluice_trainer import data
from tests.contract import trainer
from tests.contract.test_store import BEARER, Store, over

IRIS = data.iris()
YESTERDAY = 86_400.0  # seconds ago
AT_ONCE = 60  # rows of a request


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = over(tmp_path_factory.mktemp("store"))
    with made.started():
        yield made


@pytest.fixture(scope="module")
def environment(mlflow_server: str, store: Store) -> Mapping[str, str]:
    """Of the trainer, as its pod has it."""
    return {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "SLUICE_STORE_URL": store.url,
        "SLUICE_STORE_TOKEN_FILE": str(store.folder / "token"),
    }


def flowers(number: int, growth: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Flowers like those of the iris data, so many times as large, and their species."""
    random = np.random.default_rng(3)
    places = np.arange(number) % len(IRIS.labels)
    return (IRIS.features[places] * growth + random.normal(0, 0.02, (number, 4))).round(3), IRIS.labels[places]


def serve(store: Store, name: str, features: NDArray[np.float64], species: NDArray[np.int64]) -> None:
    """Keep the rows as pods of a ModelDeployment do, and label them as clients do later."""
    rows = KeptRows(Identity("iris", "1", "abcdefghij", "models:/iris/1"), IRIS.feature_names, ())
    at = time.time() - YESTERDAY
    for first in range(0, len(species), AT_ONCE):
        request, part = secrets.token_bytes(8), features[first : first + AT_ONCE]
        answer = Prediction(Output(np.zeros(len(part)), None, None), [0] * len(part), "id", request.hex())
        store.client.keep_predictions(name, b"\n".join(rows.lines(part, answer, (0, 1, 2), at)))
        shared = {"prediction": request.hex(), "model_deployment": name, "revision": "abcdefghij", "entry": "cluster"}
        labels = [
            {**shared, "claim": secrets.token_hex(8), "row": row, "issued": int(at), "correct": False, "value": value}
            for row, value in enumerate(species[first : first + AT_ONCE].tolist())
        ]
        httpx.post(f"{store.url}/labels", json={"labels": labels}, headers=BEARER).raise_for_status()


def train(name: str, environment: Mapping[str, str]) -> None:
    done = trainer.run("train", "--name", name, "--alias", "champion", "--trees", "20", **environment)
    assert done.code == 0, done.err


def retrain(name: str, environment: Mapping[str, str], *flags: str) -> trainer.Done:
    return trainer.run("retrain", "--name", name, "--json", *flags, **environment)


def versions(name: str, environment: Mapping[str, str]) -> int:
    return len(MlflowClient(environment["MLFLOW_TRACKING_URI"]).search_model_versions(f"name='{name}'"))


@pytest.fixture(scope="module")
def challenger(store: Store, environment: Mapping[str, str]) -> dict[str, Any]:
    """What a retraining says after flowers have grown by a third: the version that serves mistakes them for others."""
    train("warm", environment)
    serve(store, "warm", *flowers(300, 1.3))
    done = retrain("warm", environment)
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def test_a_changed_world_gives_a_challenger(environment: Mapping[str, str], challenger: dict[str, Any]) -> None:
    """It has the alias, and one run that says how it came about."""
    assert (challenger["outcome"], challenger["repeated"], challenger["rows"]) == ("Challenger", False, 300)
    assert challenger["gain"] > 0.05
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    version = client.get_model_version_by_alias("warm", "challenger")
    assert challenger["uri"] == f"models:/warm/{version.version}" == "models:/warm/2"
    assert version.run_id == challenger["run_id"]
    run = client.get_run(challenger["run_id"])
    assert run.data.tags["sluice.retrain.champion"] == "models:/warm/1"
    assert run.data.metrics["retrain.candidate_correct"] == challenger["candidate_correct"]


def test_it_can_be_compared_with_the_version_before(environment: Mapping[str, str], challenger: dict[str, Any]) -> None:
    """By the operator too: its run has the hold-out of all versions of the trainer, and not that of the new rows."""
    flags = ("--candidate", challenger["uri"], "--champion", "models:/warm/1", "--json")
    done = trainer.run("evaluate", *flags, **environment)
    assert json.loads(done.out)["total"] == 45, done.err


def test_the_same_rows_are_not_trained_from_again(environment: Mapping[str, str], challenger: dict[str, Any]) -> None:
    """Also when the challenger serves by then."""
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    client.set_registered_model_alias("warm", "champion", "2")  # as the operator does after the promotion
    second = retrain("warm", environment)
    assert (second.code, json.loads(second.out)) == (0, {**challenger, "repeated": True})
    assert versions("warm", environment) == 2


def test_an_unchanged_world_changes_nothing(store: Store, environment: Mapping[str, str]) -> None:
    """The candidate is a file of its run, and no version; a second call does not even train."""
    train("calm", environment)
    serve(store, "calm", *flowers(300, 1.0))
    first, second = retrain("calm", environment), retrain("calm", environment)
    report = json.loads(first.out)
    assert (first.code, report["outcome"], report["uri"]) == (0, "Archived", None), first.err
    assert json.loads(second.out) == {**report, "repeated": True}
    assert "training" not in second.err
    assert versions("calm", environment) == 1


def test_labels_of_the_store_can_be_validated(store: Store, environment: Mapping[str, str]) -> None:
    """The same rows as a retraining takes; what is wrong with them is told by column."""
    serve(store, "checked", *flowers(150, 1.0))
    good = trainer.run("validate", "--store", "checked", "--json", **environment)
    assert (good.code, json.loads(good.out)["rows"]) == (0, 150), good.err
    serve(store, "shrunk", *flowers(120, 0.1))
    bad = trainer.run("validate", "--store", "shrunk", **environment)
    assert bad.code == 1
    assert "sepal_length: 120 values are below 3" in bad.out


def test_data_that_are_too_few_or_too_bad_are_exit_code_1(store: Store, environment: Mapping[str, str]) -> None:
    """Nothing is trained, and the reason is in the run."""
    train("poor", environment)
    none = retrain("poor", environment)
    assert (none.code, json.loads(none.out)["outcome"]) == (1, "TooFewRows")
    assert "set SLUICE_KEEP_PREDICTIONS in server.env of the ModelDeployment, and send labels" in none.err
    serve(store, "poor", *flowers(150, 0.1))
    bad = retrain("poor", environment)
    report = json.loads(bad.out)
    assert (bad.code, report["outcome"]) == (1, "QualityTooLow")
    run = MlflowClient(environment["MLFLOW_TRACKING_URI"]).get_run(report["run_id"])
    assert "sepal_length: 150 values are below 3" in run.data.tags["sluice.retrain.reason"]
    assert versions("poor", environment) == 1


@pytest.mark.parametrize(
    ("flags", "changed", "words"),
    [
        (
            ["--store-url", "http://127.0.0.1:9"],
            {},
            "http://127.0.0.1:9 does not answer: check --store-url",
        ),
        (["--store-url", "nowhere"], {}, "name the store with --store-url or SLUICE_STORE_URL"),
        ([], {"SLUICE_STORE_TOKEN_FILE": "/etc/hostname"}, "refuses the token (HTTP 401"),
        ([], {"SLUICE_STORE_TOKEN_FILE": __file__}, "has more than a token in it"),
        ([], {"SLUICE_STORE_TOKEN_FILE": str(Path(__file__).parent)}, "which cannot be read: Is a directory"),
        (["--champion", "models:/nobody@champion"], {}, "models:/nobody@champion names no version in MLflow"),
        (["--schema", "/nowhere/schema.json"], {}, "the schema cannot be used"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    environment: Mapping[str, str], flags: list[str], changed: dict[str, str], words: str
) -> None:
    """With exit code 2, and nothing on stdout."""
    train_once(environment)
    done = retrain("bad-input", {**environment, **changed}, *flags)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def train_once(environment: Mapping[str, str]) -> None:
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    if not client.search_registered_models("name='bad-input'"):
        train("bad-input", environment)


def test_the_address_of_something_else_is_no_store(environment: Mapping[str, str]) -> None:
    train_once(environment)
    other = {**environment, "SLUICE_STORE_URL": environment["MLFLOW_TRACKING_URI"]}
    done = retrain("bad-input", other)
    assert (done.code, done.out) == (2, "")
    assert other["SLUICE_STORE_URL"] in done.err
