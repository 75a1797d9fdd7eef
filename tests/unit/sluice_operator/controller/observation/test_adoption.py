"""A status that is lost, foreign or impossible: what is stable stays stable, and what was rejected stays rejected."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api import names, status
from sluice_operator.api.command import Verb
from sluice_operator.api.run import Answer, Outcome, Phase
from sluice_operator.controller.observation.adoption import StatusLostError
from sluice_operator.manifests.builders import run_record
from sluice_operator.rollout.roles import serves
from tests.unit.sluice_operator.build import FAIL, OWNER, PASS, ROLLOUT, UNDECIDED, resolved
from tests.unit.sluice_operator.world import IRIS, World

SELECTOR = "sluice.dev/revision"


def world_in(phase: Phase) -> World:
    """Version 1 serves, and version 2 is under way."""
    world = World()
    world.advance_until(Phase.STABLE)
    world.resolution = resolved(2)
    world.advance_until(phase)
    return world


def promoted() -> World:
    """Version 2 is stable, and version 1 was before."""
    world = world_in(Phase.STABLE)
    world.calm_down(20)
    assert versions(world)[:3] == (Phase.STABLE, "2", ["1"])
    return world


def selected(world: World) -> str:
    return str(world.kube.objects["Service", "iris"]["spec"]["selector"][SELECTOR])


def deployments(world: World) -> set[str]:
    return {name for kind, name in world.kube.objects if kind == "Deployment"}


def versions(world: World) -> tuple[Phase, str, list[str], list[str]]:
    """Phase, the version that is stable, those that an undo can bring back, and those that were rejected."""
    current = world.status
    return (
        current.phase,
        current.stable.model.version if current.stable else "",
        [revision.model.version for revision in current.former],
        [entry.model.removeprefix("models:/iris/") for entry in current.rejected],
    )


def with_raw(world: World, raw: Any) -> None:
    """Somebody writes the status, as `kubectl edit --subresource=status` does."""
    world.kube.put({**world.kube.objects[IRIS], "status": raw})


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING])
@pytest.mark.parametrize("raw", [None, {}, {"conditions": [], "message": "no"}, {"phase": "Pending"}])
def test_a_wiped_status_leaves_what_is_stable(phase: Phase, raw: Any) -> None:
    """In each phase, and no pods are deleted; the canary is tried again from the beginning."""
    world = world_in(phase)
    stable, pods = world.status.stable, deployments(world)
    assert stable is not None
    with_raw(world, raw)
    world.reconcile()
    assert world.status.stable is not None
    assert (selected(world), world.status.stable.revision) == (stable.revision, stable.revision)
    assert deployments(world) == pods
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


def test_what_was_promoted_after_its_rejection_is_not_rejected() -> None:
    """The newest record decides: without a status the roles and the way back are what they would be with it."""
    world = World()
    rejected_again(world)
    world.verdicts["2"] = PASS
    world.ask(Verb.RETRY, world.status.rejected[0].revision, 0)
    world.calm_down()
    assert versions(world) == (Phase.STABLE, "2", ["1"], [])
    with_raw(world, {})
    world.reconcile()
    assert versions(world) == (Phase.STABLE, "2", [], [])  # the pods of version 1 are gone
    world.resolution = resolved(3)
    world.calm_down()
    assert versions(world) == (Phase.STABLE, "3", ["2"], [])


def test_what_a_person_undid_is_not_tried_again() -> None:
    """From when the undo has moved the requests: its command says so before there is a record."""
    world = promoted()
    world.ask(Verb.UNDO, selected(world), 0)
    world.reconcile()
    world.advance_until(Phase.WATCHING)
    with_raw(world, {})
    world.calm_down(20)
    assert versions(world)[:2] == (Phase.STABLE, "1")
    assert [entry.reason for entry in world.status.rejected] == ["Undone"]


def test_an_undo_that_has_ended_is_known_from_its_record() -> None:
    """Also when another command, or nothing, is in the annotation by then."""
    world = promoted()
    world.ask(Verb.UNDO, selected(world), 0)
    world.calm_down(20)
    metadata = world.kube.objects[IRIS]["metadata"]
    world.kube.put({**world.kube.objects[IRIS], "metadata": {**metadata, "annotations": {}}, "status": {}})
    world.calm_down(20)
    assert versions(world) == (Phase.STABLE, "1", [], ["2"])


def test_what_was_aborted_before_its_first_request_is_not_tried_again() -> None:
    """A run without traffic leaves a record, too, if it ends with a rejection."""
    world = world_in(Phase.STARTING)
    assert world.status.canary is not None
    world.ask(Verb.ABORT, world.status.canary.revision, 0)
    world.calm_down(5)
    with_raw(world, {})
    world.calm_down()
    assert versions(world) == (Phase.STABLE, "1", [], ["2"])


def failing_over(happened: str) -> World:
    """Version 1 is dead, and version 2 answers in its place: one that failed, is paused, or is not wanted any more."""
    world = world_in(Phase.STEPPING)
    world.verdicts["2"] = FAIL if happened == "failed" else UNDECIDED
    world.broken = {"1"}
    world.run_pods()
    world.reconcile()
    assert (world.status.phase, world.status.canary is not None) == (Phase.FAILOVER, True)
    if happened == "paused":
        world.ask(Verb.PAUSE, world.status.canary.revision if world.status.canary else "", 0)
    if happened == "withdrawn":
        world.resolution = resolved(1)
    world.run_pods()
    world.reconcile()
    world.verdicts.clear()
    return world


@pytest.mark.parametrize("happened", ["failed", "paused", "withdrawn", "nothing else"])
def test_a_canary_that_answers_for_a_dead_stable_does_not_become_stable(happened: str) -> None:
    """Nobody knows any more what was known against it. Callers keep its answers until stable is back."""
    world = failing_over(happened)
    canary, pods = selected(world), deployments(world)
    with_raw(world, {})
    for _ in range(60):
        world.calm_down(1)
        assert versions(world)[:2] == (Phase.FAILOVER, "1")
        assert (selected(world), deployments(world)) == (canary, pods)
    world.broken = set()
    world.run_pods()
    world.calm_down(10)
    assert world.status.stable is not None
    assert (world.status.stable.model.version, selected(world)) == ("1", world.status.stable.revision)


def test_a_person_lets_such_a_canary_become_stable() -> None:
    """The condition Paused says what was lost; `resume` goes on."""
    world = failing_over("nothing else")
    with_raw(world, {})
    world.reconcile()
    [paused] = [condition for condition in world.status.conditions if condition.type == "Paused"]
    assert (paused.status, paused.reason) == ("True", "PausedByLostStatus")
    assert "PausedByLostStatus" in world.kube.events
    world.ask(Verb.RESUME, selected(world), 0)
    world.calm_down()
    assert versions(world)[:3] == (Phase.STABLE, "2", ["1"])


def test_a_rejected_canary_that_still_answers_is_kept_only_for_its_callers() -> None:
    """Stable died when the canary had been rejected: it takes no requests for good, and loses none of them either."""
    world = failing_over("paused")
    canary = world.status.canary
    assert canary is not None
    record = run_record(OWNER, f"{canary.revision}-1", {"outcome": "Rejected", "endedAt": world.now.isoformat()})
    world.kube.put(record)
    with_raw(world, {})
    world.calm_down(5)
    assert (versions(world)[:2], selected(world)) == ((Phase.STABLE, "1"), canary.revision)
    [stalled] = [condition for condition in world.status.conditions if condition.type == "Stalled"]
    assert stalled.reason == "EndpointsKept"


def test_the_previous_revision_can_come_back_after_the_status_was_lost_in_the_watch() -> None:
    """Its pods stay for `progressDeadline` at least, and an undo knows it."""
    world = world_in(Phase.WATCHING)
    world.run_pods()
    with_raw(world, {})
    world.reconcile()
    assert versions(world) == (Phase.STABLE, "2", ["1"], [])
    world.ask(Verb.UNDO, selected(world), 0)
    world.calm_down()
    assert versions(world)[:2] == (Phase.STABLE, "1")


def test_what_a_service_without_the_annotation_selects_is_stable() -> None:
    """An operator before 0.2.0 wrote it, and nothing better is known."""
    world = failing_over("nothing else")
    service = world.kube.objects["Service", "iris"]
    world.kube.put({**service, "metadata": {**service["metadata"], "annotations": {}}})
    with_raw(world, {})
    world.reconcile()
    assert (versions(world)[1], len(deployments(world))) == ("2", 2)


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
