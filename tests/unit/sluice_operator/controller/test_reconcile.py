"""The whole loop on a simulated cluster: status is written first, and crashes do not change the end."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.command import Verb
from sluice_operator.api.observation import Unresolved
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Alias, Result, Verdict
from tests.unit.sluice_operator.build import (
    FAIL,
    PASS,
    UNDECIDED,
    At,
    at,
    condition,
    resolved,
    revision,
    signature,
)
from tests.unit.sluice_operator.fakes import Reference, finish
from tests.unit.sluice_operator.world import IRIS, World

CANARY_ROUTE: Reference = ("Ingress", "iris-canary")
DEPLOYMENTS = {str(version): ("Deployment", f"iris-{revision(version).revision}") for version in (1, 2)}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def stable_world() -> World:
    world = World()
    world.calm_down(8)
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)
    return world


def stepping_world() -> World:
    """Version 2 waits for evidence at weight 10."""
    world = stable_world()
    world.resolution, world.verdicts["2"] = resolved(2), UNDECIDED
    world.calm_down(8)
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    return world


def story(world: World) -> Iterator[None]:
    """A first version, a good one that is promoted, and a bad one that is rolled back. Yields before each reconcile."""
    for version, verdict in ((1, None), (2, None), (3, FAIL)):
        world.resolution = resolved(version)
        if verdict:
            world.verdicts[str(version)] = verdict
        for _ in range(50):  # 25 minutes, so that a revision that retires late, after an unproven rollback, is gone too
            yield
            world.run_pods()
            world.sync_gateway()
            world.now += timedelta(seconds=30)


def world_after_story() -> World:
    world = World()
    for _ in story(world):
        world.reconcile()
    return world


@cache
def undisturbed() -> tuple[int, dict[str, Any]]:
    world = world_after_story()
    return world.kube.writes, world.end()


def test_the_good_version_serves_in_the_end() -> None:
    """It has the alias. The bad version is remembered, and no object of it is left."""
    world = world_after_story()
    assert at(world.status) == At(Phase.STABLE, stable="2", outcome=Outcome.REJECTED)
    assert [(entry.model, entry.outcome) for entry in world.status.history] == [
        ("models:/iris/3", Outcome.REJECTED),
        ("models:/iris/2", Outcome.PROMOTED),
        ("models:/iris/1", Outcome.PROMOTED),
    ]
    assert (world.registry.champion, world.status.alias) == (
        "2",
        Alias("champion", "iris", "2", done=True),
    )
    two = revision(2).revision
    assert set(world.kube.objects) == {
        IRIS,
        ("Deployment", f"iris-{two}"),
        ("PodDisruptionBudget", f"iris-{two}"),
        ("Service", f"iris-{two}"),
        ("Service", "iris"),
        ("Service", "iris-metrics"),
        ("Secret", "iris-feedback"),
        ("ConfigMap", "iris-registry"),
        ("Ingress", "iris"),
        *(("ConfigMap", entry.record) for entry in world.status.history if entry.record),
    }
    assert all(entry.record for entry in world.status.history)


def test_each_transition_of_the_story_has_one_event() -> None:
    """They are in order, and a reconcile that changes nothing posts none."""
    proven = ["WeightProven"] * 3  # 0, and the weight of each step
    promoted = ["CanaryStarted", *proven, "StepsPassed", "RolesSwapped", "Promoted"]
    rolled_back = ["CanaryStarted", "WeightProven", "RollingBack", "RolledBack"]
    assert world_after_story().kube.events == ["CanaryStarted", "Promoted", *promoted, *rolled_back]


def test_a_version_that_needs_another_column_gets_no_traffic_until_that_is_allowed() -> None:
    """Rejected at weight 0; with one edit of the spec it gets traffic, and is taken back when callers are refused."""
    world = stable_world()
    world.resolution, world.signatures["2"] = resolved(2), signature("length", "width", "depth")
    world.verdicts["2"] = Verdict(Result.FAIL, "RefusalsWorseThanStable", "")
    world.calm_down(8)
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)
    world.edit_spec(model={**world.spec["model"], "allowSignatureChange": True})
    world.calm_down(8)
    reasons = [(entry.reason, bool(entry.record)) for entry in world.status.history]
    assert reasons == [("RefusalsWorseThanStable", True), ("SignatureChanged", True), ("FirstRevision", True)]
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)


def test_a_kill_after_any_write_does_not_change_the_end() -> None:
    """The operator is killed after its nth write and starts again: the end is the same, and each promise is kept."""
    total, end = undisturbed()
    for write in range(1, total + 1):
        world = World()
        for _ in story(world):
            left = write - world.kube.writes
            world.reconcile(cut_after=left if left > 0 else None)
        assert world.end() == end, f"killed after write {write} of {total}"


def test_kills_after_every_write_do_not_change_the_end() -> None:
    """An operator that never gets further than one write reaches the same end."""
    world = World()
    for _ in story(world):
        for _ in range(20):
            world.reconcile(cut_after=1)
    assert world.end() == undisturbed()[1]


@pytest.mark.parametrize("reference", [IRIS, ("Service", "iris"), CANARY_ROUTE, DEPLOYMENTS["2"]])
def test_lost_races_do_not_change_the_end(reference: Reference) -> None:
    """In every second reconcile, somebody else writes an object between the observation and the writes."""
    world = World()
    for moment, _ in enumerate(story(world)):
        if moment % 2:
            world.race = lambda: world.kube.touch(reference)
        world.reconcile()
    assert world.end() == undisturbed()[1]
    assert "DriftRepaired" not in world.kube.events, "writes that a lost race has delayed are no drift"


def test_a_stalled_operator_cannot_bring_back_an_old_weight() -> None:
    """It observes before a rollback and writes after it: the API server refuses its write."""
    world = stepping_world()

    def another_operator_rolls_back() -> None:
        world.verdicts["2"] = FAIL
        world.reconcile()

    world.verdicts["2"] = PASS
    world.race = another_operator_rolls_back
    world.reconcile()
    assert (at(world.status).phase, at(world.status).weight) == (Phase.ROLLING_BACK, 0)
    assert world.kube.objects[CANARY_ROUTE]["metadata"]["annotations"][WEIGHT] == "0"


def test_nothing_is_written_while_nothing_changes() -> None:
    """An object without a run needs no write."""
    world = stable_world()
    before = world.kube.writes
    world.calm_down(5)
    assert world.kube.writes == before


def edited(world: World, reference: Reference, change: Callable[[Manifest], None]) -> None:
    manifest = world.kube.objects[reference]
    change(manifest)
    world.kube.put(manifest)


def other_weight(manifest: Manifest) -> None:
    manifest["metadata"]["annotations"][WEIGHT] = "90"


def other_role(manifest: Manifest) -> None:
    manifest["spec"]["selector"][names.LABEL_REVISION] = revision(2).revision


def other_size(manifest: Manifest) -> None:
    manifest["spec"]["replicas"] = 0


@pytest.mark.parametrize(
    ("reference", "change"),
    [
        (CANARY_ROUTE, other_weight),
        (("Service", "iris"), other_role),
        (DEPLOYMENTS["1"], other_size),
    ],
)
def test_an_edit_from_outside_is_repaired_and_reported(
    reference: Reference, change: Callable[[Manifest], None]
) -> None:
    """It is drift: status does not change, and the object becomes what it was."""
    world = stepping_world()
    status, before = world.status, copy.deepcopy(world.kube.objects[reference])
    edited(world, reference, change)
    world.kube.events.clear()
    world.reconcile()
    repaired = world.kube.objects[reference]
    assert (at(world.status), world.kube.events) == (at(status), ["DriftRepaired"])
    assert repaired["spec"] == before["spec"]
    shown, meant = (manifest["metadata"].get("annotations", {}) for manifest in (repaired, before))
    assert shown.get(WEIGHT) == meant.get(WEIGHT)  # the probe header is a new one: test_route_edits.py


@pytest.mark.parametrize("reference", [CANARY_ROUTE, ("Service", "iris"), DEPLOYMENTS["1"]])
def test_a_deleted_object_is_created_again(reference: Reference) -> None:
    """It follows from spec and status, which have not changed."""
    world = stepping_world()
    before = world.kube.objects.pop(reference)
    world.reconcile()
    assert world.kube.objects[reference]["spec"] == before["spec"]


def test_pods_that_serve_are_never_replaced() -> None:
    """A Deployment that differs from what is built today stays as it is; only its number of pods changes."""
    world = stepping_world()
    reference = DEPLOYMENTS["1"]

    def older(manifest: Manifest) -> None:
        manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/older:1"

    edited(world, reference, older)
    world.edit_spec(server__replicas=3)
    world.calm_down(3)
    spec = world.kube.objects[reference]["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["image"] == "registry.example/older:1"


@pytest.mark.parametrize("kind", ["Service", "Ingress", "Secret"])
def test_an_object_of_another_owner_stalls_the_rollout(kind: str) -> None:
    """It has a name that we need. It is not changed, the condition names it, and without it the rollout goes on."""
    name = "iris-feedback" if kind == "Secret" else "iris"
    theirs = {"kind": kind, "metadata": {"name": name, "namespace": "models"}, "spec": {"selector": {"app": "theirs"}}}
    world = World()
    world.kube.put(theirs)
    untouched = world.kube.objects[kind, name]
    world.calm_down(5)
    stalled = next(condition for condition in world.status.conditions if condition.type == "Stalled")
    assert (world.status.phase, stalled.reason) == (Phase.PENDING, "NameTaken")
    assert stalled.message.startswith(f"{kind} {name}: ")
    assert world.kube.objects[kind, name] == untouched
    assert set(world.kube.objects) == {IRIS, (kind, name)}
    del world.kube.objects[kind, name]
    world.calm_down(5)
    assert at(world.status).stable == "1"


def test_the_feedback_key_is_created_once() -> None:
    """After a promotion, prediction ids from before it are still valid."""
    world = stable_world()
    key = world.kube.objects["Secret", "iris-feedback"]
    world.resolution = resolved(2)
    world.calm_down()
    assert (at(world.status).stable, world.kube.objects["Secret", "iris-feedback"]) == ("2", key)
    assert len(key["stringData"]["key"]) == 64


def test_the_alias_is_moved_when_the_registry_answers_again() -> None:
    """A promotion does not wait for the alias, and the alias is not forgotten."""
    world = stable_world()
    world.registry.answers = False
    world.resolution = resolved(2)
    world.calm_down()
    assert (at(world.status).stable, world.registry.champion) == ("2", "1")
    world.registry.answers = True
    world.calm_down(2)
    assert (world.registry.champion, world.status.alias) == (
        "2",
        Alias("champion", "iris", "2", done=True),
    )


def test_an_object_that_is_gone_is_not_reconciled_again() -> None:
    """The result None makes the queue drop its key."""

    class WithoutObject(World):
        async def observe(self, namespace: str, name: str, refused: str = "") -> None:
            return None

    world = WithoutObject()
    assert finish(world.operator.reconcile("models", "iris")) is None


@pytest.mark.parametrize(("phase", "seconds"), [("stable", 30.0), ("stepping", 5.0)])
def test_the_pause_until_the_next_reconcile_depends_on_the_phase(phase: str, seconds: float) -> None:
    """The poll interval while Stable, the evaluation interval while a run is judged."""
    world = stable_world() if phase == "stable" else stepping_world()
    assert finish(world.operator.reconcile("models", "iris")) == seconds


def test_a_missing_alias_does_not_change_what_serves() -> None:
    """If it was deleted in the registry, the message says so, and nothing else happens."""
    world = stable_world()
    before = world.end()
    world.resolution = Unresolved("AliasNotFound", "MLflow has no alias 'challenger' of model 'iris'")
    world.calm_down(5)
    assert world.end() == before
    assert world.status.message == "MLflow has no alias 'challenger' of model 'iris'"


def test_an_undo_goes_all_the_way() -> None:
    """Each status on its way can be read again. The revision before serves, and the one that was left is rejected."""
    world = stable_world()
    world.resolution = resolved(2)
    world.calm_down(30)
    assert world.status.stable is not None
    assert world.status.stable.revision == revision(2).revision
    world.ask(Verb.UNDO, revision(2).revision, 0)
    phases = set()
    for _ in range(30):
        world.calm_down(1)
        phases.add(world.status.phase)
    assert {Phase.STARTING, Phase.PROMOTING} <= phases
    assert (world.status.phase, world.status.stable.revision) == (Phase.STABLE, revision(1).revision)
    assert [entry.reason for entry in world.status.rejected] == ["Undone"]


def test_an_undo_with_some_of_its_pods_survives_an_edit_of_its_route() -> None:
    """The proof of the repaired weight 0 is no proof of a step: an undo has none. An abort is answered all the same."""
    world = stable_world()
    world.resolution = resolved(2)
    world.calm_down(30)
    world.partly = {"1"}
    world.ask(Verb.UNDO, revision(2).revision, 0)
    world.calm_down(3)
    assert world.status.phase is Phase.PROMOTING
    world.edit_weight(5)
    world.calm_down(3)
    assert world.status.phase is Phase.PROMOTING
    assert condition(world.status, "TrafficVerified")[1] == "Proven"
    asked = world.ask(Verb.ABORT, revision(1).revision, 0)
    world.calm_down(3)
    assert world.status.last_command is not None
    assert (world.status.last_command.id, world.status.phase) == (asked, Phase.STABLE)
