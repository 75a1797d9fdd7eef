"""Runs that name a Prometheus of their own: who may, as whom, and that nobody is judged by another's samples."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice_operator.api.owner import Manifest
from sluice_operator.api.spec import Prometheus
from sluice_operator.api.status import Result, Run
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.servers import ServerRefusedError, Servers
from tests.unit.sluice_operator.fake_prometheus import (
    INTERVAL,
    START,
    FakePrometheus,
    a_run,
    look,
    lost,
    moment,
    serving,
    trials,
)
from tests.unit.sluice_operator.fakes import FakeKube

TEAM = Prometheus("https://prometheus.team-a.svc:9090", "prometheus")
OTHER = Prometheus("https://other.example")
TIMING = Intervals(scrape=INTERVAL, evaluation=5)


def a_secret(name: str = "prometheus", **data: str) -> Manifest:
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": "models"}, "data": encoded}


@dataclass
class World:
    """Servers by address, a cluster with Secrets, and the clock of the operator."""

    servers: dict[str, FakePrometheus]
    kube: FakeKube = field(default_factory=FakeKube)
    now: float = 0.0
    opened: list[tuple[str, str]] = field(default_factory=list)
    reads: dict[str, Callable[[], Mapping[str, bytes]]] = field(default_factory=dict)

    def opens(self, url: str, where: str, read: Callable[[], Mapping[str, bytes]]) -> Reader:
        self.opened.append((url, where))
        self.reads[url] = read
        return Reader(self.servers[url], lambda: START)

    def sources(self, *allowed: str) -> Servers:
        return Servers(self.kube, TIMING, allowed or ("*.svc:9090", "*.example"), self.opens, lambda: self.now)

    def trials(self, own: FakePrometheus) -> Evaluator:
        return Evaluator(Reader(own, lambda: START), TIMING, self.sources())


def of_another(server: FakePrometheus, name: str) -> FakePrometheus:
    """What it knows is told of an object of this name."""
    server.series = {
        tuple((label, name if label == "model_deployment" else value) for label, value in labels): samples
        for labels, samples in server.series.items()
    }
    return server


def a_world(**secret: str) -> World:
    world = World({TEAM.url: serving(), OTHER.url: of_another(serving(bad=0.5), "tulips")})
    world.kube.put(a_secret(**secret or {"token": "abc"}))
    return world


def run_by(named: Prometheus | None) -> Run:
    return a_run(prometheus=named)


def refusal(sources: Servers, named: Prometheus) -> tuple[str, str]:
    with pytest.raises(ServerRefusedError) as refused:
        asyncio.run(sources.poller("models", named))
    return refused.value.reason, str(refused.value)


def test_objects_with_different_sources_are_judged_side_by_side() -> None:
    """Each by its own: one that is fine, one that is not, and nothing of either in the operator's own."""
    own, world = FakePrometheus(), a_world()
    by = world.trials(own)
    alone, other_alone = trials(serving()), trials(world.servers[OTHER.url])
    seen = []
    for now in (30, 60, 155):
        both = look(by, now, run_by(TEAM)), look(by, now, run_by(OTHER), name="tulips")
        assert both == (look(alone, now), look(other_alone, now, name="tulips"))
        seen.append(tuple(one.result for one in both))
    assert seen[-1] == (Result.PASS, Result.FAIL)
    assert own.queries == []


def test_runs_of_one_source_are_asked_together() -> None:
    """As those of the operator's own are, and never with those of another."""
    world = a_world()
    by = world.trials(serving())
    runs = {"one": TEAM, "two": TEAM, "three": OTHER, "four": None}

    def look_at_all(now: float) -> None:
        for name, named in runs.items():
            look(by, now, run_by(named), name=name)

    look_at_all(10)
    asked = {url: len(server.queries) for url, server in world.servers.items()}
    look_at_all(20)
    assert {url: len(server.queries) - asked[url] for url, server in world.servers.items()} == dict.fromkeys(asked, 1)
    assert 'model_deployment=~"one|two"' in world.servers[TEAM.url].queries[-1]
    assert 'model_deployment=~"three"' in world.servers[OTHER.url].queries[-1]
    assert len(world.opened) == 2


@pytest.mark.parametrize(
    ("named", "reason", "message"),
    [
        (
            Prometheus("https://prometheus.monitoring.svc:9091"),
            "PrometheusNotAllowed",
            "https://prometheus.monitoring.svc:9091 is not on the operator's list: let the administrator add"
            " 'prometheus.monitoring.svc:9091' to SLUICE_ALLOWED_PROMETHEUS or leave spec.prometheus out",
        ),
        (
            Prometheus("https://us:hidden@a.svc:9090"),
            "InvalidPrometheus",
            "spec.prometheus.url: the URL holds a user or a password: leave them out, and write username and password"
            " as files",
        ),
        (
            Prometheus(TEAM.url, "absent"),
            "CredentialsMissing",
            "Secret models/absent is not there: create it, or correct spec.prometheus.credentialsSecret",
        ),
        (
            Prometheus(TEAM.url, "half"),
            "CredentialsUnusable",
            "the credentials in Secret models/half cannot be used: there is username without password: write both",
        ),
    ],
)
def test_a_source_that_is_not_asked_is_told(named: Prometheus, reason: str, message: str) -> None:
    """In a sentence that says who has to do what; the weight stays, and nobody is asked."""
    world = a_world()
    world.kube.put(a_secret("half", username="hidden"))
    assert refusal(world.sources("*.svc:9090"), named) == (reason, message)
    by = Evaluator(Reader(FakePrometheus()), TIMING, world.sources("*.svc:9090"))
    assert look(by, 30, run_by(named)) == lost(message)
    told = asyncio.run(by.refusal("models", named))
    assert told is not None
    assert (told.reason, told.message) == (reason, message)
    assert asyncio.run(by.refusal("models", None)) is None
    assert world.opened == []


def test_nothing_is_known_of_stable_where_the_source_is_not_asked() -> None:
    """The run waits before its first weight."""
    by = a_world().trials(serving())
    elsewhere = Prometheus("https://not.allowed")
    assert asyncio.run(by.rate("models", "iris", "stable", moment(0), elsewhere)) is None
    with pytest.raises(ServerRefusedError):
        asyncio.run(by.latency_thresholds(("models", "iris"), "stable", (), moment(0), elsewhere))


def test_a_secret_that_is_mended_is_seen_without_a_restart() -> None:
    """Within seconds, and without a read of it for each look; a verdict then rests on all that happened meanwhile."""
    world = a_world(username="us")
    by = world.trials(FakePrometheus())
    assert "there is username without password" in look(by, 30, run_by(TEAM)).message
    world.kube.put(a_secret(username="us", password="right"))
    world.now = 5.0
    assert "there is username without password" in look(by, 40, run_by(TEAM)).message
    world.now = 10.0
    assert look(by, 155, run_by(TEAM)) == look(trials(serving()), 155)
    assert world.reads[TEAM.url]() == {"username": b"us", "password": b"right"}
    world.kube.put(a_secret(token="renewed"))
    world.now = 20.0
    look(by, 165, run_by(TEAM))
    assert world.reads[TEAM.url]() == {"token": b"renewed"}
    del world.kube.objects["Secret", "prometheus"]
    world.now = 30.0
    assert "Secret models/prometheus is not there" in look(by, 175, run_by(TEAM)).message


def test_credentials_are_those_of_the_object_s_namespace() -> None:
    """A server that two teams ask is asked as each of them; without credentials it is one source for both."""
    world = a_world()
    sources = world.sources()

    async def feeds() -> list[Any]:
        asked = [(namespace, named) for named in (TEAM, OTHER) for namespace in ("models", "others")]
        return [await sources.poller(namespace, named) for namespace, named in asked]

    ours, theirs, anybody, likewise = asyncio.run(feeds())
    assert ours is not theirs
    assert anybody is likewise
    assert [where for _, where in world.opened[:2]] == ["Secret models/prometheus", "Secret others/prometheus"]
    assert world.reads[OTHER.url]() == {}


def test_sources_that_nobody_uses_are_forgotten() -> None:
    """Those of objects that are long gone."""
    world = a_world()
    sources = world.sources()
    first = asyncio.run(sources.poller("models", TEAM))
    world.now = 3000.0
    assert asyncio.run(sources.poller("models", TEAM)) is first
    world.now = 9000.0
    assert asyncio.run(sources.poller("models", TEAM)) is not first
