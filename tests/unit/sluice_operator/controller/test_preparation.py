"""A store on a simulated cluster: a Job comes before the Deployment, and afterwards nobody needs the registry."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice_operator.api import names
from sluice_operator.api.command import Verb
from sluice_operator.api.observation import Unreachable
from sluice_operator.api.run import Outcome, Phase
from tests.unit.sluice_operator.build import WITH_STORE, At, at, condition, resolved, revision
from tests.unit.sluice_operator.fakes import FakeKube, Reference
from tests.unit.sluice_operator.world import IRIS, World

JOBS: dict[int, Reference] = {version: ("Job", f"iris-{revision(version).revision}-prepare") for version in (1, 2, 3)}
DEPLOYMENTS: dict[int, Reference] = {
    version: ("Deployment", f"iris-{revision(version).revision}") for version in (1, 2, 3)
}
TOKEN: Reference = ("Secret", "iris-store")


def world_with_store(*, before: bool = False) -> World:
    """Version 1 serves. `before`: it was made before there was a store."""
    world = World()
    world.has_store = not before
    world.calm_down(8)
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)
    world.has_store = True
    return world


def digest_of(kube: FakeKube, version: int) -> str | None:
    """The digest that the pods of this version fetch from the store; None if they ask the registry."""
    [fetch] = kube.objects[DEPLOYMENTS[version]]["spec"]["template"]["spec"]["initContainers"]
    return next((entry["value"] for entry in fetch["env"] if entry["name"] == names.DIGEST_KEY), None)


def test_a_model_is_prepared_before_it_has_pods() -> None:
    """And its digest is pinned in status before its Deployment exists."""
    world = World()
    world.has_store = True
    world.reconcile()
    assert JOBS[1] in world.kube.objects
    assert TOKEN in world.kube.objects
    for _ in range(3):
        world.reconcile()
        assert DEPLOYMENTS[1] not in world.kube.objects
    world.run_pods()
    world.reconcile()
    assert world.status.canary is not None
    assert world.status.canary.model.digest == "sha256:1"
    assert digest_of(world.kube, 1) == "sha256:1"
    assert JOBS[1] in world.kube.objects, "its log can be read for an hour"


def test_a_run_with_a_store_ends_as_one_without() -> None:
    """Promoted; and what served before can come back while the registry is down."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.calm_down(20)
    assert at(world.status) == At(Phase.STABLE, stable="2", step=1, outcome=Outcome.PROMOTED)
    del world.kube.objects[DEPLOYMENTS[2]]
    world.resolution = Unreachable("no answer")
    world.calm_down(3)
    assert digest_of(world.kube, 2) == "sha256:2", "made again without the registry"
    world.calm_down(5)
    assert DEPLOYMENTS[1] not in world.kube.objects
    world.ask(Verb.UNDO, revision(2).revision, 0)
    world.calm_down(20)
    assert at(world.status).stable == "1"
    assert digest_of(world.kube, 1) == "sha256:1"


def test_a_refused_model_has_no_pods_and_no_job() -> None:
    """Stable is not touched, and the reason is that of the preflight."""
    world = world_with_store()
    world.unservable, world.resolution = {"2"}, resolved(2)
    world.calm_down(8)
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.REJECTED)
    assert condition(world.status, "RolloutSucceeded")[1] == "PickleNotTrusted"
    assert not {JOBS[2], DEPLOYMENTS[2]} & set(world.kube.objects)


def test_a_first_model_that_was_refused_is_prepared_anew_when_it_is_retried() -> None:
    """The Job of the run before is not asked any more: what was wrong may be mended."""
    world = World()
    world.has_store, world.unservable = True, {"1"}
    world.calm_down(4)
    assert world.status.message == "log it with skops"
    assert JOBS[1] not in world.kube.objects
    world.unservable = set()
    world.ask(Verb.RETRY, revision(1).revision, 0)
    world.calm_down(8)
    assert at(world.status) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)


def test_a_job_that_ran_out_of_its_time_is_made_anew() -> None:
    """As when the registry was down for an hour. That is no drift, and the start goes on when it answers."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.reconcile()
    uid = world.kube.objects[JOBS[2]]["metadata"]["uid"]
    world.jobs.fail()
    world.reconcile()
    assert world.kube.objects[JOBS[2]]["metadata"]["uid"] != uid
    assert "DriftRepaired" not in world.kube.events
    world.calm_down(20)
    assert at(world.status).stable == "2"


def test_a_job_that_is_done_but_whose_pod_is_gone_is_made_anew() -> None:
    """Not after the hour for which Kubernetes keeps it: its node was drained before the operator looked."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.reconcile()
    world.run_pods()
    for reference in [reference for reference in world.kube.objects if reference[0] == "Pod"]:
        del world.kube.objects[reference]
    uid = world.kube.objects[JOBS[2]]["metadata"]["uid"]
    world.reconcile()
    assert world.kube.objects[JOBS[2]]["metadata"]["uid"] != uid
    world.calm_down(20)
    assert at(world.status).stable == "2"


def test_an_undo_needs_no_store_that_was_switched_off() -> None:
    """What comes back and has no pods any more is fetched from the registry, as each new revision is."""
    world = world_with_store()
    world.has_store, world.resolution = False, resolved(2)
    world.calm_down(40)
    assert at(world.status).stable == "2"
    assert DEPLOYMENTS[1] not in world.kube.objects
    world.ask(Verb.UNDO, revision(2).revision, 0)
    world.calm_down(20)
    assert (at(world.status).stable, digest_of(world.kube, 1)) == ("1", None)


def test_a_store_that_comes_later_changes_nothing_of_what_serves() -> None:
    """No run starts and no object but the ConfigMap is written; the next version is prepared."""
    world = world_with_store(before=True)
    objects = dict(world.kube.objects)
    world.calm_down(3)
    changed = {reference for reference, manifest in objects.items() if world.kube.objects[reference] != manifest}
    assert changed == {("ConfigMap", "iris-registry")}
    assert set(world.kube.objects) == set(objects)
    del world.kube.objects[DEPLOYMENTS[1]]
    world.reconcile()
    assert digest_of(world.kube, 1) is None, "it was made without a store"
    world.resolution = resolved(2)
    world.calm_down(20)
    assert digest_of(world.kube, 2) == "sha256:2"


def test_a_store_that_goes_leaves_prepared_revisions_to_it() -> None:
    """Their pods and templates stay, and so does the address. The next version is fetched from the registry."""
    world = world_with_store()
    before = world.kube.objects[DEPLOYMENTS[1]]
    world.has_store = False
    world.calm_down(3)
    assert world.kube.objects[DEPLOYMENTS[1]] == before
    assert names.STORE_URL_KEY in world.kube.objects["ConfigMap", "iris-registry"]["data"]
    world.resolution = resolved(2)
    world.calm_down(20)
    assert (at(world.status).stable, digest_of(world.kube, 2)) == ("2", None)


def test_the_address_of_a_store_that_was_switched_off_outlives_other_changes() -> None:
    """An apply deletes what it leaves out, and the pods of a prepared revision do not start without the address."""
    world = world_with_store(before=True)
    world.resolution = resolved(2)
    world.calm_down(20)
    assert digest_of(world.kube, 2) == "sha256:2"
    world.has_store = False
    for address in ("http://elsewhere:5000", "http://again:5000"):
        world.tracking_uri = address
        world.calm_down(2)
        data = world.kube.objects["ConfigMap", "iris-registry"]["data"]
        store = {names.STORE_URL_KEY: WITH_STORE.store_url, names.STORE_OPEN_KEY: "false"}
        assert data == {names.TRACKING_URI_KEY: address, **store}


@pytest.mark.parametrize("cut_after", range(1, 7))
def test_a_kill_while_a_model_is_prepared_does_not_change_the_end(cut_after: int) -> None:
    """After any write, in the pass that begins the run and in the one that pins the digest."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.reconcile(cut_after)
    world.run_pods()
    world.reconcile(cut_after)
    world.calm_down(20)
    assert (at(world.status).stable, digest_of(world.kube, 2)) == ("2", "sha256:2")


def lose_store(world: World, version: str, *, pods: bool = True) -> None:
    """The store's volume is lost, and `pods`: so are all that have the model."""
    world.jobs.lose(version)
    if pods:
        world.lose_pods(version)


def test_a_model_that_the_store_has_lost_is_prepared_again() -> None:
    """As soon as no pod has it, and without a person: with the same content the same pods start."""
    world = world_with_store()
    world.now += timedelta(hours=2)  # the Job of the start is gone
    world.calm_down(1)
    assert JOBS[1] not in world.kube.objects
    lose_store(world, "1")
    world.run_pods()
    before = world.kube.objects[DEPLOYMENTS[1]]
    world.reconcile()
    assert JOBS[1] in world.kube.objects
    assert world.status.message == "models:/iris/1 serves on 0 of 2 pods: none is ready"
    world.reconcile()
    assert "the store has lost models:/iris/1; it is prepared again from MLflow" in world.status.message
    world.calm_down(3)
    assert world.kube.objects[DEPLOYMENTS[1]]["metadata"]["uid"] == before["metadata"]["uid"]
    assert (at(world.status), world.ready(revision(1))) == (At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED), 2)
    assert world.status.stable is not None
    assert world.status.stable.lost is None


def test_the_job_of_an_hour_ago_is_not_taken_for_the_one_that_is_needed() -> None:
    """It is done, and what it has put into the store is lost."""
    world = world_with_store()
    uid = world.kube.objects[JOBS[1]]["metadata"]["uid"]
    lose_store(world, "1")
    world.calm_down(5)
    assert world.kube.objects[JOBS[1]]["metadata"]["uid"] != uid
    assert world.ready(revision(1)) == 2


def test_a_pod_that_has_the_model_gives_it_and_nothing_is_prepared() -> None:
    """It puts it back into the store, too."""
    world = world_with_store()
    world.now += timedelta(hours=2)
    world.calm_down(1)
    lose_store(world, "1", pods=False)
    world.calm_down(5)
    assert JOBS[1] not in world.kube.objects
    assert world.ready(revision(1)) == 2


def test_while_the_registry_is_down_it_says_what_it_waits_for() -> None:
    """And goes on when it answers."""
    world = world_with_store()
    world.resolution = Unreachable("no answer")
    lose_store(world, "1")
    world.calm_down(5)
    assert world.ready(revision(1)) == 0
    [ready] = [each for each in world.status.conditions if each.type == "Ready"]
    assert "it is prepared again from MLflow: pod iris-" in ready.message
    assert "timed out" in ready.message
    world.resolution = resolved(1)
    world.calm_down(5)
    assert world.ready(revision(1)) == 2


def test_what_mlflow_or_the_image_refuses_now_rejects_nothing() -> None:
    """The revision served before: its pods wait, and the condition has the words of the refusal."""
    world = world_with_store()
    world.unservable = {"1"}
    lose_store(world, "1")
    world.calm_down(5)
    assert (at(world.status).stable, world.status.rejected) == ("1", ())
    assert "it is prepared again from MLflow: log it with skops" in world.status.message


def test_another_content_is_pinned_after_the_last_pod_of_the_first_one() -> None:
    """The image behind a tag has changed, so the same version makes other files. A person is not needed."""
    world = world_with_store()
    world.jobs.build = "-rebuilt"
    lose_store(world, "1")
    world.run_pods()
    world.reconcile()
    world.run_pods()
    world.reconcile()
    assert DEPLOYMENTS[1] not in world.kube.objects
    world.reconcile()
    assert DEPLOYMENTS[1] not in world.kube.objects, "its pods are still there"
    assert "another content" in world.status.message
    world.calm_down(5)
    assert digest_of(world.kube, 1) == "sha256:1-rebuilt"
    assert (at(world.status), world.ready(revision(1))) == (At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED), 2)


@pytest.mark.parametrize("build", ["", "-rebuilt"])
@pytest.mark.parametrize("cut_after", range(1, 5))
def test_a_kill_while_a_lost_model_is_prepared_changes_nothing(cut_after: int, build: str) -> None:
    """After any write of any of the passes."""
    world = world_with_store()
    world.jobs.build = build
    lose_store(world, "1")
    for _ in range(8):
        world.run_pods()
        world.reconcile(cut_after)
    world.calm_down(5)
    assert (digest_of(world.kube, 1), world.ready(revision(1))) == (f"sha256:1{build}", 2)


def test_the_dead_stable_of_a_failover_is_prepared_again_too() -> None:
    """Its canary answers meanwhile, and starts again beside it."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.advance_until(Phase.STEPPING)
    lose_store(world, "1")
    world.run_pods()
    world.reconcile()
    world.reconcile()
    assert world.status.phase is Phase.FAILOVER
    world.run_pods()
    world.reconcile()
    world.run_pods()
    assert world.ready(revision(1)) == 2
    world.calm_down(20)
    assert at(world.status).stable == "2"


def test_a_lost_canary_waits_and_is_not_rejected() -> None:
    """The time does not count, as with all that is not the model's fault."""
    world = world_with_store()
    world.resolution = resolved(2)
    world.advance_until(Phase.STEPPING)
    lose_store(world, "2")
    world.unservable = {"2"}
    world.calm_down(40)
    assert world.status.rejected == ()
    world.unservable = set()
    world.calm_down(20)
    assert at(world.status).stable == "2"


def test_a_job_of_somebody_else_holds_the_start() -> None:
    """It is not touched, and named."""
    world = world_with_store()
    world.kube.put({"kind": "Job", "metadata": {"name": JOBS[2][1], "namespace": "models"}, "spec": {}})
    world.resolution = resolved(2)
    for _ in range(3):
        world.reconcile()
    assert world.status.phase is Phase.STARTING
    assert condition(world.status, "Stalled")[1] == "NameTaken"
    assert JOBS[2][1] in world.status.message


def test_pods_without_a_deployment_do_not_take_over_before_their_model_is_prepared() -> None:
    """Of a revision whose Deployment was deleted with its pods left behind, and whose status was lost.

    Nobody makes these pods anew. So a dead stable leaves its requests to them only when their Deployment is back.
    """
    world = world_with_store()
    world.resolution = resolved(2)
    world.advance_until(Phase.STEPPING)
    for reference in (DEPLOYMENTS[2], JOBS[2]):
        del world.kube.objects[reference]
    world.kube.put({**world.kube.objects[IRIS], "status": None})
    for _ in range(2):
        world.reconcile()
    assert world.ready(revision(2)) > 0
    world.lose_pods("1")
    for _ in range(3):
        world.reconcile()
    assert at(world.status).phase is Phase.STARTING
    assert JOBS[2] in world.kube.objects, "its model is prepared"
    world.jobs.catch_up(world.now, registry_answers=True, refused=(), no_room=())
    for _ in range(3):
        world.reconcile()
    assert DEPLOYMENTS[2] in world.kube.objects, "though its old pods are still there"
    assert at(world.status).phase is Phase.FAILOVER


def test_pods_without_a_deployment_keep_the_callers_that_they_have() -> None:
    """As above, but they had taken over already. No other pod is ready, whoever should serve by the new status."""
    world = World()
    world.calm_down(8)
    world.resolution = resolved(2)
    world.advance_until(Phase.STEPPING)
    world.lose_pods("1")
    for _ in range(3):
        world.reconcile()
    assert (at(world.status).phase, world.selected) == (Phase.FAILOVER, revision(2).revision)
    del world.kube.objects[DEPLOYMENTS[2]]
    world.kube.put({**world.kube.objects[IRIS], "status": None})
    for store in (True, True, False):
        world.has_store = store
        world.reconcile()
        assert (DEPLOYMENTS[2] in world.kube.objects, world.selected) == (not store, revision(2).revision)
