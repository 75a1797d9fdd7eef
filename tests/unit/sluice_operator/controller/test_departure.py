"""An object that is being deleted, and held by somebody's finalizer."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api.run import Phase
from sluice_operator.api.status import Result
from sluice_operator.kubernetes.hosts import addresses
from sluice_operator.kubernetes.port import Conflict
from tests.unit.sluice_operator import canary_routes
from tests.unit.sluice_operator.build import At, at, resolved, verdict
from tests.unit.sluice_operator.fakes import finish
from tests.unit.sluice_operator.world import IRIS, World

KINDS = pytest.mark.parametrize(
    "traffic", [canary_routes.INGRESS, canary_routes.HTTP_ROUTE], ids=["ingress", "httpRoute"]
)


def _stepping(traffic: dict[str, Any] = canary_routes.INGRESS) -> World:
    """Version 2 has 10 % of the requests."""
    world = World(traffic=traffic)
    world.calm_down(20)
    world.verdicts["2"] = verdict(Result.UNDECIDED)
    world.resolution = resolved(2)
    world.calm_down(20)
    assert _weight(world) == 10
    return world


def _weight(world: World) -> int | None:
    """What the route gives the canary."""
    route = canary_routes.of(world.kube.objects)
    return canary_routes.weight(route) if route else None


def _delete(world: World) -> None:
    body = world.kube.objects[IRIS]
    world.kube.put({**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-03-01T12:00:00Z"}})


@KINDS
def test_a_canary_of_an_object_that_goes_gets_no_more_requests(traffic: dict[str, Any]) -> None:
    """Weight 0 is written once, in status and in the route; nothing else is written, and nothing is created again."""
    world = _stepping(traffic)
    _delete(world)
    del world.kube.objects["Service", "iris-metrics"]
    assert finish(world.operator.reconcile("models", "iris")) is None
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=0, live=10)
    assert _weight(world) == 0
    assert ("Service", "iris-metrics") not in world.kube.objects
    writes = world.kube.writes
    assert finish(world.operator.reconcile("models", "iris")) is None
    assert world.kube.writes == writes


@KINDS
def test_it_does_so_after_a_crash_or_a_lost_race_as_well(traffic: dict[str, Any]) -> None:
    """Status is ahead of the route then; a route that is gone is not made again."""
    world = _stepping(traffic)
    _delete(world)
    world.reconcile(cut_after=1)
    assert _weight(world) == 10
    world.reconcile()
    assert _weight(world) == 0
    route = canary_routes.of(world.kube.objects)
    assert route is not None
    del world.kube.objects[route["kind"], route["metadata"]["name"]]
    world.reconcile()
    assert _weight(world) is None


@KINDS
@pytest.mark.parametrize("status", [None, {"phase": "Levitating"}, {"version": 99, "phase": "Stepping"}])
def test_a_canary_whose_status_is_lost_gets_no_more_requests_either(status: object, traffic: dict[str, Any]) -> None:
    """Nobody knows its weight any more: its route goes, and the one that leads to Service NAME stays."""
    world = _stepping(traffic)
    _delete(world)
    world.kube.put({**world.kube.objects[IRIS], "status": status})
    finish(world.operator.reconcile("models", "iris"))
    assert _weight(world) is None
    assert {("Ingress", "iris"), ("HTTPRoute", "iris")} & world.kube.objects.keys()
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


@KINDS
def test_no_host_that_was_never_granted_is_written(traffic: dict[str, Any]) -> None:
    """The spec may ask for one, or for another kind of route: what is there loses its canary, and is the same else."""
    world = _stepping(traffic)
    routes = {
        reference: each for reference, each in world.kube.objects.items() if reference[0] in ("Ingress", "HTTPRoute")
    }
    for asked in (canary_routes.INGRESS, canary_routes.HTTP_ROUTE):
        [(kind, section)] = asked.items()
        world.spec["traffic"] = {kind: {**section, "host": "victim.example.com"}}
        body = {**world.kube.objects[IRIS], "spec": world.spec, "status": None}
        world.kube.put(body)
        _delete(world)
        finish(world.operator.reconcile("models", "iris"))
        assert _weight(world) is None
        left = [each for reference, each in world.kube.objects.items() if reference in routes]
        assert left
        assert {host for each in left for host, _ in addresses(each)} == {"iris.example.com"}
