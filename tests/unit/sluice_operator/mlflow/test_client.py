"""Three results of a registry that must never be mixed up: a model, no such model, no usable answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from aiohttp import web

from sluice_operator.api.observation import Denied, Resolution, Resolved, Unreachable, Unresolved
from sluice_operator.api.revision import Model
from sluice_operator.http_client import Answer, HttpError, Request, SlowError
from sluice_operator.mlflow.client import Registry, RegistryError
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.uris import ByAlias, ByStage, Named
from tests.unit.sluice_operator.loopback import Asked, Behaviour, client_of

HOME = "http://mlflow.mlflow.svc:5000"
VERSION = {"name": "iris", "version": "3", "run_id": "r1", "source": "models:/m-1", "status": "READY"}
IRIS_3 = Resolved(Model("models:/iris/3", "iris", "3", "r1", "models:/m-1"))
CHAMPION, PRODUCTION = ByAlias("iris", "champion"), ByStage("iris", "Production")
T = TypeVar("T")


class Breaking:
    """A client that never has an answer."""

    def __init__(self, error: HttpError) -> None:
        self.error = error

    async def ask(self, request: Request) -> Answer:
        raise self.error


class Server:
    """A fake MLflow that gives one answer, or none, to each client of it, and keeps the requests."""

    def __init__(self, answer: Behaviour | HttpError, *allowed_hosts: str) -> None:
        self.answer = answer
        self.allowed_hosts = allowed_hosts
        self.requests: list[str] = []

    def _handle(self, asked: Asked) -> web.StreamResponse:
        assert not isinstance(self.answer, HttpError)
        self.requests.append(f"{asked.method} {asked.url}")
        return self.answer(asked)

    def asked(self, question: Callable[[Registry], Awaitable[T]]) -> T:
        """What comes of a question to its registry."""

        async def ask() -> T:
            if isinstance(self.answer, HttpError):
                return await question(Registry(Breaking(self.answer), HOME, self.allowed_hosts))
            async with client_of(self._handle) as client:
                return await question(Registry(client, HOME, self.allowed_hosts))

        return asyncio.run(ask())

    def resolve(self, uri: str = "models:/iris/3", tracking_uri: str = "") -> Resolution:
        return self.asked(lambda registry: registry.resolve(uri, Connection(tracking_uri)))

    def named_version(self, tracking_uri: str = "", named: Named = CHAMPION) -> str | None:
        return self.asked(lambda registry: registry.named_version(Connection(tracking_uri), named))

    def move(self, tracking_uri: str = "", named: Named = CHAMPION) -> None:
        self.asked(lambda registry: registry.move(Connection(tracking_uri), named, "3"))


def answers(body: Any, status: int = 200) -> Behaviour:
    return lambda _: web.json_response(body, status=status)


def missing(message: str, code: str = "RESOURCE_DOES_NOT_EXIST", status: int = 404) -> Behaviour:
    return answers({"error_code": code, "message": message}, status)


API = f"GET {HOME}/api/2.0/mlflow"


@pytest.mark.parametrize(
    ("uri", "answer", "path", "resolution"),
    [
        ("models:/iris/3", {"model_version": VERSION}, "/model-versions/get?name=iris&version=3", IRIS_3),
        (
            "models:/iris@champion",
            {"model_version": VERSION},
            "/registered-models/alias?name=iris&alias=champion",
            IRIS_3,
        ),
        ("models:/iris/latest", {"model_version": VERSION}, "/registered-models/alias?name=iris&alias=latest", IRIS_3),
        (
            "models:/iris/production",
            {"model_versions": [VERSION]},
            "/registered-models/get-latest-versions?name=iris&stages=Production",
            IRIS_3,
        ),
        (
            "models:/m-0a1b",
            {"model": {"info": {"source_run_id": "r9", "name": "forest"}}},
            "/logged-models/m-0a1b",
            Resolved(Model("models:/m-0a1b", "forest", "m-0a1b", "r9")),
        ),
        (
            "runs:/0a1b2c3d4e/model",
            {"run": {"info": {"run_name": "calm-owl"}}},
            "/runs/get?run_id=0a1b2c3d4e",
            Resolved(Model("runs:/0a1b2c3d4e/model", "calm-owl", "0a1b2c3d", "0a1b2c3d4e")),
        ),
    ],
)
def test_each_form_of_uri_is_resolved_by_one_request(uri: str, answer: Any, path: str, resolution: Resolved) -> None:
    """To the version that it names now, with a pinned URI."""
    server = Server(answers(answer))
    assert (server.resolve(uri), server.requests) == (resolution, [API + path])


@pytest.mark.parametrize(
    ("uri", "answer", "reason", "message"),
    [
        (
            "models:/iris/9",
            missing("not found"),
            "VersionNotFound",
            "MLflow has no version 9 of model 'iris'; correct model.uri (not found)",
        ),
        (
            "models:/iris@nobody",
            missing("no such alias", "INVALID_PARAMETER_VALUE", 400),
            "AliasNotFound",
            "MLflow has no alias 'nobody' of model 'iris'; set it, or correct model.uri (no such alias)",
        ),
        (
            "models:/irsi@champion",
            missing("Registered Model with name=irsi not found"),
            "ModelNotFound",
            "MLflow has no model 'irsi'; correct model.uri (Registered Model with name=irsi not found)",
        ),
        (
            "models:/iris/Staging",
            answers({}),
            "StageEmpty",
            "no version of model 'iris' is in stage Staging; move one there (no version of iris is in stage Staging)",
        ),
        (
            "models:/m-0a1b",
            missing("no logged model"),
            "ModelNotFound",
            "MLflow does not have it; correct model.uri (no logged model)",
        ),
        (
            "models:/iris/3",
            answers({"model_version": {**VERSION, "status": "PENDING_REGISTRATION"}}),
            "ModelNotReady",
            "models:/iris/3 is PENDING_REGISTRATION in the registry: wait, or register it again",
        ),
        (
            "models:/iris/champion",
            answers({}),
            "InvalidURI",
            "'champion' is no version and no stage; for the alias write models:/iris@champion",
        ),
    ],
)
def test_a_missing_model_is_not_an_outage(uri: str, answer: Behaviour, reason: str, message: str) -> None:
    """MLflow has answered; the message says what to correct."""
    assert Server(answer).resolve(uri) == Unresolved(reason, message)


@pytest.mark.parametrize(
    "answer",
    [
        HttpError("Connection refused"),
        SlowError(""),
        answers({"error_code": "INTERNAL_ERROR"}, 500),
        answers({"error_code": "TEMPORARILY_UNAVAILABLE"}, 503),
        answers({"error_code": "ENDPOINT_NOT_FOUND"}, 404),
        lambda _: web.Response(text="<h1>Sign in</h1>", content_type="text/html"),
        lambda _: web.Response(status=404, text="<h1>nginx</h1>", content_type="text/html"),
        lambda _: web.Response(status=302, headers={"location": "http://elsewhere/"}),
        answers({"something": "else"}),
        answers({"model_version": None}),
        answers([]),
        answers([], 404),
        answers("no", 400),
        answers(None),
    ],
)
@pytest.mark.parametrize("uri", ["models:/iris/3", "models:/iris/Staging", "models:/m-0a1b", "runs:/0a1b/model"])
def test_an_unusable_answer_is_an_outage(uri: str, answer: Behaviour | HttpError) -> None:
    """An answer that is not MLflow's says nothing about the model."""
    server = Server(answer)
    resolution = server.resolve(uri)
    if uri == "models:/iris/Staging" and isinstance(resolution, Unresolved):
        assert resolution.reason == "StageEmpty"  # MLflow's answer for an empty stage is an empty list
    else:
        assert isinstance(resolution, Unreachable)
        assert resolution.message.startswith(f"MLflow at {HOME} gave no usable answer: ")
        assert not resolution.message.endswith(": ")
    assert server.named_version() is None


def test_each_registry_has_its_own_answers() -> None:
    """The answer of one is not used for another."""
    server = Server(answers({"model_version": VERSION}), "other:5000")
    server.resolve()
    server.resolve(tracking_uri="http://other:5000")
    assert [request.split("/api")[0] for request in server.requests] == [f"GET {HOME}", "GET http://other:5000"]


@pytest.mark.parametrize(
    ("tracking_uri", "reason", "says"),
    [
        ("http://169.254.169.254", "RegistryNotAllowed", "SLUICE_ALLOWED_REGISTRIES"),
        ("http://localhost:5000", "RegistryNotAllowed", "SLUICE_ALLOWED_REGISTRIES"),
        ("http://evil.example.com", "RegistryNotAllowed", "SLUICE_ALLOWED_REGISTRIES"),
        ("http://mlflow.mlflow.svc:5001", "RegistryNotAllowed", "SLUICE_ALLOWED_REGISTRIES"),
        ("http://mlflow.team.svc:5000@evil.example.com", "InvalidRegistry", "credentialsSecret"),
        ("http://mlflow.team.svc:5000:x@evil.example.com/path", "InvalidRegistry", "credentialsSecret"),
        ("http://somebody:s3cret@mlflow.team.svc:5000", "InvalidRegistry", "holds a user or a password"),
        ("file:///etc/passwd", "InvalidRegistry", "not an address"),
        ("mlflow", "InvalidRegistry", "not an address"),
    ],
)
def test_a_host_that_is_not_on_the_list_is_never_asked(tracking_uri: str, reason: str, says: str) -> None:
    """Neither for a model, nor for an alias, nor to move an alias."""
    server = Server(answers({"model_version": VERSION}), "mlflow.team.svc:*", "*.models.svc:5000")
    resolution = server.resolve(tracking_uri=tracking_uri)
    assert isinstance(resolution, Denied)
    assert (resolution.reason, says in resolution.message, "s3cret" in resolution.message) == (reason, True, False)
    assert server.named_version(tracking_uri) is None
    with pytest.raises(RegistryError, match=says):
        server.move(tracking_uri)
    assert server.requests == []


@pytest.mark.parametrize("tracking_uri", ["", HOME, f"{HOME}/", "http://a.models.svc:5000"])
def test_the_operator_s_own_registry_and_those_on_the_list_are_asked(tracking_uri: str) -> None:
    """A slash at the end makes no difference."""
    server = Server(answers({"model_version": VERSION}), "*.models.svc:5000")
    assert server.resolve(tracking_uri=tracking_uri) == IRIS_3


@pytest.mark.parametrize(
    ("named", "path", "body"),
    [
        (CHAMPION, "registered-models/alias", {"alias": "champion"}),
        (
            PRODUCTION,
            "model-versions/transition-stage",
            {"stage": "Production", "archive_existing_versions": True},
        ),
    ],
)
def test_an_alias_or_a_stage_is_moved_by_one_request(named: Named, path: str, body: dict[str, Any]) -> None:
    """It has the model, the version and its new name. What was in the stage before is archived by the same request."""
    sent: list[Any] = []

    def take(asked: Asked) -> web.Response:
        sent.append((asked.method, asked.path, json.loads(asked.body)))
        return web.json_response({})

    Server(take).move(named=named)
    assert sent == [("POST", f"/api/2.0/mlflow/{path}", {"name": "iris", "version": "3", **body})]


def test_a_version_in_production_gets_no_other_stage() -> None:
    """It has one stage, and whoever reads Production would find none in it."""
    staging = ByStage("iris", "Staging")
    serving = Server(answers({"model_version": {**VERSION, "current_stage": "Production"}}))
    with pytest.raises(RegistryError, match="version 3 is in Production, and a version has one stage"):
        serving.move(named=staging)
    assert [request.split()[0] for request in serving.requests] == ["GET"]
    waiting = Server(answers({"model_version": {**VERSION, "current_stage": "None"}}))
    waiting.move(named=staging)
    assert [request.split()[0] for request in waiting.requests] == ["GET", "POST"]


def test_an_error_is_raised_if_the_alias_is_not_moved() -> None:
    """So the caller can try again."""
    with pytest.raises(RegistryError):
        Server(answers({}, 500)).move()


def test_the_version_that_an_alias_points_to() -> None:
    """None without such an alias."""
    existing, absent = Server(answers({"model_version": VERSION})), Server(missing("no alias"))
    assert [server.named_version() for server in (existing, absent)] == ["3", None]


def test_the_version_that_is_in_a_stage() -> None:
    """None if none is: MLflow's answer is an empty list then."""
    existing, empty = Server(answers({"model_versions": [VERSION]})), Server(answers({}))
    assert [server.named_version(named=PRODUCTION) for server in (existing, empty)] == ["3", None]


@pytest.mark.parametrize(
    "fields",
    [
        {"run_id": 5},
        {"source": {"a": 1}},
        {"source": "x" * 4_001},
        {"source": "a\x00b"},
        {"name": ["iris"]},
        {"name": "n" * 257},
        {"name": "../iris"},
        {"name": "\ud800"},
        {"version": "9" * 65},
        {"version": "2/../7"},
        {"status": None},
    ],
)
def test_a_field_of_another_kind_or_length_is_no_answer(fields: dict[str, Any]) -> None:
    """A status was made of it that could not be read again, or was refused for its size; and pods from it."""
    body = json.dumps({"model_version": {**VERSION, **fields}})
    assert isinstance(Server(lambda _: web.Response(text=body, content_type="application/json")).resolve(), Unreachable)


def test_a_field_that_is_null_is_missing() -> None:
    """As other servers of the same API write it."""
    answer = {"model_version": {**VERSION, "run_id": None, "source": None, "version": 3}}
    assert Server(answers(answer)).resolve() == Resolved(Model("models:/iris/3", "iris", "3"))
    run: dict[str, Any] = {"run": {"info": {"run_name": None}}}
    assert Server(answers(run)).resolve("runs:/abc/model") == Resolved(Model("runs:/abc/model", "abc", "abc", "abc"))
