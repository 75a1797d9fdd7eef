"""A pass that fails is told in the object's status at once, and takes nothing else with it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Outcome
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.observation.observe import Snapshot
from sluice_operator.controller.trouble import TellingTrouble
from sluice_operator.kubernetes.port import NoAnswer, ReadRefused, WriteRefused
from tests.unit.sluice_operator.build import FAIL, NOW, UNDECIDED, condition, resolved
from tests.unit.sluice_operator.fakes import FakeKube, finish
from tests.unit.sluice_operator.world import IRIS, World


class Troubled(World):
    """A world in which `trouble` may end an observation."""

    trouble: Exception | None = None

    async def observe(self, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        if self.trouble is not None:
            raise self.trouble
        return await super().observe(namespace, name, refused)


def stepping() -> Troubled:
    """Version 2 waits for evidence at weight 10."""
    world = Troubled()
    world.calm_down(8)
    world.resolution, world.verdicts["2"] = resolved(2), UNDECIDED
    world.calm_down(8)
    return world


def telling(world: World) -> TellingTrouble:
    return TellingTrouble(world.operator.reconcile, world.kube, EventPublisher(world.kube, "test"), lambda: NOW)


def fails(work: TellingTrouble) -> None:
    """One pass of the queue's work, which fails."""
    try:
        finish(work("models", "iris"))
    except Exception:
        return
    pytest.fail("the queue must hear of it, or it would not try again")


@pytest.mark.parametrize(
    ("trouble", "reason", "message"),
    [
        (ReadRefused("pods is forbidden"), "CannotRead", "the API server refuses what this needs to read: pods is"),
        (KeyError("s3cr3t"), "InternalError", "the operator has a fault, KeyError in controller/"),
    ],
)
def test_an_error_is_a_condition_after_one_pass(trouble: Exception, reason: str, message: str) -> None:
    """With one event, however often it happens; the rest of the status stays, and nothing secret is told."""
    world = stepping()
    before, work = world.status, telling(world)
    world.trouble = trouble
    for _ in range(3):
        fails(work)
    state, found, told = condition(world.status, "Stalled")
    assert (state, found) == ("True", reason)
    assert told.startswith(message)
    assert (world.status.phase, world.status.run, world.status.weight) == (before.phase, before.run, before.weight)
    assert world.kube.events.count(reason) == 1
    world.trouble = None
    finish(work("models", "iris"))
    assert condition(world.status, "Stalled")[0] == "False"


def test_a_spec_that_nobody_can_read_names_its_field() -> None:
    """As the CRD of another version would let it pass."""
    world = stepping()
    world.spec["server"]["replicas"] = world.kube.objects[IRIS]["spec"]["server"]["replicas"] = "two"
    fails(telling(world))
    told = world.kube.objects[IRIS]["status"]["message"]
    assert told.startswith("the spec is not in a form that this operator knows: Expected `int`, got `str`")
    assert told.endswith("at `$.server.replicas`")


@pytest.mark.parametrize("trouble", [NoAnswer("status 503"), TimeoutError(), ConnectionResetError()])
def test_a_broken_connection_is_told_when_it_happens_again(trouble: Exception) -> None:
    """Most are over at once, and thousands of objects would be written for nothing."""
    world = stepping()
    work = telling(world)
    world.trouble = trouble
    writes = world.kube.writes
    fails(work)
    assert world.kube.writes == writes
    fails(work)
    assert condition(world.status, "Stalled")[1] == "CannotRead"


def test_a_refused_status_is_told() -> None:
    """The CRD of another version may refuse what was decided, but not the condition."""
    world = stepping()
    allowed = world.kube.before_write
    world.verdicts["2"] = FAIL

    def refuse(verb: str, manifest: Manifest) -> None:
        if verb == "status" and manifest["status"]["phase"] == "RollingBack":
            raise WriteRefused('status.phase: Unsupported value: "RollingBack"')
        allowed(verb, manifest)

    world.kube.before_write = refuse
    fails(telling(world))
    assert condition(world.status, "Stalled")[1] == "StatusRefused"


class Without(FakeKube):
    """The operator may not read one kind of objects."""

    def __init__(self, other: FakeKube, forbidden: str) -> None:
        super().__init__()
        self.__dict__.update(other.__dict__)
        self.forbidden = forbidden

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self._check(kind)
        return await super().get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        self._check(kind)
        return await super().find(kind, namespace, labels)

    def _check(self, kind: str) -> None:
        if kind == self.forbidden:
            raise ReadRefused(f"{kind.lower()}s is forbidden")


@pytest.mark.parametrize(
    ("kind", "told"), [("Secret", "Secret iris-feedback: secrets is forbidden"), ("Job", "Jobs: jobs is forbidden")]
)
def test_what_cannot_be_read_does_not_keep_a_canary_from_being_judged(kind: str, told: str) -> None:
    """It is told, and the failing canary loses its traffic all the same. An older ClusterRole knows no Jobs."""
    world = stepping()
    world.has_store = kind == "Job"
    world.kube = Without(world.kube, kind)
    world.start_operator()
    world.verdicts["2"] = FAIL
    world.reconcile()
    run = world.status.run
    assert run is not None
    assert run.outcome is Outcome.REJECTED
    assert condition(world.status, "Stalled")[2].startswith(f"the API server refuses what this needs to read: {told}")


def test_an_object_that_is_gone_meanwhile_is_no_trouble() -> None:
    """There is nothing to tell it in."""
    world = stepping()
    del world.kube.objects[IRIS]
    world.trouble = KeyError("gone")
    fails(telling(world))
    assert (names.KIND, "iris") not in world.kube.objects
