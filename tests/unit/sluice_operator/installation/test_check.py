"""What `helm test` says: which of operator, MLflow, Prometheus, gateway and store is not well, and what to do."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sluice_operator import settings as environment
from sluice_operator.installation import check
from sluice_operator.installation.outcome import CheckError, Line
from sluice_operator.kubernetes.port import ReadRefused
from sluice_operator.prometheus.reader import Reader
from sluice_operator.settings import Settings
from tests.unit.sluice_operator.fake_prometheus import Answering
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.loopback import Asked, Behaviour, client_of

ENVIRONMENT = {
    "SLUICE_SERVER_IMAGE": "registry.example/sluice-server:1",
    "SLUICE_TRACKING_URI": "http://mlflow.example",
    "SLUICE_PROMETHEUS_URL": "http://prometheus.example",
    "SLUICE_GATEWAY_ADDRESS": "http://127.0.0.1:1",
    "SLUICE_STORE_URL": "http://store.example",
}
SETTINGS = environment.read(ENVIRONMENT)


class Lease:
    """Who holds it and when it was renewed, as each look finds it; the last one stays."""

    def __init__(self, *looks: tuple[str, str] | None) -> None:
        self.looks = list(looks)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == ("Lease", "sluice-system", "sluice-leader")
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return look and {"spec": {"holderIdentity": look[0], "renewTime": look[1]}}


async def at_once(_: float) -> None: ...


def works(*looks: tuple[str, str] | None) -> str:
    return asyncio.run(check.operator_works(Lease(*looks), SETTINGS, at_once))


def test_an_operator_that_renews_the_lease_works() -> None:
    """Also if it took it only now."""
    assert "a renews the Lease" in works(None, ("", "1"), *[("a", str(at)) for at in range(2, 7)])


def test_an_operator_that_an_upgrade_ends_is_not_the_one_that_works() -> None:
    """It renews the Lease once or twice more, and gives it back: the new one is to be shown."""
    old, new = [("old", str(at)) for at in range(3)], [("new", str(at)) for at in range(3, 9)]
    assert "new renews the Lease" in works(*old, ("", "3"), *new)


@pytest.mark.parametrize("looks", [(None,), (("a", "1"),), (("", "1"),)])
def test_a_lease_that_nobody_renews_is_no_operator(looks: tuple[tuple[str, str] | None, ...]) -> None:
    """That of an operator that is gone names it still."""
    with pytest.raises(CheckError, match="kubectl logs deployment/NAME -n sluice-system"):
        works(*looks)


def test_an_operator_that_starts_again_and_again_does_not_work() -> None:
    """Each time it takes the Lease, and gives it back."""
    with pytest.raises(CheckError):
        works(*[(holder, str(turn)) for turn in range(40) for holder in ("a", "")])


def mlflow(behaviour: Behaviour, settings: Settings = SETTINGS) -> str:
    async def scenario() -> str:
        async with client_of(behaviour) as http:
            return await check.mlflow_answers(http, FakeKube(), settings)

    return asyncio.run(scenario())


def test_mlflow_is_asked_with_the_credentials_of_the_operator(tmp_path: Path) -> None:
    """For something that needs them."""
    (tmp_path / "token").write_text("secret")
    settings = environment.read({**ENVIRONMENT, "SLUICE_REGISTRY_CREDENTIALS": str(tmp_path)})

    def answer(asked: Asked) -> web.StreamResponse:
        allowed = asked.headers.get("Authorization") == "Bearer secret"
        return web.json_response({} if allowed else {"message": "who are you?"}, status=200 if allowed else 401)

    assert mlflow(answer, settings) == "MLflow answers at http://mlflow.example"
    with pytest.raises(CheckError, match="asks for a login"):
        mlflow(answer)


def test_what_is_no_mlflow_is_named() -> None:
    """With the value that is wrong."""
    with pytest.raises(CheckError, match=r"a page of HTML.*Is mlflow\.url right\?"):
        mlflow(lambda _: web.Response(text="<html>", status=404))


@pytest.mark.parametrize(("ahead", "words"), [(0.0, "Prometheus answers"), (-60.0, "differs by 60 s")])
def test_the_clock_of_prometheus_is_compared(ahead: float, words: str) -> None:
    """By a difference, no run is judged."""
    reader = Reader(Answering([{"metric": {}, "value": [0, str(time.time() + ahead)]}]))
    [line] = asyncio.run(check.results({"Prometheus": lambda: check.prometheus_answers(reader, SETTINGS)}))
    assert (line.is_well, words in line.text) == (ahead == 0, True)


def test_a_gateway_takes_connections() -> None:
    """Whatever it answers to a host that it does not know."""

    async def scenario() -> str:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            listening = environment.read({**ENVIRONMENT, "SLUICE_GATEWAY_ADDRESS": f"http://127.0.0.1:{port}"})
            return await check.gateway_listens(listening)

    assert "takes connections" in asyncio.run(scenario())


def test_each_gateway_with_an_address_of_its_own_takes_connections() -> None:
    """Here the first one does, and the second one does not."""

    async def scenario() -> str:
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            first = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            own = {"SLUICE_GATEWAY_ADDRESS": first, "SLUICE_GATEWAY_ADDRESSES": "infra/public=http://127.0.0.1:1"}
            return await check.gateway_listens(environment.read({**ENVIRONMENT, **own}))

    with pytest.raises(CheckError, match=r"the gateway at http://127\.0\.0\.1:1 takes no connection"):
        asyncio.run(scenario())


class Nameless(asyncio.SelectorEventLoop):
    """An event loop for which no host has a name."""

    async def getaddrinfo(self, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("address", "why"),
    [("http://127.0.0.1:1", "Connection refused"), ("http://gateway.example", r"its name is not found \(Name or")],
)
def test_a_gateway_that_does_not_listen_is_named(address: str, why: str) -> None:
    """With the reason, and the value that is wrong."""
    said = rf"the gateway at {address} takes no connection: {why}.*Is gateway\.address right\?"
    settings = environment.read({**ENVIRONMENT, "SLUICE_GATEWAY_ADDRESS": address})
    with (
        asyncio.Runner(loop_factory=Nameless if "example" in address else None) as runner,
        pytest.raises(CheckError, match=said),
    ):
        runner.run(check.gateway_listens(settings))


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
def test_the_store_says_whether_it_reaches_what_is_behind_it(status: int, is_well: bool) -> None:
    """Its readiness does not depend on that."""

    async def scenario() -> list[Line]:
        async with client_of(lambda _: web.Response(text="the volume is gone", status=status)) as http:
            return await check.results({"the store": lambda: check.store_answers(http, SETTINGS)})

    [line] = asyncio.run(scenario())
    assert line.is_well is is_well
    assert ("the volume is gone" in line.text) is not is_well


def test_each_check_has_its_line_whatever_the_others_find() -> None:
    """In their order, and a refused right is a line as well."""

    async def well() -> str:
        return "fine"

    async def wrong() -> str:
        raise CheckError("mend it")

    async def refused() -> str:
        raise ReadRefused("forbidden")

    async def unforeseen() -> str:
        raise UnicodeError("label\nempty")

    lines = asyncio.run(check.results({"a": well, "b": wrong, "c": refused, "d": unforeseen, "e": well}))
    assert [str(line) for line in lines] == [
        "ok    fine",
        "FAIL  mend it",
        "FAIL  the API server: forbidden",
        "FAIL  d cannot be checked: UnicodeError: label empty",
        "ok    fine",
    ]


@pytest.mark.parametrize("body", ["[]", "null", '{"registered_models": 1e999}', "3"])
def test_json_of_somebody_else_is_not_mlflow(body: str) -> None:
    """Such as that of a proxy that answers everything."""
    with pytest.raises(CheckError, match=r"an answer that is not MLflow's.*Is mlflow\.url right\?"):
        mlflow(lambda _: web.Response(text=body, content_type="application/json"))


class Namespaces:
    """What the API server says of the namespaces with some labels."""

    def __init__(self, *names: str, refused: str = "") -> None:
        self.names, self.refused = frozenset(names), refused

    async def namespaces(self, selector: str) -> frozenset[str]:
        assert selector == "team=a"
        if self.refused:
            raise ReadRefused(self.refused)
        return self.names


def watched(namespaces: Namespaces) -> Line:
    settings = environment.read({**ENVIRONMENT, "SLUICE_NAMESPACE_SELECTOR": "team=a"})
    [line] = asyncio.run(check.results({"n": lambda: check.namespaces_are_found(namespaces, settings)}))
    return line


def test_an_operator_that_finds_no_namespaces_is_named() -> None:
    """It renews its Lease all the same. That none has the labels yet is no fault."""
    assert str(watched(Namespaces("a", "b"))) == "ok    2 namespaces with team=a are watched"
    assert str(watched(Namespaces())).startswith("ok    0 namespaces with team=a are watched: give it to")
    refused = watched(Namespaces(refused="forbidden"))
    assert not refused.is_well
    assert "no namespace is watched, because those with team=a cannot be listed: forbidden" in refused.text


def test_settings_that_cannot_be_used_are_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where people look: among the lines of the others."""
    for name, value in {**ENVIRONMENT, "SLUICE_GATEWAY_ADDRESS": "http://a..b"}.items():
        monkeypatch.setenv(name, value)
    assert check.main([]) == 2
    assert capsys.readouterr().out.startswith("FAIL  the settings cannot be used: SLUICE_GATEWAY_ADDRESS: 'a..b'")
