"""Every dependency hangs some day: then only those wait for it that cannot go on without it. Time is simulated."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from sluice_operator.api import names, status
from sluice_operator.api.command import Verb, text_of
from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Key, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import Verdict
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.controller.scheduling.lanes import Lanes
from sluice_operator.controller.scheduling.workqueue import Workers, WorkQueue
from sluice_operator.counting.intervals import Intervals
from sluice_operator.http_client import Answer, Request, SlowError
from sluice_operator.manifests.render import render
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry
from sluice_operator.prometheus.reader import Reader
from sluice_operator.rollout.decide import decide
from sluice_operator.settings import Settings
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    NOW,
    again,
    both_ready,
    raw_spec,
    revision,
    stable_on,
    starting,
    stepping,
)
from tests.unit.sluice_operator.fake_prometheus import FakePrometheus
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.recorded import FakeEndedRuns
from tests.unit.sluice_operator.routing.gateways import Reply, serving
from tests.unit.sluice_operator.simulated_time import simulated

IDLE, WORKERS = 100, 4
THREADS = asyncio.Semaphore(4)
ASKED_AT_MOST = 5.0  # seconds that one request to the registry takes before it is given up

ONE_PROBE = Settings("image", "http://mlflow", "http://prometheus", "http://gateway").probe_timeout  # seconds


class FailingCanary(Evaluator):
    """Every run that is judged has failed."""

    async def verdict(self, *_: Any) -> Verdict:
        return FAIL


class HangingPrometheus(Evaluator):
    """No evaluation ever ends."""

    async def verdict(self, *_: Any) -> Verdict:
        await asyncio.sleep(10_000)
        raise AssertionError


class SilentRegistry:
    """It takes each request and is silent."""

    async def ask(self, request: Request) -> Answer:
        await asyncio.sleep(ASKED_AT_MOST)
        raise SlowError("no answer")


def put(kube: FakeKube, name: str, seen: Observation) -> None:
    metadata = {"name": name, "namespace": "models", "uid": f"uid-{name}", "generation": 1}
    metadata["creationTimestamp"] = "2026-03-01T00:00:00Z"
    route = {"className": "nginx", "host": f"{name}.example.com"}
    spec = raw_spec(model__uri=f"models:/{name}@challenger", traffic={"ingress": route})
    kube.put({"kind": names.KIND, "metadata": metadata, "spec": spec, "status": status.dump(seen.status)})


def put_pod(kube: FakeKube, revision: Revision, number: int) -> None:
    labels = {names.LABEL_OWNER: "iris", names.LABEL_REVISION: revision.revision}
    metadata = {"name": f"iris-{revision.revision}-{number}", "namespace": "models", "labels": labels}
    kube.put({"kind": "Pod", "metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})


def outcome(kube: FakeKube) -> Outcome | None:
    run = status.parse(kube.objects[names.KIND, "iris"]["status"]).run
    return run.outcome if run else None


class SilentPrometheus(FailingCanary):
    """That of objects which start: it takes queries, four at a time, and answers none before they are given up."""

    async def rate(self, *_: Any) -> None:
        async with THREADS:
            await asyncio.sleep(10)


async def seconds_to_rollback(
    kube: FakeKube, evaluates: type[Evaluator] = FailingCanary, gateway: str = "http://gateway"
) -> float:
    """How long the operator needs to decide that the run of iris has failed; at most five minutes."""
    loop = asyncio.get_running_loop()
    settings = Settings("image", "http://mlflow.mlflow.svc:5000", "http://prometheus", gateway, workers=WORKERS)
    started, chance = loop.time(), random.Random(1)

    def clock() -> datetime:
        return datetime.fromtimestamp(NOW.timestamp() + loop.time() - started, UTC) + timedelta(seconds=1)

    lanes = Lanes()
    asked = Registry(SilentRegistry(), settings.tracking_uri)

    def wake(key: Key) -> None:
        queue.add(key)

    registry = BackgroundRegistry(asked, wake, chance, loop.time)
    evaluator = evaluates(Reader(FakePrometheus()), Intervals(5, 5))
    observer = Observer(kube, registry, evaluator, HostClaims(kube, settings.allowed_routes), settings, clock, chance)
    publisher, archive = EventPublisher(kube, "test"), Archive(kube, FakeEndedRuns())
    operator = Reconciler(kube, observer, registry, publisher, archive, 5.0, lanes=lanes)
    queue = WorkQueue(operator.reconcile, Workers(WORKERS, WORKERS), chance, lanes)
    for kind, name in kube.objects:
        if kind == names.KIND:
            queue.add(("models", name))
    running = asyncio.create_task(queue.run())
    for _ in range(3000):
        if outcome(kube) is Outcome.REJECTED:
            break
        await asyncio.sleep(0.1)
    took = loop.time() - started
    running.cancel()
    observer.forget("models", "iris")
    await asyncio.sleep(0.1)  # its probes close their connections
    return took


def test_a_failing_canary_does_not_wait_for_the_registry_of_idle_objects() -> None:
    """A hundred idle objects, whose registry takes every request and never answers, come first in the queue."""

    async def scenario() -> None:
        kube = FakeKube()
        for number in range(IDLE):
            put(kube, f"idle-{number}", stable_on(1))
        put(kube, "iris", stepping())
        for version, number in ((1, 0), (1, 1), (2, 0)):
            put_pod(kube, revision(version), number)
        assert await seconds_to_rollback(kube) < 1.0

    simulated(scenario)


def test_a_failing_canary_does_not_wait_for_the_prometheus_of_those_that_start() -> None:
    """Automatic steps ask how many requests there are, and a silent server keeps each of these queries."""

    async def scenario() -> None:
        kube, waiting = FakeKube(), decide(starting())
        assert waiting.run is not None
        waiting = structs.replace(waiting, run=structs.replace(waiting.run, steps=()))
        for number in range(IDLE):
            put(kube, f"theirs-{number}", dataclasses.replace(starting(), status=waiting))
        put(kube, "iris", stepping())
        for version, number in ((1, 0), (1, 1), (2, 0)):
            put_pod(kube, revision(version), number)
        assert await seconds_to_rollback(kube, SilentPrometheus) < 1.0

    simulated(scenario)


def test_an_abort_does_not_wait_for_a_canary_that_never_answers() -> None:
    """The weight is not proven yet, and the probes that would prove it hang: with a real gateway, in real time."""

    async def scenario() -> None:
        async with serving(lambda _: Reply(silent=True)) as gateway:
            kube, seen = FakeKube(), again(again(starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)))
            assert seen.status.weight is not None
            assert seen.status.weight.verified_at is None
            a_run_of_iris(kube, seen)
            ask_to_abort(kube)
            assert await seconds_to_rollback(kube, HangingPrometheus, gateway.http) < ONE_PROBE

    asyncio.run(asyncio.wait_for(scenario(), 30))


def a_run_of_iris(kube: FakeKube, seen: Observation) -> None:
    put(kube, "iris", seen)
    for manifest in render(Owner("models", "iris", "uid-iris"), seen.spec, seen.status):
        kube.put(manifest)
    for version, number in ((1, 0), (1, 1), (2, 0)):
        put_pod(kube, revision(version), number)


def ask_to_abort(kube: FakeKube) -> None:
    body = kube.objects[names.KIND, "iris"]
    command = text_of(Verb.ABORT, revision(2).revision, 0, NOW)
    kube.put({**body, "metadata": {**body["metadata"], "annotations": {names.ANNOTATION_COMMAND: command}}})


def test_an_abort_waits_neither_for_the_registry_nor_for_prometheus() -> None:
    """Weight 0 is in status and in the route after the first look, while both take requests and never answer."""

    async def scenario() -> None:
        kube = FakeKube()
        a_run_of_iris(kube, stepping())
        ask_to_abort(kube)
        assert await seconds_to_rollback(kube, HangingPrometheus) < 0.2
        route = kube.objects["Ingress", "iris-canary"]["metadata"]["annotations"]
        assert route["nginx.ingress.kubernetes.io/canary-weight"] == "0"

    simulated(scenario)
