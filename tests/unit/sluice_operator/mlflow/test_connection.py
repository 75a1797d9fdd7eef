"""Which credentials go to which registry, and what is said about a Secret that is missing or cannot be used."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx

from sluice_operator.api import spec
from sluice_operator.api.observation import Denied, Resolution
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Connection, Login, Logins
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.mlflow.test_client import HOME, IRIS_3, VERSION
from tests.unit.sluice_operator.simulated_time import simulated

ELSEWHERE = "http://mlflow.team-a.svc:5000"


class World:
    """A registry that notes who asks, and a namespace with Secrets."""

    def __init__(self, folder: Path | None = None) -> None:
        self.kube = FakeKube()
        self.now = 0.0
        self.asked: list[tuple[str, str]] = []  # host, and Authorization
        self.status = 200
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        logins = Logins(client, self.kube, str(folder or ""), lambda: self.now)
        self.registry = Registry(client, HOME, ("mlflow.team-a.svc:5000",), logins)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.host, request.headers.get("Authorization", "")))
        return httpx.Response(self.status, json={"model_version": VERSION})

    def secret(self, name: str, **content: str) -> None:
        data = {key.replace("__", "."): base64.b64encode(value.encode()).decode() for key, value in content.items()}
        self.kube.put({"kind": "Secret", "metadata": {"name": name, "namespace": "models"}, "data": data})

    def resolve(self, namespace: str = "models", **fields: Any) -> Resolution:
        via = Connection.of(namespace, spec.Registry(**fields))
        return asyncio.run(self.registry.resolve("models:/iris/3", via))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def own(folder: Path) -> Path:
    (folder / "username").write_text("sluice\n")
    (folder / "password").write_text("secret\n")
    return folder


def test_the_operator_s_credentials_are_for_its_own_registry_alone(tmp_path: Path) -> None:
    """Not for one that an object names, even if that is the same address; and an object's own take their place."""
    world = World(own(tmp_path))
    world.secret("mlflow", token="t0ken")
    for fields in ({}, {"tracking_uri": HOME}, {"tracking_uri": ELSEWHERE}, {"credentials_secret": "mlflow"}):
        assert world.resolve(**fields) == IRIS_3
    assert world.asked == [
        ("mlflow.mlflow.svc", basic("sluice", "secret")),
        ("mlflow.mlflow.svc", ""),
        ("mlflow.team-a.svc", ""),
        ("mlflow.mlflow.svc", "Bearer t0ken"),
    ]


def test_a_renewed_secret_is_used_within_seconds() -> None:
    """Without a restart of the operator."""
    world = World()
    world.secret("mlflow", username="ada", password="one")
    world.resolve(credentials_secret="mlflow")
    world.secret("mlflow", username="ada", password="two")
    world.now = 10.0
    world.resolve(credentials_secret="mlflow")
    assert [said for _, said in world.asked] == [basic("ada", "one"), basic("ada", "two")]


def test_a_missing_secret_is_named_and_nobody_is_asked() -> None:
    """The one with the credentials, and the one for the store of files."""
    world = World()
    assert world.resolve(credentials_secret="mlflow") == Denied(
        "CredentialsMissing",
        "Secret models/mlflow is not there: create it, or correct model.registry.credentialsSecret",
    )
    assert world.resolve(artifact_secret="s3") == Denied(
        "CredentialsMissing", "Secret models/s3 is not there: create it, or correct model.registry.artifactSecret"
    )
    assert world.asked == []


def test_keys_that_mean_nothing_here_are_named() -> None:
    """A pod could not use a client certificate, so the operator does not either; half of a pair is told, too."""
    world = World()
    world.secret("mlflow", tls__crt="x")
    assert world.resolve(credentials_secret="mlflow") == Denied(
        "CredentialsUnusable",
        "the credentials in Secret models/mlflow cannot be used: 'tls.crt' is none of the names that mean something:"
        " token; username and password; ca.crt",
    )
    world.secret("half", username="ada")
    denied = world.resolve(credentials_secret="half")
    assert isinstance(denied, Denied)
    assert denied.message.endswith("there is username without password: write both")


def test_a_refused_login_names_the_place_of_the_credentials_and_not_their_content() -> None:
    """A person knows what to correct."""
    world = World()
    world.secret("mlflow", username="ada", password="s3cret")
    world.status = 401
    denied = world.resolve(credentials_secret="mlflow")
    assert denied == Denied(
        "RegistryLoginRefused",
        f"MLflow at {HOME} does not accept the credentials in Secret models/mlflow (HTTP 401): correct them",
    )
    world.status = 403
    denied = world.resolve(credentials_secret="mlflow")
    assert isinstance(denied, Denied)
    assert "does not allow this with the credentials in Secret models/mlflow (HTTP 403)" in denied.message


def test_what_came_from_another_registry_is_asked_for_without_today_s_secrets() -> None:
    """The Secrets of a spec belong to the registry that it names."""
    today = spec.Registry(tracking_uri=ELSEWHERE, credentials_secret="mlflow")
    assert Connection.to(ELSEWHERE, "models", today) == Connection(ELSEWHERE, "models", "mlflow")
    assert Connection.to("", "models", today) == Connection()


def test_a_client_is_not_closed_while_somebody_may_have_it_in_hand(tmp_path: Path) -> None:
    """33 authorities in one namespace broke off the requests of another one."""
    world = World()
    authority = Authority.made(tmp_path / "ca").certificate.read_text()
    for number in range(33):
        world.secret(f"s{number}", ca__crt=authority * (number + 1))

    async def scenario() -> None:
        logins = Logins(httpx.AsyncClient(), world.kube)
        made = [await logins.of(Connection("", "models", f"s{number}")) for number in range(33)]
        first, second, *_ = (login.client for login in made if isinstance(login, Login))
        assert first is not second
        assert [first.is_closed, second.is_closed] == [False, False]
        again = await logins.of(Connection("", "models", "s1"))
        assert isinstance(again, Login)
        assert again.client is second, "it was not the one that nobody had used for longest"
        await asyncio.sleep(60)
        assert [first.is_closed, second.is_closed] == [True, False]

    simulated(scenario)
