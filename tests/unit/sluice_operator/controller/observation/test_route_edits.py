"""A route that somebody else writes: each repair is proven anew, and two fights with one writer stop the advance."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.run import Outcome, Phase, Run
from tests.unit.sluice_operator import canary_routes
from tests.unit.sluice_operator.build import FAIL, PASS, UNDECIDED, At, at, condition, resolved
from tests.unit.sluice_operator.fakes import Reference
from tests.unit.sluice_operator.world import World

CANARY_ROUTE: Reference = ("Ingress", "iris-canary")
PREFIX = "nginx.ingress.kubernetes.io/canary-"


def stepping_world() -> World:
    """Version 2 waits for evidence at weight 10."""
    world = World()
    world.calm_down(8)
    world.resolution, world.verdicts["2"] = resolved(2), UNDECIDED
    world.calm_down(8)
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    world.kube.events.clear()
    return world


def edit(world: World, manager: str = "kubectl-edit", weight: str = "60") -> None:
    """Somebody else writes the weight, and the gateway obeys."""
    route = world.kube.objects[CANARY_ROUTE]
    route["metadata"]["annotations"][f"{PREFIX}weight"] = weight
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{PREFIX}weight": {}}}}
    written = {"manager": manager, "time": world.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "fieldsV1": fields}
    route["metadata"]["managedFields"] = [written]
    world.kube.put(route)
    world.sync_gateway()


def run_of(world: World) -> Run:
    assert world.status.run is not None
    return world.status.run


def settle(world: World) -> None:
    """The operator repairs, the gateway catches up, and the operator looks again."""
    for _ in range(3):
        world.reconcile()
        world.sync_gateway()
        world.now += timedelta(seconds=1)


def test_each_repaired_weight_is_a_new_write_that_is_proven_again() -> None:
    """With a new probe header, so the proof of the write before says nothing."""
    world = stepping_world()
    for number in range(20):
        before = world.status.weight
        edit(world, manager=f"writer-{number}")
        world.reconcile()
        written = world.status.weight
        assert before is not None
        assert written is not None
        assert (written.verified_at, written.written_at) == (None, world.now)
        header = world.kube.objects[CANARY_ROUTE]["metadata"]["annotations"][f"{PREFIX}by-header"]
        settle(world)
        proven = world.status.weight
        assert proven is not None
        assert proven.verified_at is not None
        assert proven.verified_at > (before.verified_at or world.now)
        assert header == world.kube.objects[CANARY_ROUTE]["metadata"]["annotations"][f"{PREFIX}by-header"]
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    assert len(run_of(world).route_writers) == 10, "the newest ones"


def test_from_the_last_look_before_the_edit_no_weight_is_known() -> None:
    """So neither missing requests nor evidence in the canary's favour count from then until the next proof."""
    world = stepping_world()
    right = world.now
    world.reconcile()
    world.now += timedelta(seconds=5)
    edit(world)
    world.reconcile()
    [live] = [live for live in run_of(world).live_weights if live.disturbed]
    assert (live.until, run_of(world).step_started_at) == (right, None)
    settle(world)
    newest = run_of(world).live_weights[-1]
    assert (newest.weight, newest.until, newest.disturbed) == (10, None, False)
    assert run_of(world).step_started_at == newest.since


def test_an_operator_that_has_just_started_takes_the_time_of_the_edit() -> None:
    """It has no look of its own to go by; without a time it is the last proof."""
    world = stepping_world()
    world.start_operator()
    edit(world)
    edited_at = world.now
    world.now += timedelta(seconds=5)
    world.reconcile()
    assert run_of(world).live_weights[-1].until == edited_at
    settle(world)
    world.start_operator()
    proven = run_of(world).live_weights[-1].since
    del world.kube.objects[CANARY_ROUTE]
    world.reconcile()
    assert run_of(world).live_weights[-1].until == proven


def test_an_edit_is_reported_with_the_name_of_its_writer() -> None:
    """One Event for each edit."""
    world = stepping_world()
    edit(world)
    settle(world)
    [writer] = run_of(world).route_writers
    assert (writer.manager, writer.edits, writer.what) == ("kubectl-edit", 1, "Ingress iris-canary")
    assert world.kube.events == ["DriftRepaired", "WeightProven"]


@pytest.mark.parametrize("traffic", [canary_routes.INGRESS, canary_routes.HTTP_ROUTE], ids=["ingress", "httpRoute"])
def test_who_has_labelled_a_route_has_not_edited_it(traffic: dict[str, Any]) -> None:
    """Between the status and the route, an operator may be killed: then the route lags behind, and nobody wrote it."""
    world = World(traffic=traffic)
    world.calm_down(8)
    world.resolution, world.verdicts["2"] = resolved(2), UNDECIDED
    world.calm_down(8)
    route = canary_routes.of(world.kube.objects)
    assert route is not None
    labelled: dict[str, Any] = {"f:metadata": {"f:labels": {"f:app": {}}}}
    entry = {"manager": "external-dns", "time": world.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "fieldsV1": labelled}
    world.kube.put({**route, "metadata": {**route["metadata"], "managedFields": [entry]}})
    world.verdicts["2"] = PASS
    world.now += timedelta(minutes=5)
    for _ in range(5):
        world.reconcile(cut_after=1)  # the status is ahead
        assert run_of(world).route_writers == ()
        settle(world)
    world.calm_down(10)
    assert [entry.outcome for entry in world.status.history[:1]] == [Outcome.PROMOTED]


def test_two_fights_with_one_writer_stop_the_advance_and_name_it() -> None:
    """The step has passed long ago, and nothing is raised until the writer has been quiet for progressDeadline."""
    world = stepping_world()
    for _ in range(2):
        edit(world)
        settle(world)
    world.verdicts["2"] = PASS
    world.calm_down(10)  # 5 minutes
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    state, reason, message = condition(world.status, "Stalled")
    assert (state, reason) == ("True", "RouteContested")
    assert "kubectl-edit has written Ingress iris-canary 2 times in this run" in message
    assert "RouteContested" in world.kube.events
    world.calm_down(12)
    assert at(world.status).step > 0 or at(world.status).phase is not Phase.STEPPING


def test_one_edit_each_by_two_writers_is_no_fight() -> None:
    """A person who tries something, and a controller that was just installed."""
    world = stepping_world()
    for manager in ("kubectl-edit", "argocd-controller"):
        edit(world, manager)
        settle(world)
    assert condition(world.status, "Stalled")[1] == "Progressing"


def test_a_fight_never_keeps_a_failed_canary() -> None:
    """A freeze is about advancing; a Fail takes traffic back as always."""
    world = stepping_world()
    for _ in range(2):
        edit(world)
        settle(world)
    world.verdicts["2"] = FAIL
    settle(world)
    world.calm_down(3)
    assert at(world.status).outcome is Outcome.REJECTED


def test_a_rollback_is_not_finished_by_a_weight_that_was_edited() -> None:
    """The gateway knows the header of weight 0, but somebody has written 60: it is written and proven again."""
    world = stepping_world()
    world.verdicts["2"] = FAIL
    world.reconcile()
    assert at(world.status).phase is Phase.ROLLING_BACK
    world.sync_gateway()
    world.now += timedelta(seconds=1)
    edit(world)
    world.reconcile()
    assert (at(world.status).phase, at(world.status).weight) == (Phase.ROLLING_BACK, 0)
    assert world.kube.objects[CANARY_ROUTE]["metadata"]["annotations"][f"{PREFIX}weight"] == "0"
    settle(world)
    assert at(world.status).phase is Phase.STABLE


@pytest.mark.parametrize("reference", [CANARY_ROUTE, ("Ingress", "iris")])
def test_a_deleted_route_is_proven_again_too(reference: Reference) -> None:
    """Nobody's name is left, and it counts all the same."""
    world = stepping_world()
    for _ in range(2):
        del world.kube.objects[reference]
        world.sync_gateway()
        settle(world)
    assert [(writer.manager, writer.edits) for writer in run_of(world).route_writers] == [("", 2)]
    assert "somebody who left no name has written" in condition(world.status, "Stalled")[2]


def test_a_write_that_is_late_is_nobody_s_edit() -> None:
    """The operator was killed between status and route."""
    world = stepping_world()
    world.verdicts["2"] = PASS
    for _ in range(4):
        world.reconcile(cut_after=1)
    world.calm_down(4)
    assert run_of(world).route_writers == ()
    assert "DriftRepaired" not in world.kube.events


def test_an_edit_of_the_canary_s_service_is_an_edit_of_the_route() -> None:
    """With another selector its share goes elsewhere, whatever the weight is: that is proven again, and told."""
    world = stepping_world()
    assert world.status.canary is not None
    reference: Reference = ("Service", f"iris-{world.status.canary.revision}")
    for _ in range(2):
        service = world.kube.objects[reference]
        fields: dict[str, Any] = {"f:spec": {"f:selector": {}}}
        written = {"manager": "bob", "time": world.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "fieldsV1": fields}
        spec = {**service["spec"], "selector": {**service["spec"]["selector"], names.LABEL_REVISION: "another"}}
        world.kube.put({**service, "spec": spec, "metadata": {**service["metadata"], "managedFields": [written]}})
        world.reconcile()
        assert world.status.weight is not None
        assert world.status.weight.verified_at is None
        settle(world)
    assert [(writer.manager, writer.edits, writer.what) for writer in run_of(world).route_writers] == [
        ("bob", 2, " ".join(reference))
    ]
    assert condition(world.status, "Stalled")[:2] == ("True", "RouteContested")
