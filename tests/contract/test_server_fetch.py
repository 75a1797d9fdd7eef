"""`fetch` against a real MLflow server on loopback: what it brings, and each way in which it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sluice_server.fetch.fetch import run
from sluice_server.http.dialects.plain import PlainDialect
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.model.identity import Identity
from sluice_server.model.origin import Origin
from sluice_server.runtimes import by_name
from sluice_server.settings import fetch_settings

# MLflow and pandas warn about each other while models are made here; what is tested runs in a process of its own.
pytestmark = pytest.mark.filterwarnings("ignore")

TREE, BEYOND = "sklearn.tree._tree.Tree", "numpy.triu"


@pytest.fixture(scope="module")
def registry(mlflow_server: str) -> str:
    return mlflow_server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forest as mlflow.sklearn saves it, in a folder; the other cases are changed copies."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    features, classes = load_iris(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(10, random_state=0).fit(features, classes)
    mlflow.sklearn.save_model(
        forest,
        folder,
        serialization_format="skops",
        skops_trusted_types=[TREE],
        signature=mlflow.models.infer_signature(features, forest.predict(features)),
        input_example=features.head(2),
        pip_requirements=["scikit-learn"],
    )
    return folder


def register(registry: str, folder: Path, name: str = "iris") -> str:
    """Logs a folder as it is, and registers it; gives `models:/<name>/<version>`."""
    client = MlflowClient(registry)
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(folder), "model")
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    version = client.create_model_version(name, f"runs:/{run}/model", run)
    return f"models:/{name}/{version.version}"


class Fetch:
    """Fetches as the init container does, with the process's own environment for MLflow's client."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model_dir = folder / "model"
        self.log = folder / "termination-log"
        self.env = {
            "SLUICE_MODEL_DIR": str(self.model_dir),
            "SLUICE_TERMINATION_LOG": str(self.log),
            "SLUICE_TRUST": "TrustedTypes",
        }
        self._monkeypatch = monkeypatch

    def __call__(self, uri: str, registry: str | None = None, **env: str) -> tuple[int, dict[str, Any]]:
        """Exit code and termination message."""
        if registry is not None:
            self._monkeypatch.setenv("MLFLOW_TRACKING_URI", registry)
        code = run(fetch_settings(self.env | {"SLUICE_MODEL_URI": uri} | env))
        return code, json.loads(self.log.read_bytes())

    def refusal(self, uri: str, **env: str) -> tuple[str, str]:
        """Reason and message of a refusal for good."""
        code, message = self(uri, **env)
        assert code == 3, message
        return message["refused"]["reason"], message["refused"]["message"]


@pytest.fixture
def fetch(registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Fetch(tmp_path, monkeypatch)


def changed(model: Path, target: Path, flavors: dict[str, Any] | None = None, **top: Any) -> Path:
    """A copy of the saved model with other fields in its MLmodel."""
    target.mkdir()
    for file in model.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    content = yaml.safe_load((target / "MLmodel").read_text()) | top
    for flavor, fields in (flavors or {}).items():
        content["flavors"][flavor] |= fields
    (target / "MLmodel").write_text(yaml.safe_dump(content))
    return target


def test_a_model_is_fetched_and_described(registry: str, model: Path, fetch: Fetch) -> None:
    """The files are those that were logged, and the manifest has a body that fits the signature."""
    code, message = fetch(register(registry, model))
    found = manifest.read(fetch.model_dir)
    assert code == 0
    assert message["digest"] == found.digest == tree_digest(model)
    assert (message["runtime"], message["flavor"], found.converted_from) == ("skops", "sklearn", None)
    assert "petal width" in message["signature"]["inputs"]
    dialect = PlainDialect(RowReader(found.schema, 10), Identity("iris", "1", "abcdefghij"))
    example = dialect.parse(json.dumps(found.input_example).encode())
    assert not isinstance(example, Rejection)
    assert example.rows.tolist()[0] == [5.1, 3.5, 1.4, 0.2]


def test_the_run_behind_a_model_is_part_of_it(registry: str, model: Path, fetch: Fetch) -> None:
    """Its id, the commit of its code and its metrics, by whichever name it is fetched; NaN is no number to tell."""
    client = MlflowClient(registry)
    uri = register(registry, model)
    run = client.get_model_version("iris", uri.rpartition("/")[2]).run_id
    client.set_tag(run, "mlflow.source.git.commit", "abc123")
    for name, value in (("accuracy", 0.956), ("loss", float("nan"))):
        client.log_metric(run, name, value)
    assert fetch(uri)[0] == 0
    assert manifest.read(fetch.model_dir).origin == Origin(run, "abc123", {"accuracy": 0.956})
    client.set_tag(run, "mlflow.source.git.commit", "def456")
    code, _ = fetch(f"runs:/{run}/model")
    assert (code, manifest.read(fetch.model_dir).origin.git_commit) == (0, "def456")


def test_every_pinned_form_gives_the_same_digest(registry: str, model: Path, fetch: Fetch) -> None:
    """A version, its run and a retried fetch over old files are the same model."""
    uri = register(registry, model)
    _, by_version = fetch(uri)
    (fetch.model_dir / manifest.FILES / "left-over").write_text("from an earlier try")
    source = MlflowClient(registry).get_model_version("iris", uri.rpartition("/")[2]).source
    _, by_run = fetch(source)
    assert by_version["digest"] == by_run["digest"]


def test_a_logged_model_is_fetched_by_its_id(registry: str, fetch: Fetch) -> None:
    """`models:/m-<id>` is what MLflow 3 itself hands out."""
    features, classes = load_iris(return_X_y=True)
    estimator = LogisticRegression(max_iter=500).fit(features, classes)
    signature = mlflow.models.infer_signature(features, classes)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            estimator, name="m", signature=signature, serialization_format="skops", pip_requirements=["scikit-learn"]
        )
    code, message = fetch(f"models:/{logged.model_id}", SLUICE_TRUSTED_TYPES="")
    assert (code, message["flavor"]) == (0, "sklearn")


def test_a_model_of_mlflow_onnx_is_fetched_and_answers(registry: str, fetch: Fetch, tmp_path: Path) -> None:
    """With weights in a file beside it, as MLflow writes large ones; the labels are read from the file."""
    features, classes = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[classes]
    estimator = RandomForestClassifier(5, random_state=0).fit(features, names)
    mlflow.onnx.save_model(
        to_onnx(estimator, features[:1].astype(np.float32), options={id(estimator): {"zipmap": False}}),
        tmp_path / "model",
        signature=mlflow.models.infer_signature(features, names),
        pip_requirements=["onnx"],
    )
    code, message = fetch(register(registry, tmp_path / "model"), SLUICE_TRUST="Data")
    assert (code, message["runtime"], message["flavor"]) == (0, "onnx", "onnx")
    found = manifest.read(fetch.model_dir)
    model = by_name("onnx").load(fetch.model_dir / found.folder, found, (), features[:2])
    assert model.classes == ("setosa", "versicolor", "virginica")
    assert np.array_equal(model.predict(features).values, estimator.predict(features.astype(np.float32)))


def test_a_forest_is_data(registry: str, model: Path, fetch: Fetch) -> None:
    """Nothing has to be set for a model whose types are known to be safe."""
    code, _ = fetch(register(registry, model), SLUICE_TRUST="Data", SLUICE_TRUSTED_TYPES="")
    assert code == 0


def test_the_models_own_list_of_types_is_not_believed(registry: str, fetch: Fetch, tmp_path: Path) -> None:
    """MLmodel says that a type is trusted; the operator does not."""
    features, classes = load_iris(return_X_y=True)
    estimator = make_pipeline(FunctionTransformer(np.triu), LogisticRegression(max_iter=500)).fit(features, classes)
    mlflow.sklearn.save_model(
        estimator,
        tmp_path / "model",
        serialization_format="skops",
        skops_trusted_types=[BEYOND],
        signature=mlflow.models.infer_signature(features, classes),
        pip_requirements=["scikit-learn"],
    )
    assert BEYOND in (tmp_path / "model" / "MLmodel").read_text()
    reason, message = fetch.refusal(register(registry, tmp_path / "model"))
    assert reason == "UntrustedTypes"
    assert BEYOND in message


def test_a_pickle_is_refused_or_run_as_code(registry: str, fetch: Fetch, tmp_path: Path) -> None:
    """Saved by MLflow itself as cloudpickle; the refusal shows the line to train with."""
    features, classes = load_iris(return_X_y=True)
    mlflow.sklearn.save_model(
        LogisticRegression(max_iter=500).fit(features, classes),
        tmp_path / "pickled",
        serialization_format="cloudpickle",
        signature=mlflow.models.infer_signature(features, classes),
        pip_requirements=["scikit-learn"],
    )
    uri = register(registry, tmp_path / "pickled")
    reason, message = fetch.refusal(uri)
    assert reason == "PickleNotTrusted"
    assert "serialization_format='skops'" in message
    code, told = fetch(uri, SLUICE_TRUST="Code")
    assert (code, told["runtime"], told["flavor"]) == (0, "pyfunc", "sklearn")


def test_a_pickle_that_calls_itself_skops_is_refused(registry: str, model: Path, fetch: Fetch, tmp_path: Path) -> None:
    """What MLmodel says of the file is not believed either."""
    folder = changed(model, tmp_path / "liar")
    (folder / "model.skops").write_bytes(b"\x80\x04cos\nsystem\n")
    assert fetch.refusal(register(registry, folder))[0] == "BadModelFile"


def test_another_library_version_is_refused(registry: str, model: Path, fetch: Fetch, tmp_path: Path) -> None:
    """With both versions and the two ways out."""
    folder = changed(model, tmp_path / "old", {"sklearn": {"sklearn_version": "1.2.0"}})
    reason, message = fetch.refusal(register(registry, folder))
    assert reason == "LibraryMismatch"
    assert "scikit-learn 1.2.0" in message


def test_a_model_without_a_signature_is_served_if_its_file_tells_one(
    registry: str, model: Path, fetch: Fetch, tmp_path: Path
) -> None:
    """It has the names of the columns, and a forest takes numbers only."""
    assert fetch(register(registry, model))[0] == 0
    signed = manifest.read(fetch.model_dir)
    assert fetch(register(registry, changed(model, tmp_path / "bare", signature=None)))[0] == 0
    found = manifest.read(fetch.model_dir)
    assert (found.schema.columns, found.signature_is_inferred) == (signed.schema.columns, True)
    assert not signed.signature_is_inferred


def test_another_flavor_is_refused(registry: str, model: Path, fetch: Fetch, tmp_path: Path) -> None:
    """By its name."""
    folder = changed(model, tmp_path / "keras")
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["flavors"]["keras"] = content["flavors"].pop("sklearn")
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    reason, message = fetch.refusal(register(registry, folder))
    assert reason == "CodeNotTrusted"
    assert "keras" in message


def test_an_artefact_without_mlmodel_is_refused(registry: str, fetch: Fetch, tmp_path: Path) -> None:
    """With what was found instead."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "weights.bin").write_bytes(b"x")
    reason, message = fetch.refusal(register(registry, tmp_path / "weights"))
    assert reason == "NoMLmodel"
    assert "weights.bin" in message


@pytest.mark.parametrize("uri", ["models:/iris/99999", "models:/nobody/1", "models:/m-00000000", "runs:/0000/model"])
def test_what_the_registry_does_not_have_is_refused(registry: str, model: Path, fetch: Fetch, uri: str) -> None:
    """The registry answered: there is no such version, model, logged model or run."""
    register(registry, model)
    reason, message = fetch.refusal(uri)
    assert reason == "ModelNotFound"
    assert uri in message


@pytest.mark.parametrize("uri", ["models:/iris/champion", "models:/iris@champion", "s3://bucket/model", "iris"])
def test_a_uri_that_is_not_pinned_is_refused(fetch: Fetch, uri: str) -> None:
    """Pods never decide: what moves was resolved before."""
    assert fetch.refusal(uri)[0] == "BadModelURI"


def test_an_unreachable_registry_is_no_refusal(fetch: Fetch) -> None:
    """Nobody answered: worth another try, exit code 1."""
    code, message = fetch("models:/iris/1", "http://127.0.0.1:9")
    assert code == 1
    assert message["unavailable"]["reason"] == "RegistryUnreachable"


def test_a_proxy_in_between_is_no_refusal(registry: str, fetch: Fetch) -> None:
    """A 404 that is not the registry's own says nothing about the model."""
    code, message = fetch("models:/iris/1", f"{registry}/no/such/prefix")
    assert code == 1
    assert message["unavailable"]["reason"] == "RegistryUnreachable"


def test_the_command_reports_and_exits_as_the_init_container(registry: str, model: Path, fetch: Fetch) -> None:
    """Started as the image starts it: 0 with a model, 3 refused for good, 1 worth another try, 2 for a bad setting."""

    def command(**env: str) -> tuple[int, list[str]]:
        fetch.log.unlink(missing_ok=True)
        ended = subprocess.run(
            [sys.executable, "-m", "sluice_server", "fetch"],
            env=os.environ | fetch.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, list(json.loads(fetch.log.read_bytes())) if fetch.log.exists() else [ended.stderr]

    uri = register(registry, model)
    assert command(SLUICE_MODEL_URI=uri) == (0, ["digest", "runtime", "flavor", "signature"])
    assert command(SLUICE_MODEL_URI=f"{uri}000") == (3, ["refused"])
    assert command(SLUICE_MODEL_URI=uri, MLFLOW_TRACKING_URI="http://127.0.0.1:9") == (1, ["unavailable"])
    code, (message,) = command(SLUICE_MODEL_URI=uri, SLUICE_TRUST="Everything")
    assert (code, "SLUICE_TRUST is 'Everything'" in message) == (2, True)
