"""A real MLflow behind a path, with its own app for logins: the operator and the pods get in, or say why not."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mlflow import MlflowClient

from dev import mlflow_server
from dev.api_server import ROOT
from sluice_operator.api.observation import Denied, Resolution, Resolved
from sluice_operator.http_client import HttpClient
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Connection, Logins
from sluice_server.fetch.fetch import run
from sluice_server.model.digest import tree_digest
from sluice_server.settings import fetch_settings
from tests.contract import iris_models
from tests.unit.sluice_operator.fakes import FakeKube

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other while a model is made
PREFIX = "/teams/mlflow"
ADMIN = {"username": "admin", "password": "a long password of an admin"}
TOKEN = "a-token-of-the-tests"
USER = {"username": "reader", "password": "a long password of a reader"}
STRANGER = {"username": "stranger", "password": "a long password of a stranger"}
VARIABLES = {
    "username": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
    "token": "MLFLOW_TRACKING_TOKEN",
}


@dataclass(frozen=True)
class Guarded:
    """The server with its path, and a model in it that `reader` may read and `stranger` may not."""

    url: str
    uri: str
    saved: Path


def config(folder: Path) -> Path:
    """The settings of MLflow's app for logins."""
    file = folder / "auth.ini"
    lines = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": f"sqlite:///{folder}/auth.db",
        "admin_username": ADMIN["username"],
        "admin_password": ADMIN["password"],
        "authorization_function": "tests.contract.mlflow_tokens:authenticate",
    }
    file.write_text("\n".join(["[mlflow]", *(f"{name} = {value}" for name, value in lines.items())]))
    return file


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("mlflow")
    env = {
        "MLFLOW_AUTH_CONFIG_PATH": str(config(folder)),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key of the tests",
        "TESTS_TOKEN": TOKEN,
        "TESTS_READER": USER["username"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    options = ["--app-name=basic-auth", f"--static-prefix={PREFIX}"]
    with mlflow_server.running(folder, options, PREFIX, **env) as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {**as_variables(ADMIN), "MLFLOW_TRACKING_URI": url}.items():
            patch.setenv(name, value)
        yield Guarded(url, registered(url, folder / "saved"), folder / "saved")


def registered(url: str, folder: Path) -> str:
    """Registers a model as the admin, with its files behind MLflow; gives its URI."""
    client = MlflowClient(url)
    version = iris_models.registered(client, "iris", iris_models.saved(folder))
    client.set_registered_model_alias("iris", "champion", version)
    with httpx.Client(base_url=url, auth=(ADMIN["username"], ADMIN["password"])) as admin:
        for user in (USER, STRANGER):
            admin.post("/api/2.0/mlflow/users/create", json=user).raise_for_status()
        for kind, name in (("registered_model", "iris"), ("experiment", "0")):
            right = {"resource_type": kind, "resource_id": name, "permission": "READ"}
            body = {"username": USER["username"], **right}
            admin.post("/api/3.0/mlflow/users/permissions/grant", json=body).raise_for_status()
    return f"models:/iris/{version}"


def as_variables(secret: dict[str, str]) -> dict[str, str]:
    """What a pod gets of a Secret."""
    return {VARIABLES[key]: value for key, value in secret.items()}


def resolved(url: str, secret: dict[str, str] | None) -> Resolution:
    """What the operator finds behind an alias, with the keys of a Secret that the object names."""
    kube = FakeKube()
    if secret is not None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.items()}
        kube.put({"kind": "Secret", "metadata": {"name": "mlflow", "namespace": "models"}, "data": data})
    connection = Connection(url, "models", "" if secret is None else "mlflow")

    async def ask() -> Resolution:
        async with HttpClient("mlflow") as http:
            registry = Registry(http, "", (urlsplit(url).netloc,), Logins(kube))
            return await registry.resolve("models:/iris@champion", connection)

    return asyncio.run(ask())


@pytest.mark.parametrize("secret", [USER, {"token": TOKEN}], ids=["password", "token"])
def test_the_operator_resolves_an_alias(guarded: Guarded, secret: dict[str, str]) -> None:
    """With a user and a password, or with a token."""
    answer = resolved(guarded.url, secret)
    assert isinstance(answer, Resolved), answer
    assert answer.model.uri == guarded.uri


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, "asks for a login (HTTP 401): name a Secret with token, or username and password, in"),
        (USER | {"password": "wrong"}, "does not accept the credentials in Secret models/mlflow (HTTP 401): correct"),
        ({"token": "wrong"}, "does not accept the credentials in Secret models/mlflow (HTTP 401): correct them"),
        (STRANGER, "does not allow this with the credentials in Secret models/mlflow (HTTP 403): give that user the"),
    ],
    ids=["nobody", "wrong password", "wrong token", "no right"],
)
def test_a_refused_login_is_told_as_that(guarded: Guarded, secret: dict[str, str] | None, words: str) -> None:
    """It is neither an outage nor a missing model."""
    answer = resolved(guarded.url, secret)
    assert isinstance(answer, Denied), answer
    assert answer.reason == "RegistryLoginRefused"
    assert words in answer.message


def test_an_address_without_its_path_is_asked_about(guarded: Guarded) -> None:
    """MLflow's app for logins allows no path that it does not know, so this looks like a missing right."""
    answer = resolved(guarded.url.removesuffix(PREFIX), USER)
    assert isinstance(answer, Denied), answer
    assert answer.message.endswith("; or is the path missing in the address?")


def fetched(guarded: Guarded, secret: dict[str, str], folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The termination message of a pod with a Secret; its files come through MLflow."""
    for name in VARIABLES.values():
        patch.delenv(name, raising=False)
    for name, value in {"MLFLOW_TRACKING_URI": guarded.url, **as_variables(secret)}.items():
        patch.setenv(name, value)
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    log = folder / "termination-log"
    own = {"SLUICE_MODEL_DIR": str(folder / "model"), "SLUICE_TERMINATION_LOG": str(log)}
    run(fetch_settings(own | {"SLUICE_MODEL_URI": guarded.uri}))
    message: dict[str, Any] = json.loads(log.read_bytes())
    return message


@pytest.mark.parametrize("secret", [USER, {"token": TOKEN}], ids=["password", "token"])
def test_a_pod_fetches_the_files(
    guarded: Guarded, secret: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the path, with the same Secret as the operator."""
    message = fetched(guarded, secret, tmp_path, monkeypatch)
    assert message.get("digest") == tree_digest(guarded.saved), message


@pytest.mark.parametrize(
    "secret",
    [{}, USER | {"password": "wrong"}, {"token": "wrong"}, STRANGER],
    ids=["nobody", "wrong password", "wrong token", "no right"],
)
def test_a_pod_whose_login_is_refused_says_so(
    guarded: Guarded, secret: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is not refused for it, and the message says which Secret to correct."""
    message = fetched(guarded, secret, tmp_path, monkeypatch)
    assert message["unavailable"]["reason"] == "RegistryLoginRefused", message
    assert "model.registry.credentialsSecret" in message["unavailable"]["message"]
