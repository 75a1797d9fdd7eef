"""An object that is being deleted, and held by somebody's finalizer."""

from __future__ import annotations

import pytest

from sluice_operator.api.run import Phase
from sluice_operator.api.status import Result
from sluice_operator.kubernetes.port import Conflict
from tests.unit.sluice_operator.build import At, at, resolved, verdict
from tests.unit.sluice_operator.fakes import finish
from tests.unit.sluice_operator.world import IRIS, World

CANARY = ("Ingress", "iris-canary")
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def _stepping() -> World:
    """Version 2 has 10 % of the requests."""
    world = World()
    world.calm_down(20)
    world.verdicts["2"] = verdict(Result.UNDECIDED)
    world.resolution = resolved(2)
    world.calm_down(20)
    assert world.kube.objects[CANARY]["metadata"]["annotations"][WEIGHT] == "10"
    return world


def _delete(world: World) -> None:
    body = world.kube.objects[IRIS]
    world.kube.put({**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-03-01T12:00:00Z"}})


def test_a_canary_of_an_object_that_goes_gets_no_more_requests() -> None:
    """Weight 0 is written once, in status and in the route; nothing else is written, and nothing is created again."""
    world = _stepping()
    _delete(world)
    del world.kube.objects["Service", "iris-metrics"]
    assert finish(world.operator.reconcile("models", "iris")) is None
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=0, live=10)
    assert world.kube.objects[CANARY]["metadata"]["annotations"][WEIGHT] == "0"
    assert ("Service", "iris-metrics") not in world.kube.objects
    writes = world.kube.writes
    assert finish(world.operator.reconcile("models", "iris")) is None
    assert world.kube.writes == writes


def test_it_does_so_after_a_crash_or_a_lost_race_as_well() -> None:
    """Status is ahead of the route then; a route that is gone is not made again."""
    world = _stepping()
    _delete(world)
    world.reconcile(cut_after=1)
    assert world.kube.objects[CANARY]["metadata"]["annotations"][WEIGHT] == "10"
    world.reconcile()
    assert world.kube.objects[CANARY]["metadata"]["annotations"][WEIGHT] == "0"
    del world.kube.objects[CANARY]
    world.reconcile()
    assert CANARY not in world.kube.objects


@pytest.mark.parametrize("status", [None, {"phase": "Levitating"}, {"version": 99, "phase": "Stepping"}])
def test_a_canary_whose_status_is_lost_gets_no_more_requests_either(status: object) -> None:
    """Nobody knows its weight any more: its route goes, and the one that leads to Service NAME stays."""
    world = _stepping()
    _delete(world)
    world.kube.put({**world.kube.objects[IRIS], "status": status})
    finish(world.operator.reconcile("models", "iris"))
    assert CANARY not in world.kube.objects
    assert ("Ingress", "iris") in world.kube.objects
    assert world.kube.objects[IRIS].get("status") == status


@pytest.mark.parametrize("revision", [1, 2])
def test_an_object_without_a_canary_is_left_alone(revision: int) -> None:
    """Whoever deletes it takes care of the rest."""
    world = World()
    world.resolution = resolved(revision)
    world.calm_down(20)
    _delete(world)
    writes = world.kube.writes
    assert finish(world.operator.reconcile("models", "iris")) is None
    assert world.kube.writes == writes


def test_a_lost_race_is_tried_again_at_once() -> None:
    """The object moved since it was read."""
    world = _stepping()
    _delete(world)

    def refuse(verb: str, manifest: object) -> None:
        raise Conflict("moved")

    world.kube.before_write = refuse
    assert finish(world.operator.reconcile("models", "iris")) == 0.05
