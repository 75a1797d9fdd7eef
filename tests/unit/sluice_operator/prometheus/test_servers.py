"""Runs that name a Prometheus: which are allowed, with which credentials, and that no run gets samples of another."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Prometheus
from sluice_operator.api.status import Result
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.servers import ServerRefusedError, Servers
from tests.unit.sluice_operator.fake_prometheus import (
    INTERVAL,
    START,
    FakePrometheus,
    a_run,
    evaluator_for,
    metrics_lost,
    moment,
    serving,
    verdict_at,
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
    """Prometheus servers by address, a cluster with Secrets, and the operator's clock."""

    servers: dict[str, FakePrometheus]
    kube: FakeKube = field(default_factory=FakeKube)
    now: float = 0.0
    opened: list[tuple[str, str]] = field(default_factory=list)
    reads: dict[str, Callable[[], Mapping[str, bytes]]] = field(default_factory=dict)

    def open_reader(self, url: str, where: str, read: Callable[[], Mapping[str, bytes]]) -> Reader:
        self.opened.append((url, where))
        self.reads[url] = read
        return Reader(self.servers[url], lambda: START)

    def allowing(self, *allowed: str) -> Servers:
        return Servers(self.kube, TIMING, allowed or ("*.svc:9090", "*.example"), self.open_reader, lambda: self.now)

    def evaluator(self, own: FakePrometheus) -> Evaluator:
        return Evaluator(Reader(own, lambda: START), TIMING, self.allowing())


def renamed(server: FakePrometheus, name: str) -> FakePrometheus:
    """The same server, with its series under another name of the ModelDeployment."""
    server.series = {
        tuple((label, name if label == "model_deployment" else value) for label, value in labels): samples
        for labels, samples in server.series.items()
    }
    return server


def a_world(**secret: str) -> World:
    world = World({TEAM.url: serving(), OTHER.url: renamed(serving(bad=0.5), "tulips")})
    world.kube.put(a_secret(**secret or {"token": "abc"}))
    return world


def run_by(named: Prometheus | None) -> Run:
    return a_run(prometheus=named)


def refusal(servers: Servers, named: Prometheus) -> tuple[str, str]:
    with pytest.raises(ServerRefusedError) as refused:
        asyncio.run(servers.poller("models", named))
    return refused.value.reason, str(refused.value)


def test_objects_with_different_servers_are_judged_by_their_own_samples() -> None:
    """One passes and one fails, at the same time, and the operator's own Prometheus has nothing of either."""
    own, world = FakePrometheus(), a_world()
    shared = world.evaluator(own)
    only_team, only_other = evaluator_for(serving()), evaluator_for(world.servers[OTHER.url])
    results = []
    for now in (30, 60, 155):
        both = verdict_at(shared, now, run_by(TEAM)), verdict_at(shared, now, run_by(OTHER), name="tulips")
        assert both == (verdict_at(only_team, now), verdict_at(only_other, now, name="tulips"))
        results.append(tuple(verdict.result for verdict in both))
    assert results[-1] == (Result.PASS, Result.FAIL)
    assert own.queries == []


def test_runs_with_the_same_server_share_one_query() -> None:
    """As runs with the operator's own Prometheus do. Runs with another server are not in that query."""
    world = a_world()
    evaluator = world.evaluator(serving())
    runs = {"one": TEAM, "two": TEAM, "three": OTHER, "four": None}

    def evaluate_all(now: float) -> None:
        for name, named in runs.items():
            verdict_at(evaluator, now, run_by(named), name=name)

    evaluate_all(10)
    asked = {url: len(server.queries) for url, server in world.servers.items()}
    evaluate_all(20)
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
def test_a_server_that_may_not_be_asked_is_reported(named: Prometheus, reason: str, message: str) -> None:
    """The message says who has to do what. The run has no metrics, and no server is asked."""
    world = a_world()
    world.kube.put(a_secret("half", username="hidden"))
    assert refusal(world.allowing("*.svc:9090"), named) == (reason, message)
    evaluator = Evaluator(Reader(FakePrometheus()), TIMING, world.allowing("*.svc:9090"))
    assert verdict_at(evaluator, 30, run_by(named)) == metrics_lost(message)
    refused = asyncio.run(evaluator.refusal(("models", "iris"), named))
    assert refused is not None
    assert (refused.reason, refused.message) == (reason, message)
    assert asyncio.run(evaluator.refusal(("models", "iris"), None)) is None
    assert world.opened == []


def test_a_server_that_may_not_be_asked_gives_no_rate_and_no_thresholds() -> None:
    """So the run waits before its first weight."""
    evaluator = a_world().evaluator(serving())
    elsewhere = Prometheus("https://not.allowed")
    assert asyncio.run(evaluator.rate("models", "iris", "stable", moment(0), elsewhere)) is None
    with pytest.raises(ServerRefusedError):
        asyncio.run(evaluator.latency_thresholds(("models", "iris"), "stable", (), moment(0), elsewhere))


def test_a_corrected_secret_is_used_without_a_restart() -> None:
    """Within seconds, although it is not read for each evaluation. The next verdict has all counts from meanwhile."""
    world = a_world(username="us")
    evaluator = world.evaluator(FakePrometheus())
    assert "there is username without password" in verdict_at(evaluator, 30, run_by(TEAM)).message
    world.kube.put(a_secret(username="us", password="right"))
    world.now = 5.0
    assert "there is username without password" in verdict_at(evaluator, 40, run_by(TEAM)).message
    world.now = 10.0
    assert verdict_at(evaluator, 155, run_by(TEAM)) == verdict_at(evaluator_for(serving()), 155)
    assert world.reads[TEAM.url]() == {"username": b"us", "password": b"right"}
    world.kube.put(a_secret(token="renewed"))
    world.now = 20.0
    verdict_at(evaluator, 165, run_by(TEAM))
    assert world.reads[TEAM.url]() == {"token": b"renewed"}
    del world.kube.objects["Secret", "prometheus"]
    world.now = 30.0
    assert "Secret models/prometheus is not there" in verdict_at(evaluator, 175, run_by(TEAM)).message


def test_credentials_come_from_the_namespace_of_the_object() -> None:
    """Two teams have two connections to one server. Without credentials they share one."""
    world = a_world()
    servers = world.allowing()

    async def pollers() -> list[Any]:
        return [await servers.poller(namespace, named) for named in (TEAM, OTHER) for namespace in ("models", "others")]

    ours, theirs, our_public, their_public = asyncio.run(pollers())
    assert ours is not theirs
    assert our_public is their_public
    assert [where for _, where in world.opened[:2]] == ["Secret models/prometheus", "Secret others/prometheus"]
    assert world.reads[OTHER.url]() == {}


def test_servers_that_are_not_used_are_forgotten() -> None:
    """Otherwise those of deleted objects would be kept for ever."""
    world = a_world()
    servers = world.allowing()
    first = asyncio.run(servers.poller("models", TEAM))
    world.now = 3000.0
    assert asyncio.run(servers.poller("models", TEAM)) is first
    world.now = 9000.0
    assert asyncio.run(servers.poller("models", TEAM)) is not first
