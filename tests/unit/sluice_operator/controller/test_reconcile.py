"""The whole loop on a simulated cluster: status before children, and the same end however often it is cut off."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.observation import Unresolved
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Alias, Outcome, Phase
from tests.unit.sluice_operator.build import DEFAULTS, FAIL, PASS, UNDECIDED, At, at, resolved, revision
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
    """A first version, a good one that is promoted, and a bad one that is rolled back; one yield per moment."""
    for version, verdict in ((1, None), (2, None), (3, FAIL)):
        world.resolution = resolved(version)
        if verdict:
            world.verdicts[str(version)] = verdict
        for _ in range(50):  # 25 minutes: also what retires late, because a way back was not proven, is gone
            yield
            world.run_pods()
            world.sync_gateway()
            world.now += timedelta(seconds=30)


def told() -> World:
    world = World()
    for _ in story(world):
        world.reconcile()
    return world


@cache
def undisturbed() -> tuple[int, dict[str, Any]]:
    world = told()
    return world.kube.writes, world.end()


def test_the_story_ends_as_it_should() -> None:
    """The good version serves and has the alias, the bad one is remembered; nothing of it is left over."""
    world = told()
    assert at(world.status) == At(Phase.STABLE, stable="2", outcome=Outcome.REJECTED)
    assert [(one.model, one.outcome) for one in world.status.history] == [
        ("models:/iris/3", Outcome.REJECTED),
        ("models:/iris/2", Outcome.PROMOTED),
        ("models:/iris/1", Outcome.PROMOTED),
    ]
    assert (world.registry.champion, world.status.alias) == (
        "2",
        Alias("champion", "iris", "2", DEFAULTS.tracking_uri, done=True),
    )
    two = revision(2).revision
    assert set(world.kube.objects) == {
        IRIS,
        ("Deployment", f"iris-{two}"),
        ("Service", f"iris-{two}"),
        ("Service", "iris"),
        ("Service", "iris-metrics"),
        ("Secret", "iris-feedback"),
        ("Ingress", "iris"),
        *(("ConfigMap", one.record) for one in world.status.history if one.record),
    }
    assert [one.outcome for one in world.status.history if one.record] == [Outcome.REJECTED, Outcome.PROMOTED]


def test_the_story_is_told_in_events() -> None:
    """One per transition, in order, and none for a pass that changed nothing."""
    proven = ["WeightProven"] * 3  # 0, and the weight of each step
    promoted = ["CanaryStarted", *proven, "StepsPassed", "RolesSwapped", "Promoted"]
    taken_back = ["CanaryStarted", "WeightProven", "RollingBack", "RolledBack"]
    assert told().kube.events == ["CanaryStarted", "Promoted", *promoted, *taken_back]


def test_a_kill_after_any_write_changes_nothing_about_the_end() -> None:
    """The operator dies after its nth write and starts again: same end, and every promise on the way was kept."""
    total, end = undisturbed()
    for write in range(1, total + 1):
        world = World()
        for _ in story(world):
            left = write - world.kube.writes
            world.reconcile(cut_after=left if left > 0 else None)
        assert world.end() == end, f"killed after write {write} of {total}"


def test_a_kill_after_every_single_write_changes_nothing_about_the_end() -> None:
    """An operator that never gets further than one write still gets there."""
    world = World()
    for _ in story(world):
        for _ in range(20):
            world.reconcile(cut_after=1)
    assert world.end() == undisturbed()[1]


@pytest.mark.parametrize("reference", [IRIS, ("Service", "iris"), CANARY_ROUTE, DEPLOYMENTS["2"]])
def test_lost_races_change_nothing_about_the_end(reference: Reference) -> None:
    """Somebody writes the object between each look and the writes that follow it; every second race is lost."""
    world = World()
    for moment, _ in enumerate(story(world)):
        if moment % 2:
            world.race = lambda: world.kube.touch(reference)
        world.reconcile()
    assert world.end() == undisturbed()[1]
    assert "DriftRepaired" not in world.kube.events, "what a lost race left to do is no drift"


def test_a_stalled_operator_cannot_bring_back_an_old_weight() -> None:
    """It looked before the rollback and writes after it: what it decided is refused."""
    world = stepping_world()

    def another_one_rolls_back() -> None:
        world.verdicts["2"] = FAIL
        world.reconcile()

    world.verdicts["2"] = PASS
    world.race = another_one_rolls_back
    world.reconcile()
    assert (at(world.status).phase, at(world.status).weight) == (Phase.ROLLING_BACK, 0)
    assert world.kube.objects[CANARY_ROUTE]["metadata"]["annotations"][WEIGHT] == "0"


def test_nothing_is_written_while_nothing_changes() -> None:
    """An object at rest costs no write."""
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
def test_an_edit_from_outside_is_repaired_and_told(reference: Reference, change: Callable[[Manifest], None]) -> None:
    """It is drift, never progress: status stays as it is, the object becomes what it was."""
    world = stepping_world()
    status, before = world.status, copy.deepcopy(world.kube.objects[reference])
    edited(world, reference, change)
    world.kube.events.clear()
    world.reconcile()
    repaired = world.kube.objects[reference]
    assert (at(world.status), world.kube.events) == (at(status), ["DriftRepaired"])
    assert repaired["spec"] == before["spec"]
    assert repaired["metadata"].get("annotations") == before["metadata"].get("annotations")


@pytest.mark.parametrize("reference", [CANARY_ROUTE, ("Service", "iris"), DEPLOYMENTS["1"]])
def test_a_deleted_child_comes_back(reference: Reference) -> None:
    """Children are a function of spec and status."""
    world = stepping_world()
    before = world.kube.objects.pop(reference)
    world.reconcile()
    assert world.kube.objects[reference]["spec"] == before["spec"]


def test_pods_that_serve_are_never_rewritten() -> None:
    """A Deployment of another shape than today's builder makes is left as it is; only its number of pods changes."""
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
def test_what_somebody_else_owns_is_left_alone(kind: str) -> None:
    """An object of one of our names is neither changed nor deleted; the condition names it; then it goes on."""
    name = "iris-feedback" if kind == "Secret" else "iris"
    theirs = {"kind": kind, "metadata": {"name": name, "namespace": "models"}, "spec": {"selector": {"app": "theirs"}}}
    world = World()
    world.kube.put(theirs)
    untouched = world.kube.objects[kind, name]
    world.calm_down(5)
    stalled = next(one for one in world.status.conditions if one.type == "Stalled")
    assert (world.status.phase, stalled.reason) == (Phase.PENDING, "NameTaken")
    assert stalled.message.startswith(f"{kind} {name}: ")
    assert world.kube.objects[kind, name] == untouched
    assert set(world.kube.objects) == {IRIS, (kind, name)}
    del world.kube.objects[kind, name]
    world.calm_down(5)
    assert at(world.status).stable == "1"


def test_the_feedback_key_is_made_once() -> None:
    """A promotion does not invalidate prediction ids that are on their way."""
    world = stable_world()
    key = world.kube.objects["Secret", "iris-feedback"]
    world.resolution = resolved(2)
    world.calm_down()
    assert (at(world.status).stable, world.kube.objects["Secret", "iris-feedback"]) == ("2", key)
    assert len(key["stringData"]["key"]) == 64


def test_the_alias_is_moved_when_the_registry_is_back() -> None:
    """A promotion does not wait for it, and it is not forgotten."""
    world = stable_world()
    world.registry.answers = False
    world.resolution = resolved(2)
    world.calm_down()
    assert (at(world.status).stable, world.registry.champion) == ("2", "1")
    world.registry.answers = True
    world.calm_down(2)
    assert (world.registry.champion, world.status.alias) == (
        "2",
        Alias("champion", "iris", "2", DEFAULTS.tracking_uri, done=True),
    )


def test_an_object_that_is_gone_needs_no_more_looks() -> None:
    """The queue is told to forget it."""

    class Nothing(World):
        async def observe(self, namespace: str, name: str, refused: str = "") -> None:
            return None

    world = Nothing()
    assert finish(world.operator.reconcile("models", "iris")) is None


@pytest.mark.parametrize(("phase", "seconds"), [("stable", 30.0), ("stepping", 5.0)])
def test_the_next_look_is_as_near_as_the_phase_needs(phase: str, seconds: float) -> None:
    """The poll interval at rest, the evaluation interval while judging."""
    world = stable_world() if phase == "stable" else stepping_world()
    assert finish(world.operator.reconcile("models", "iris")) == seconds


def test_a_missing_alias_changes_nothing_that_serves() -> None:
    """Deleted in the registry: told, and nothing else."""
    world = stable_world()
    before = world.end()
    world.resolution = Unresolved("AliasNotFound", "MLflow has no alias 'challenger' of model 'iris'")
    world.calm_down(5)
    assert world.end() == before
    assert world.status.message == "MLflow has no alias 'challenger' of model 'iris'"
