"""Objects at rest are looked at in the caches, which may say that nothing is to be done, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from sluice_operator.api import names, status
from sluice_operator.api.observation import NotAnswered, Resolution
from sluice_operator.api.owner import Key, Manifest, Owner
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Abandoned, Alias, Status
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.at_rest import AtRest
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.listeners import Listeners
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.controller.scheduling.lanes import Lanes
from sluice_operator.counting.intervals import Intervals
from sluice_operator.kubernetes.cache import Cache
from sluice_operator.kubernetes.children import OWNED_KINDS
from sluice_operator.kubernetes.reflector import Reflector
from sluice_operator.mlflow import uris
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.prometheus.reader import Reader
from sluice_operator.rollout.revisions import terms_hash
from sluice_operator.settings import Settings
from tests.unit.sluice_operator.build import (
    DEFAULTS,
    NOW,
    REPLICAS,
    a_spec,
    condition,
    raw_spec,
    resolved,
    revision,
    stable_on,
)
from tests.unit.sluice_operator.fake_prometheus import FakePrometheus
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.recorded import FakeEndedRuns

IRIS = (names.KIND, "iris")


class CountingKube(FakeKube):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.read.append(f"get {kind} {name}")
        return await super().get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        self.read.append(f"find {kind}")
        return await super().find(kind, namespace, labels)


class Copies(Reflector):
    """The copies of one kind as they were at some moment."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.objects: list[Manifest] = []
        self.listed = asyncio.Event()

    def get(self, namespace: str, name: str) -> Manifest | None:
        return next((manifest for manifest in self.objects if manifest["metadata"]["name"] == name), None)

    def owned(self, namespace: str, owner: str) -> list[Manifest]:
        return self.objects


class Named(BackgroundRegistry):
    """A registry that has answered."""

    def __init__(self) -> None:
        self.resolution: Resolution = resolved(1)
        self.trouble, self.moving = "", ""

    def resolve(self, key: Key, uri: str, via: Connection, poll_seconds: float) -> Resolution:
        return self.resolution

    def alias_trouble(self, key: Key) -> str:
        return self.trouble

    def alias_version(self, key: Key, via: Connection, named: uris.Named) -> str | None:
        return None

    def move_alias(self, key: Key, via: Connection, named: uris.Named, version: str) -> None:
        self.moving = str(named)

    def leave_alias(self, key: Key) -> None:
        self.moving = ""

    def forget(self, key: Key) -> None:
        """Nothing."""


class Told:
    """Notes what a listener is told."""

    def __init__(self, told: list[Status]) -> None:
        self._told = told

    def saw(self, owner: Owner, before: Status, after: Status, now: datetime) -> None:
        self._told.append(after)

    def forget(self, namespace: str, name: str) -> None: ...


class Scenario:
    """Version 1 of iris serves, everything is as it should be, and the caches are up to date."""

    def __init__(self, **changes: Any) -> None:
        """`changes`: of the settings."""
        self.kube, self.registry, self.now = CountingKube(), Named(), NOW
        metadata = {"name": "iris", "namespace": "models", "uid": "0f1e", "generation": 1}
        metadata["creationTimestamp"] = "2026-03-01T00:00:00Z"
        current = status.dump(stable_on(1).status)
        self.kube.put({"kind": names.KIND, "metadata": metadata, "spec": raw_spec(), "status": current})
        for number in range(REPLICAS):
            labels = {names.LABEL_OWNER: "iris", names.LABEL_REVISION: revision(1).revision}
            pod = {"kind": "Pod", "metadata": {"name": f"iris-{number}", "namespace": "models", "labels": labels}}
            self.kube.put({**pod, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        chance, self.told, self.lanes = random.Random(1), list[Status](), Lanes()
        listeners = Listeners(Told(self.told))
        settings = Settings(DEFAULTS.image, "http://mlflow", "http://prometheus", "http://gateway", **changes)
        evaluator = Evaluator(Reader(FakePrometheus()), Intervals(5, 5))
        hosts = HostClaims(self.kube, settings.allowed_routes)
        self.copies = [Copies(kind) for kind in (*OWNED_KINDS, "Pod", "PodDisruptionBudget")]
        self.cache = Cache(self.kube, self.copies)
        self.observer = Observer(
            self.kube, self.registry, evaluator, hosts, settings, lambda: self.now, chance, watched=self.cache
        )
        archive = Archive(self.kube, FakeEndedRuns())
        reconciler = Reconciler(
            self.kube,
            self.observer,
            self.registry,
            EventPublisher(self.kube, "test"),
            archive,
            5.0,
            listeners,
            self.lanes,
        )
        self.work = AtRest(reconciler.reconcile, self.observer, self.cache, self.lanes, archive, listeners, chance)

    async def settle(self) -> None:
        for _ in range(5):
            await self.work("models", "iris")
        self.catch_up()
        self.kube.read.clear()

    def catch_up(self) -> None:
        """The watches have told everything."""
        self.cache.see(self.kube.objects[IRIS])
        for copies in self.copies:
            copies.objects = [manifest for (kind, _), manifest in self.kube.objects.items() if kind == copies.kind]
            copies.listed.set()

    async def look(self) -> tuple[float | None, list[str], int]:
        """The pause, what was read from the API server, and the number of writes, of one look."""
        self.kube.read.clear()
        writes = self.kube.writes
        pause = await self.work("models", "iris")
        return pause, list(self.kube.read), self.kube.writes - writes


def scenario(steps: Callable[[Scenario], Awaitable[None]], **changes: Any) -> None:
    async def run() -> None:
        world = Scenario(**changes)
        await world.settle()
        await steps(world)

    asyncio.run(run())


def test_an_object_at_rest_costs_three_reads_an_hour() -> None:
    """Of Secret and ConfigMap, of which there are no copies, and of a name that somebody else could have taken."""

    async def steps(world: Scenario) -> None:
        pause, read, writes = await world.look()
        assert (read, writes) == (
            ["get Secret iris-feedback", "get ConfigMap iris-registry", "get Ingress iris-canary"],
            0,
        )
        assert pause is not None
        assert 2700 <= pause <= 4500

    scenario(steps)


def test_what_somebody_deleted_is_written_again_with_the_next_look() -> None:
    """The watch has told it, and wakes the object."""

    async def steps(world: Scenario) -> None:
        del world.kube.objects["Service", "iris"]
        world.catch_up()
        _, _, writes = await world.look()
        assert writes > 0
        assert ("Service", "iris") in world.kube.objects

    scenario(steps)


def test_a_budget_of_which_the_watch_has_not_told_that_it_is_gone_is_no_drift() -> None:
    """It is deleted once more, and no Event says so. One that somebody has deleted is made again, and told."""

    async def steps(world: Scenario) -> None:
        [budget] = (name for name in world.kube.objects if name[0] == "PodDisruptionBudget")
        known = world.kube.objects[budget]
        world.kube.events.clear()
        world.copies[-1].objects.append({**known, "metadata": {**known["metadata"], "name": "iris-gone", "uid": "g"}})
        assert (await world.look())[2] == 0
        assert world.kube.events == []
        del world.kube.objects[budget]
        world.catch_up()
        await world.look()
        assert budget in world.kube.objects
        assert world.kube.events == ["DriftRepaired"]

    scenario(steps)


def test_pods_answer_without_their_deployment() -> None:
    """Callers have them until they go, whatever status says of their revision."""

    async def steps(world: Scenario) -> None:
        del world.kube.objects["Deployment", f"iris-{revision(1).revision}"]
        snapshot = await world.observer.observe("models", "iris")
        assert snapshot is not None
        assert (snapshot.observation.selected, snapshot.observation.answered) == (revision(1).revision, True)
        for number in range(REPLICAS):
            del world.kube.objects["Pod", f"iris-{number}"]
        snapshot = await world.observer.observe("models", "iris")
        assert snapshot is not None
        assert not snapshot.observation.answered

    scenario(steps)


def test_a_cache_that_is_behind_writes_nothing() -> None:
    """It shows too few pods: everything is read again before anything would be written."""

    async def steps(world: Scenario) -> None:
        world.copies[0].objects = [{**world.copies[0].objects[0], "spec": {"replicas": 1}}]
        _, read, writes = await world.look()
        assert "find Deployment" in read
        assert writes == 0

    scenario(steps)


def test_an_object_that_is_gone_is_not_brought_back_by_its_copy() -> None:
    """The watch has missed its end, and told that of its Deployment."""

    async def steps(world: Scenario) -> None:
        world.kube.objects = {}
        world.copies[0].objects = []
        pause, _, writes = await world.look()
        assert (pause, writes) == (None, 0)
        pause, read, writes = await world.look()
        assert (pause, writes, f"get {names.KIND} iris" in read) == (None, 0, True)

    scenario(steps)


def test_a_new_model_version_begins_a_rollout() -> None:
    """From then on everything is read from the API server."""

    async def steps(world: Scenario) -> None:
        world.registry.resolution = resolved(2)
        await world.look()
        assert status.parse(world.kube.objects[IRIS]["status"]).phase is Phase.STARTING
        assert ("models", "iris") in world.lanes
        _, read, _ = await world.look()
        assert f"get {names.KIND} iris" in read

    scenario(steps)


def test_an_object_waits_for_the_first_answer_of_its_registry() -> None:
    """It is woken by it, so nothing is read meanwhile."""

    async def steps(world: Scenario) -> None:
        world.registry.resolution = NotAnswered()
        pause, _, writes = await world.look()
        assert (pause, writes) == (10.0, 0)

    scenario(steps)


def test_a_command_waits_for_no_registry() -> None:
    """It is answered at once, also before the first answer of a registry that is silent."""

    async def steps(world: Scenario) -> None:
        world.registry.resolution = NotAnswered()
        body = world.kube.objects[IRIS]
        command = f"undo/{revision(1).revision}/0/2026-03-01T12:00:00Z"
        world.kube.put({**body, "metadata": {**body["metadata"], "annotations": {names.ANNOTATION_COMMAND: command}}})
        world.catch_up()
        await world.look()
        assert world.kube.objects[IRIS]["status"]["lastCommand"]["id"] == command

    scenario(steps)


def test_endpoints_that_are_kept_are_no_reason_to_look_again() -> None:
    """The copies are compared with what is written, not with what would be without them."""

    async def steps(world: Scenario) -> None:
        service, two = world.kube.objects["Service", "iris"], revision(2).revision
        selector = {**service["spec"]["selector"], names.LABEL_REVISION: two}
        world.kube.put({**service, "spec": {**service["spec"], "selector": selector}})
        deployment = world.kube.objects["Deployment", f"iris-{revision(1).revision}"]
        labels = {**deployment["metadata"]["labels"], names.LABEL_REVISION: two}
        world.kube.put({**deployment, "metadata": {**deployment["metadata"], "name": f"iris-{two}", "labels": labels}})
        for pod in [pod for (kind, _), pod in world.kube.objects.items() if kind == "Pod"]:
            labels = {**pod["metadata"]["labels"], names.LABEL_REVISION: two}
            world.kube.put({**pod, "metadata": {**pod["metadata"], "labels": labels}})
        world.catch_up()
        await world.settle()
        assert world.kube.objects["Service", "iris"]["spec"]["selector"] == selector
        pause, read, writes = await world.look()
        assert (len(read), writes) == (3, 0)
        assert pause == 30.0, "as whatever is stalled"

    scenario(steps)


def test_a_retiring_revision_is_removed_when_its_time_is_over() -> None:
    """The next look does not come later than that."""

    async def steps(world: Scenario) -> None:
        body = world.kube.objects[IRIS]
        until = (NOW + timedelta(seconds=30)).isoformat()
        old = status.dump(stable_on(2).status)["stable"]
        body["status"]["retiring"] = [{"revision": old, "replicas": 1, "until": until}]
        await world.settle()
        pause, _, _ = await world.look()
        assert pause == 30.0
        world.now += timedelta(seconds=31)
        await world.look()
        assert ("Deployment", f"iris-{revision(2).revision}") not in world.kube.objects

    scenario(steps)


def test_what_reports_is_told_of_an_object_at_rest() -> None:
    """Metrics count it, and the trace of a run that ended just before a kill is sent."""

    async def steps(world: Scenario) -> None:
        world.told.clear()
        await world.look()
        assert [told.phase for told in world.told] == [Phase.STABLE]

    scenario(steps)


def test_an_object_that_is_stalled_is_looked_at_each_poll_interval() -> None:
    """What stalls it, such as a name that somebody else has taken, may end without an event."""

    async def steps(world: Scenario) -> None:
        theirs = {"metadata": {"name": "iris-metrics", "namespace": "models"}, "spec": {}}
        del world.kube.objects["Service", "iris-metrics"]
        world.kube.put({"kind": "Service", **theirs})
        world.copies[1].objects = [copy for copy in world.copies[1].objects if copy["metadata"]["name"] == "iris"]
        await world.settle()
        conditions = world.kube.objects[IRIS]["status"]["conditions"]
        assert "NameTaken" in {condition["reason"] for condition in conditions}
        pause, _, _ = await world.look()
        assert pause == 30.0

    scenario(steps)


def test_an_object_whose_alias_is_refused_rests() -> None:
    """It was read completely every five seconds, for ever, and no condition said why."""

    async def steps(world: Scenario) -> None:
        body = world.kube.objects[IRIS]
        asked = replace(status.parse(body["status"]), alias=Alias("champion", "iris", "1"))
        world.kube.put({**body, "status": status.dump(asked)})
        world.catch_up()
        await world.settle()
        assert world.registry.moving == "alias champion of iris"
        world.registry.trouble = "HTTP 403"
        await world.settle()
        assert condition(world.told[-1], "Stalled")[:2] == ("True", "AliasNotMoved")
        pause, read, writes = await world.look()
        assert (len(read), writes) == (3, 0)
        assert pause is not None
        assert pause >= 30

    scenario(steps)


def test_an_abandoned_run_is_looked_at_when_it_says_that_it_is_tried_again() -> None:
    """No event comes at that time, and the condition has told it to people."""

    async def steps(world: Scenario) -> None:
        world.registry.resolution = resolved(2)
        body = world.kube.objects[IRIS]
        abandoned = Abandoned(
            revision(2).revision, "NoCapacity", "no room", terms_hash(a_spec()), 1, NOW + timedelta(minutes=10)
        )
        current = replace(status.parse(body["status"]), abandoned=abandoned)
        world.kube.put({**body, "status": status.dump(current)})
        world.catch_up()
        await world.look()
        world.catch_up()
        pause, _, _ = await world.look()
        assert pause == 600
        world.now = NOW + timedelta(minutes=10)
        await world.look()
        assert status.parse(world.kube.objects[IRIS]["status"]).phase is Phase.STARTING

    scenario(steps)
