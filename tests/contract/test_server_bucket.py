"""Models whose files are in a bucket of S3, with a real MLflow that does not stand in front of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from obstore.store import S3Store

from dev import mlflow_server, object_store
from dev.object_store import ObjectStore
from sluice_server.fetch.fetch import run
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.settings import fetch_settings
from tests.contract import iris_models
from tests.unit.sluice_operator.certificates import Authority

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other while a model is made
BUCKET = "mlflow"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store.running(tmp_path_factory.mktemp("s3"), [BUCKET]) as server:
        yield server


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model, with a file in a folder of its own."""
    folder = iris_models.saved(tmp_path_factory.mktemp("saved") / "model")
    (folder / "notes").mkdir()
    (folder / "notes" / "größe +%20.txt").write_text("x")
    return folder


def put(server: ObjectStore, place: str, folder: Path) -> None:
    """Puts the files where MLflow says they are, as a person who trains does: MLflow itself is not in between.

    And, as some tools do, an empty object for each folder: for this server, one that has an ETag.
    """
    root = f"s3://{BUCKET}/"
    assert place.startswith(root)
    prefix = place.removeprefix(root)
    store = S3Store(
        BUCKET,
        prefix=prefix,
        endpoint=server.endpoint,
        access_key_id=server.key,
        secret_access_key=server.secret,
        client_options={"allow_http": True},
    )
    for file in folder.rglob("*"):
        if file.is_file():
            obstore.put(store, file.relative_to(folder).as_posix(), file)
    there = server.folder / BUCKET / prefix
    for name in (there, *(path for path in there.rglob("*") if path.is_dir())):
        os.setxattr(name, "user.etag", b"d41d8cd98f00b204e9800998ecf8427e")


@pytest.fixture(scope="module")
def uris(bucket: ObjectStore, saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A model as a version, as a logged model, and as files of a run; MLflow answers while they are used."""
    options = ["--no-serve-artifacts", f"--default-artifact-root=s3://{BUCKET}/artefacts"]
    with (
        mlflow_server.running(tmp_path_factory.mktemp("mlflow"), options) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_URI", url)
        client = MlflowClient(url)
        run_id = client.create_run("0").info.run_id
        put(bucket, f"{client.get_run(run_id).info.artifact_uri}/old", saved)
        logged = client.create_logged_model("0", "iris", run_id)
        put(bucket, logged.artifact_location, saved)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        client.create_registered_model("iris")
        version = client.create_model_version("iris", f"models:/{logged.model_id}", run_id, model_id=logged.model_id)
        yield {
            "version": f"models:/iris/{version.version}",
            "logged model": f"models:/{logged.model_id}",
            "run": f"runs:/{run_id}/old",
            "model of a run": f"runs:/{run_id}/iris",
        }


class Pod:
    """A container `fetch` with the variables that `model.registry.artifactSecret` gives it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.model_dir = folder / "model"
        self._log, self._patch = folder / "termination-log", patch

    def fetch(self, uri: str, secret: dict[str, str]) -> dict[str, Any]:
        """Its termination message."""
        # A client without keys asks the cloud's metadata service, which must not be one outside of this machine.
        for name, value in ({"AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"} | secret).items():
            self._patch.setenv(name, value)
        own = {"SLUICE_MODEL_DIR": str(self.model_dir), "SLUICE_TERMINATION_LOG": str(self._log)}
        run(fetch_settings(own | {"SLUICE_MODEL_URI": uri}))
        message: dict[str, Any] = json.loads(self._log.read_bytes())
        return message


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Pod(tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", ["version", "logged model", "run", "model of a run"])
def test_a_model_is_fetched_from_its_bucket(
    kind: str, bucket: ObjectStore, saved: Path, uris: dict[str, str], pod: Pod
) -> None:
    """By each form of address, with the files that were put there."""
    message = pod.fetch(uris[kind], bucket.variables)
    assert message.get("digest") == tree_digest(saved), message
    assert manifest.read(pod.model_dir).flavor == "sklearn"


def test_mlflow_s_own_variable_names_the_endpoint(bucket: ObjectStore, uris: dict[str, str], pod: Pod) -> None:
    """It wins over the others, as in MLflow's client."""
    elsewhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    message = pod.fetch(uris["version"], bucket.variables | elsewhere | {"MLFLOW_S3_ENDPOINT_URL": bucket.endpoint})
    assert "digest" in message


@pytest.mark.parametrize(
    ("wrong", "reason", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "ArtifactsLoginRefused", "SignatureDoesNotMatch, The request signature"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "ArtifactsLoginRefused", "No user exists with the provided access key ID"),
        ({"AWS_REGION": "eu-west-1"}, "ArtifactsUnreachable", 'the region "eu-west-1" is wrong; expecting "us-east-1"'),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "ArtifactsUnreachable", "Connection refused"),
        ({"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "ArtifactsUnreachable", "failed to lookup address"),
        ({"AWS_ENDPOINT_URL": "nowhere"}, "ArtifactsUnreachable", "nowhere"),
    ],
)
def test_what_is_wrong_with_the_bucket_is_told(
    wrong: dict[str, str], reason: str, words: str, bucket: ObjectStore, uris: dict[str, str], pod: Pod
) -> None:
    """It is no refusal of the model: another try succeeds once the Secret is right. No key is in the message."""
    message = pod.fetch(uris["version"], bucket.variables | wrong)["unavailable"]
    assert message["reason"] == reason, message
    assert words in message["message"]
    assert bucket.key not in message["message"]
    if reason == "ArtifactsLoginRefused":
        assert message["message"].endswith("correct the Secret that model.registry.artifactSecret names, or name one")


def test_without_keys_the_message_says_so(bucket: ObjectStore, uris: dict[str, str], pod: Pod) -> None:
    """And which field of the spec gives some."""
    message = pod.fetch(uris["version"], {"AWS_ENDPOINT_URL": bucket.endpoint})["unavailable"]
    assert message["reason"] == "ArtifactsLoginRefused"
    assert "there are no keys in the environment" in message["message"]
    assert "model.registry.artifactSecret" in message["message"]


def test_a_bucket_that_is_not_there_is_no_missing_model(
    bucket: ObjectStore, saved: Path, uris: dict[str, str], pod: Pod
) -> None:
    """The version is not rejected for it."""
    there = bucket.folder / BUCKET
    there.rename(away := bucket.folder / "away")
    try:
        message = pod.fetch(uris["version"], bucket.variables)
    finally:
        away.rename(there)
    assert message["unavailable"]["reason"] == "ArtifactsUnreachable"
    assert "NoSuchBucket" in message["unavailable"]["message"]


def test_a_bucket_behind_a_certificate_of_an_own_authority(
    bucket: ObjectStore, saved: Path, uris: dict[str, str], pod: Pod, tmp_path: Path
) -> None:
    """SSL_CERT_FILE names the authority; without it the message says that the certificate is not trusted."""
    authority = Authority.made(tmp_path / "authority")
    authority.pair("server")
    pair = tmp_path / "authority" / "server.crt", tmp_path / "authority" / "server.key"
    (tmp_path / "tls").mkdir()
    with object_store.running(tmp_path / "tls", [], pair) as secure:
        (secure.folder / BUCKET).symlink_to(bucket.folder / BUCKET)
        message = pod.fetch(uris["version"], secure.variables)["unavailable"]
        assert "certificate" in message["message"]
        trusted = {"SSL_CERT_FILE": str(authority.certificate)}
        assert "digest" in pod.fetch(uris["version"], secure.variables | trusted)
