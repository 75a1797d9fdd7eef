"""A status that is lost, foreign or impossible: what serves goes on serving, and what was rejected stays rejected."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api import names, status
from sluice_operator.api.command import Verb
from sluice_operator.api.run import Answer, Outcome, Phase
from sluice_operator.controller.observation.adoption import StatusLostError
from sluice_operator.rollout.roles import serves
from tests.unit.sluice_operator.build import FAIL, ROLLOUT, resolved
from tests.unit.sluice_operator.world import IRIS, World

SELECTOR = "sluice.dev/revision"


def world_in(phase: Phase) -> World:
    """Version 1 serves, and version 2 is under way."""
    world = World()
    world.advance_until(Phase.STABLE)
    world.resolution = resolved(2)
    world.advance_until(phase)
    return world


def selected(world: World) -> str:
    return str(world.kube.objects["Service", "iris"]["spec"]["selector"][SELECTOR])


def with_raw(world: World, raw: Any) -> None:
    """Somebody writes the status, as `kubectl edit --subresource=status` does."""
    world.kube.put({**world.kube.objects[IRIS], "status": raw})


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING])
@pytest.mark.parametrize("raw", [None, {}, {"conditions": [], "message": "no"}, {"phase": "Pending"}])
def test_a_wiped_status_leaves_what_serves(phase: Phase, raw: Any) -> None:
    """In each phase; the canary is tried again from the beginning."""
    world = world_in(phase)
    served = selected(world)
    with_raw(world, raw)
    world.reconcile()
    assert world.status.stable is not None
    assert (selected(world), world.status.stable.revision) == (served, served)
    assert ("Deployment", f"iris-{served}") in world.kube.objects
    assert "StatusAdopted" in world.kube.events
    world.calm_down()
    assert (world.status.phase, world.status.stable and world.status.stable.model.version) == (Phase.STABLE, "2")


def test_the_settings_of_what_serves_are_kept() -> None:
    """The adopted revision is the same in every field."""
    world = world_in(Phase.STEPPING)
    stable = world.status.stable
    with_raw(world, None)
    world.reconcile()
    assert world.status.stable == stable


def test_without_the_service_the_largest_and_oldest_revision_is_adopted() -> None:
    """A canary is smaller and younger. Everything was lost but the pods."""
    world = world_in(Phase.STEPPING)
    served = selected(world)
    del world.kube.objects["Service", "iris"]
    with_raw(world, None)
    world.reconcile()
    assert selected(world) == served
    assert ("Deployment", f"iris-{served}") in world.kube.objects


def test_what_an_object_of_the_same_name_left_behind_goes_on_serving() -> None:
    """After `kubectl delete --cascade=orphan` and another apply, the newest version is a canary of what serves."""
    world = world_in(Phase.STABLE)
    served = selected(world)
    for manifest in list(world.kube.objects.values()):
        if manifest["kind"] not in (names.KIND, "Secret"):
            world.kube.put({**manifest, "metadata": {**manifest["metadata"], "ownerReferences": []}})
    with_raw(world, None)
    world.reconcile()
    assert selected(world) == served
    world.advance_until(Phase.STEPPING)
    assert world.status.stable is not None
    assert world.status.stable.revision == served


def test_what_was_rejected_is_known_from_the_run_records() -> None:
    """Promise 10 does not end with the status."""
    world = World()
    world.advance_until(Phase.STABLE)
    world.verdicts["2"], world.resolution = FAIL, resolved(2)
    world.calm_down()
    [rejected] = world.status.rejected
    with_raw(world, None)
    world.calm_down()
    assert [(entry.revision, entry.reason) for entry in world.status.rejected] == [(rejected.revision, rejected.reason)]
    assert (world.status.phase, world.status.stable and world.status.stable.model.version) == (Phase.STABLE, "1")


def orphaned(world: World) -> None:
    """`kubectl delete --cascade=orphan`, and an apply of the exported object: the annotations come back, too."""
    for manifest in list(world.kube.objects.values()):
        if manifest["kind"] not in (names.KIND, "Secret"):
            world.kube.put({**manifest, "metadata": {**manifest["metadata"], "ownerReferences": []}})
    written = {"manager": "kubectl-client-side-apply", "operation": "Update", "time": world.now.isoformat()}
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{names.ANNOTATION_COMMAND}": {}}}}
    metadata = {**world.kube.objects[IRIS]["metadata"], "managedFields": [{**written, "fieldsV1": fields}]}
    world.kube.put({**world.kube.objects[IRIS], "metadata": metadata, "status": {}})
    world.start_operator()


def rejected_again(world: World) -> None:
    """Version 2 fails, a person retries it, and it fails again."""
    world.advance_until(Phase.STABLE)
    world.verdicts["2"], world.resolution = FAIL, resolved(2)
    world.calm_down()
    world.ask(Verb.RETRY, world.status.rejected[0].revision, 0)
    world.calm_down()
    assert (world.status.phase, len(world.status.rejected)) == (Phase.STABLE, 1)


def test_a_command_from_before_is_not_carried_out_again() -> None:
    """The annotation is as old as the status that was lost; who wants it still asks again."""
    world = World()
    rejected_again(world)
    orphaned(world)
    runs = len(world.run_records())
    world.calm_down()
    assert world.status.last_command is not None
    assert world.status.last_command.answer is Answer.REFUSED
    assert "ask again" in world.status.last_command.message
    assert (len(world.run_records()), len(world.status.rejected)) == (runs, 1)
    world.ask(Verb.RETRY, world.status.rejected[0].revision, 0)
    world.advance_until(Phase.STEPPING)


def test_a_retry_token_from_before_tries_nothing_again() -> None:
    """It was used once, and stays in Git. Another one is a new wish."""
    world = World()
    world.edit_spec(rollout={**ROLLOUT, "watchAfterPromotion": "60s", "retryToken": "ticket-1"})
    world.advance_until(Phase.STABLE)
    world.verdicts["2"], world.resolution = FAIL, resolved(2)
    world.calm_down()
    runs = len(world.run_records())
    with_raw(world, {})
    world.calm_down()
    assert (len(world.run_records()), len(world.status.rejected)) == (runs, 1)
    world.edit_spec(rollout={**ROLLOUT, "watchAfterPromotion": "60s", "retryToken": "ticket-2"})
    world.advance_until(Phase.STEPPING)


def test_a_refused_first_revision_does_not_serve_after_its_status_was_lost() -> None:
    """Service NAME selects nobody, so nobody serves: what was refused is asked about once more, before any caller."""
    world = World()
    world.reconcile()
    run = world.status.run
    assert run is not None
    refused = replace(run, outcome=Outcome.REJECTED, reason="TrainingAccuracyBelowLimit", ended_at=world.now)
    with_raw(world, status.dump(replace(world.status, run=refused)))
    world.reconcile()
    assert selected(world) == names.NO_REVISION
    with_raw(world, {})
    world.reconcile()
    assert (world.status.phase, world.status.stable) == (Phase.INITIALIZING, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "Levitating"}, "cannot be read"),
        ({"version": 99}, "a newer operator has written the status: its version is 99"),
        ({"run": {"id": 7}}, "cannot be read"),
        ({"canary": None}, "no canary in phase Stepping"),
    ],
)
def test_a_foreign_status_is_not_followed(changes: dict[str, Any], words: str) -> None:
    """It is replaced by what serves; what stands by itself is kept."""
    world = world_in(Phase.STEPPING)
    served, history = selected(world), world.status.history
    with_raw(world, {**world.kube.objects[IRIS]["status"], **changes})
    world.reconcile()
    assert (world.status.stable and world.status.stable.revision, selected(world)) == (served, served)
    assert world.status.history == history
    assert "StatusAdopted" in world.kube.events
    with pytest.raises(status.UnreadableStatusError, match=words):
        status.parse({**status.dump(world_in(Phase.STEPPING).status), **changes})


def test_a_step_that_does_not_exist_is_not_followed() -> None:
    """An edit of one number must not stop all decisions about the object."""
    world = world_in(Phase.STEPPING)
    raw = copy.deepcopy(world.kube.objects[IRIS]["status"])
    raw["run"]["step"] = 99
    with_raw(world, raw)
    world.calm_down()
    assert (world.status.phase, world.status.stable and world.status.stable.model.version) == (Phase.STABLE, "2")


def test_a_status_from_a_backup_does_not_take_the_endpoints_away() -> None:
    """Service NAME leaves pods that answer only for pods that answer."""
    world = world_in(Phase.STABLE)
    before = copy.deepcopy(world.kube.objects[IRIS]["status"])
    world.advance_until(Phase.WATCHING)
    world.calm_down()
    served = selected(world)
    with_raw(world, before)
    world.resolution = resolved(1)
    world.reconcile()
    assert selected(world) == served
    assert ("Deployment", f"iris-{served}") in world.kube.objects
    stalled = next(condition for condition in world.status.conditions if condition.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "EndpointsKept")
    world.calm_down()
    serving = serves(world.status)
    assert serving == world.status.stable
    assert serving is not None
    assert selected(world) == serving.revision


def test_without_the_settings_of_what_serves_nothing_is_changed() -> None:
    """A Deployment that an older operator made says too little: a person has to help, and the message says how."""
    world = world_in(Phase.STEPPING)
    served = world.kube.objects["Deployment", f"iris-{selected(world)}"]
    world.kube.put({**served, "metadata": {**served["metadata"], "annotations": {}}})
    with_raw(world, None)
    before = world.kube.writes
    with pytest.raises(StatusLostError, match=r"--subresource=status.*do not delete"):
        world.reconcile()
    assert world.kube.writes == before


def test_before_anything_serves_a_wiped_status_is_a_new_object() -> None:
    """There is nothing to lose."""
    world = World()
    with_raw(world, {"phase": "Levitating"})
    world.calm_down()
    assert world.status.phase is Phase.STABLE


def test_each_status_says_its_version() -> None:
    """Also the first one, so that an older operator knows that it is not one of its own."""
    world = World()
    world.reconcile()
    assert world.kube.objects[IRIS]["status"]["version"] == status.VERSION
