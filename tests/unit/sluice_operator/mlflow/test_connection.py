"""Which credentials go to which registry, and what is said about a Secret that is missing or cannot be used."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from sluice_operator.api import spec
from sluice_operator.api.observation import Denied, Resolution, Unreachable
from sluice_operator.http_client import HttpClient
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Connection, Login, Logins
from sluice_operator.mlflow.rest import Api, UnusableError
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.loopback import Asked, client_of
from tests.unit.sluice_operator.mlflow.test_client import HOME, IRIS_3, VERSION
from tests.unit.sluice_operator.prometheus.test_renewal import Server as HttpsServer

ELSEWHERE = "http://mlflow.team-a.svc:5000"
SECURE = "https://mlflow.mlflow.svc:5000"


class World:
    """A registry that notes who asks, and a namespace with Secrets."""

    def __init__(self, folder: Path | None = None) -> None:
        self.kube = FakeKube()
        self.now = 0.0
        self.asked: list[tuple[str, str]] = []  # host, and Authorization
        self.status = 200
        self.logins = Logins(self.kube, str(folder or ""), lambda: self.now)

    def _answer(self, asked: Asked) -> web.Response:
        self.asked.append((urlsplit(asked.url).hostname or "", asked.headers.get("Authorization", "")))
        return web.json_response({"model_version": VERSION}, status=self.status)

    def secret(self, name: str, **content: str) -> None:
        data = {key.replace("__", "."): base64.b64encode(value.encode()).decode() for key, value in content.items()}
        self.kube.put({"kind": "Secret", "metadata": {"name": name, "namespace": "models"}, "data": data})

    def resolve(self, namespace: str = "models", **fields: Any) -> Resolution:
        via = Connection.of(namespace, spec.Registry(**fields))

        async def ask() -> Resolution:
            async with client_of(self._answer) as client:
                registry = Registry(client, HOME, ("mlflow.team-a.svc:5000",), self.logins)
                return await registry.resolve("models:/iris/3", via)

        return asyncio.run(ask())


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


def test_a_request_goes_on_whoever_else_comes(tmp_path: Path) -> None:
    """33 authorities in one namespace broke off the requests of another one."""
    world, ours = World(), Authority.made(tmp_path / "ca")
    text = ours.certificate.read_text()
    for number in range(40):
        world.secret(f"s{number}", ca__crt=text * (number + 1))

    async def login(number: int) -> Login:
        found = await world.logins.of(Connection("", "models", f"s{number}"))
        assert isinstance(found, Login)
        return found

    async def scenario() -> None:
        reached, others_came = asyncio.Event(), asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            reached.set()
            await others_came.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(ours))
        address = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with listening, HttpClient("mlflow") as client:
            asking = asyncio.create_task(Api(client, address, await login(0)).get(dict[str, Any], "x"))
            await reached.wait()
            second = await login(1)
            for number in range(2, 33):
                await login(number)
            assert (await login(1)).trust is second.trust, "it was not the one that nobody had used for longest"
            others_came.set()
            assert await asking == {}

    asyncio.run(asyncio.wait_for(scenario(), 30))


def server_context(authority: Authority, address: str = "IP:127.0.0.1") -> ssl.SSLContext:
    """The server's side, with a certificate for `address`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.pair("server", address))
    return context


def over_tls(certificate: ssl.SSLContext, logins: Logins | None = None, via: Connection | None = None) -> Resolution:
    """What a registry with this certificate says, at a name that leads to this machine."""

    async def ask() -> Resolution:
        async with client_of(lambda _: web.json_response({"model_version": VERSION}), certificate) as client:
            return await Registry(client, SECURE, (), logins).resolve("models:/iris/3", via or Connection())

    return asyncio.run(asyncio.wait_for(ask(), 30))


def test_a_certificate_is_trusted_if_ca_crt_has_its_authority(tmp_path: Path) -> None:
    """Otherwise it is told what to check; a certificate of another host is not trusted either."""
    ours, world = Authority.made(tmp_path / "ours"), World()
    world.secret("mlflow", ca__crt=ours.certificate.read_text())
    via = Connection("", "models", "mlflow")
    right, other = (server_context(ours, f"DNS:{name}") for name in ("mlflow.mlflow.svc", "other.example.com"))
    assert over_tls(right, world.logins, via) == IRIS_3
    unknown, misnamed = over_tls(right), over_tls(other, world.logins, via)
    assert isinstance(unknown, Unreachable)
    assert isinstance(misnamed, Unreachable)
    began = f"MLflow at {SECURE} gave no usable answer: its certificate is not trusted, "
    assert unknown.message.startswith(began)
    assert unknown.message.endswith(": is ca.crt that of its authority?")
    assert misnamed.message.startswith(f"{began}Hostname mismatch")


def test_a_client_certificate_is_sent_to_a_registry_that_requires_it(tmp_path: Path) -> None:
    """The operator's own; without one, it is told what is missing."""
    ours, folder = Authority.made(tmp_path / "ours"), tmp_path / "credentials"
    certificate, key = ours.pair("operator")
    folder.mkdir()
    (folder / "ca.crt").write_text(ours.certificate.read_text())

    async def ask(address: str) -> dict[str, Any]:
        login = await World(folder).logins.of(Connection())
        assert isinstance(login, Login)
        async with HttpClient("mlflow") as client:
            return await Api(client, address, login).get(dict[str, Any], "x")

    with HttpsServer(ours.pair("server"), clients=ours.certificate).running() as address:
        with pytest.raises(UnusableError, match=r"it refuses us without a certificate that it trusts: are tls.crt and"):
            asyncio.run(ask(address))
        (folder / "tls.crt").write_text(certificate.read_text())
        (folder / "tls.key").write_text(key.read_text())
        assert "data" in asyncio.run(ask(address))
