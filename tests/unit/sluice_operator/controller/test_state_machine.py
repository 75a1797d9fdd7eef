"""Crashes, conflicts, outages, verdicts and edits in any order: the promises are kept and the end is right."""

from __future__ import annotations

import copy
import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sluice_operator.api import spec
from sluice_operator.api.allowed_routes import Allowed, AllowedRoutes
from sluice_operator.api.command import Verb
from sluice_operator.api.observation import Resolved, Unreachable, Unresolved
from sluice_operator.api.owner import is_owned
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Result, Status, Verdict
from sluice_operator.controller.archive import KEPT
from sluice_operator.manifests.render import render
from sluice_operator.rollout.may_start import is_rejected, is_resting
from sluice_operator.rollout.pauses import SUSPENDED
from sluice_operator.rollout.rejections import is_for_answers
from sluice_operator.rollout.roles import serves
from tests.unit.sluice_operator import canary_routes
from tests.unit.sluice_operator.build import (
    FAIL,
    LOST,
    OWNER,
    PASS,
    ROLLOUT,
    SPEC,
    STEPS,
    UNDECIDED,
    an_observation,
    resolved,
    revision,
)
from tests.unit.sluice_operator.fakes import Reference
from tests.unit.sluice_operator.world import IRIS, World

HOW_MANY = int(os.environ.get("STATEFUL_STEPS", "10000"))  # `make test` tries ten times as many
HOLDS = Verdict(Result.UNDECIDED, "ErrorRateAboveLimit", "errors 5% breaks its limit", holding=("errors",))
LATE = (Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING, Phase.FAILOVER)
VERSIONS = st.sampled_from(["1", "2", "3"])
CHILDREN: list[Reference] = [
    IRIS,
    ("Service", "iris"),
    ("Ingress", "iris"),
    ("Ingress", "iris-canary"),
    ("HTTPRoute", "iris"),
    *(("Deployment", f"iris-{revision(version).revision}") for version in (1, 2, 3)),
    *(("Job", f"iris-{revision(version).revision}-prepare") for version in (1, 2, 3)),
]
NOT_THIS_HOST = AllowedRoutes(hosts=(Allowed("models", "other.example.com"),))
TRAFFIC = st.sampled_from([canary_routes.INGRESS, canary_routes.HTTP_ROUTE])
OWNED = st.sampled_from(CHILDREN[1:])


class Rollouts(RuleBasedStateMachine):
    """One ModelDeployment and everything that can happen to it. `steps`: how many were taken, in all sequences."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.backup: Any = None

    @initialize(
        first=st.sampled_from([Phase.PENDING, Phase.STABLE, Phase.STEPPING, *LATE, None]),
        store=st.booleans(),
        traffic=TRAFFIC,
    )
    def start(self, first: Phase | None, store: bool, traffic: dict[str, Any]) -> None:
        """A phase that random rules rarely reach. None: an undo, what comes back having some of its pods for long."""
        self.world.has_store = store
        self.the_kind_of_gateway_changes(traffic)
        self.start_in_a_phase(first)

    def start_in_a_phase(self, first: Phase | None) -> None:
        if first is None:
            return self.start_with_an_undo()
        for version, phase in ((1, Phase.STABLE), (2, Phase.STEPPING if first is Phase.FAILOVER else first)):
            self.world.resolution = resolved(version)
            while first is not Phase.PENDING and self.world.status.phase is not phase:
                self.advance()
        if first is Phase.FAILOVER:
            self.pods_break_or_recover("1")
            self.the_operator_reconciles()

    def start_with_an_undo(self) -> None:
        self.start_in_a_phase(Phase.WATCHING)
        self.world.calm_down(5)
        self.world.partly = {"1"}
        self.world.ask(Verb.UNDO, revision(2).revision, 0)
        self.everything_advances()
        assert self.world.status.phase is Phase.PROMOTING

    @rule(cut_after=st.integers(1, 6))
    def the_operator_is_killed(self, cut_after: int) -> None:
        self.world.reconcile(cut_after)

    @rule()
    def the_operator_reconciles(self) -> None:
        """These are true after a reconcile that nothing disturbed."""
        world, before, there = self.world, self.world.status, set(self.world.kube.objects)
        world.reconcile()
        status = world.status
        self.check_the_way_to_stable(before, status, there)
        if status.weight is not None and status.weight.desired > 0:
            assert world.ready(status.canary) > 0 or serves(status) == status.canary
        route = canary_routes.of(world.kube.objects)
        weight = route and canary_routes.weight(route)
        assert weight == (status.weight.desired if status.weight and status.route else None)
        for _ in range(2):  # a run that has just begun, or that ends first: then with one of its next passes
            if self.another_revision_could_serve():
                world.reconcile()
        assert not self.another_revision_could_serve()

    def check_the_way_to_stable(self, before: Status, after: Status, there: set[Reference]) -> None:
        """Nobody becomes stable who is known as bad, or while a person holds the run; and who waits says so."""
        run, stable = before.run, after.stable
        if run is not None and before.stable is not None and stable is not None and after.phase is Phase.STABLE:
            promoted = before.phase is Phase.FAILOVER and stable.revision != before.stable.revision
            resumes = run.pause is not None and run.pause.reason == SUSPENDED and not self.world.spec.get("suspend")
            resolution = self.world.resolution  # a newer revision replaces a paused run, too
            newer = isinstance(resolution, Resolved) and resolution.model.version != stable.model.version
            assert not promoted or run.pause is None or resumes or newer
            assert not promoted or before.verdict is None
        if before.phase is Phase.WATCHING and after.phase is Phase.STABLE and after.alias != before.alias:
            assert self.world.ready(stable) > 0, "the alias follows a quiet watch"
            judged = run is not None and not run.returning  # nobody judges what an undo brings back
            assert not judged or stable is None or self.world.verdicts.get(stable.model.version) != FAIL
        for entry in after.rejected if before.phase is not Phase.PENDING else ():  # else read from run records
            without_room = entry.model.rpartition("/")[2] in self.world.without_room
            blameless = without_room and ("Deployment", f"iris-{entry.revision}") in there
            assert entry in before.rejected or not blameless or entry.reason != "NoReadyPods"
        if after.phase in (Phase.SWAPPING, Phase.WATCHING, Phase.FAILOVER):
            nobody = not any(map(self.world.ready, filter(None, (after.stable, after.canary, after.previous))))
            stalled = next(condition.status for condition in after.conditions if condition.type == "Stalled")
            assert not nobody or stalled == "True"

    def another_revision_could_serve(self) -> bool:
        """While callers get no answer, and nothing bad is known of it. What is to be prepared has no pods that last."""
        world, status = self.world, self.world.status
        serving, run = serves(status), status.run
        if status.stable is None or serving is None or world.ready(serving) > 0:
            return False
        if status.phase not in (Phase.SWAPPING, Phase.WATCHING, Phase.ROLLING_BACK):
            rejected = {entry.revision for entry in status.rejected if is_for_answers(entry.reason)}
            leaving = [entry.revision for entry in status.retiring if entry.until > world.now]
            leaving = [revision for revision in leaving if revision.is_prepared]
            if any(world.ready(revision) for revision in leaving if revision.revision not in rejected):
                return True
        roles = (status.stable, status.previous, status.canary)
        others = [revision for revision in roles if revision and revision != serving and revision.is_prepared]
        known_as_bad = run is not None and run.outcome is Outcome.REJECTED and is_for_answers(run.reason)
        return not known_as_bad and any(map(world.ready, others))

    @rule(verb=st.sampled_from(Verb))
    def a_command_is_answered(self, verb: Verb) -> None:
        """In each phase it is carried out or refused, as soon as the watch tells of it and dead pods were dealt with.

        That takes three looks at most: the run ends, a retiring revision answers, and is stable beside a newer one.
        """
        run = self.world.status.run
        if run is None:
            return
        asked = self.world.ask(verb, run.canary.revision, run.step)
        self.world.copies.catch_up()
        for _ in range(4):
            self.world.reconcile()
        answered = self.world.status.last_command
        assert answered is not None
        assert answered.id == asked

    @rule()
    def everything_advances(self) -> None:
        """Without disturbance, so that runs get far."""
        for _ in range(3):
            self.advance()

    def advance(self) -> None:
        self.the_operator_reconciles()
        self.world.run_pods()
        self.world.sync_gateway()
        self.world.now += timedelta(seconds=2)

    @rule()
    def pods_start_and_stop(self) -> None:
        self.world.run_pods()

    @rule()
    def the_gateway_catches_up(self) -> None:
        self.world.sync_gateway()

    @rule(seconds=st.sampled_from([1, 20, 70, 700, 15_000]))
    def time_goes_on(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(version=st.sampled_from([1, 2, 3]))
    def the_alias_moves(self, version: int) -> None:
        self.world.resolution = resolved(version)

    @rule(answers=st.booleans())
    def the_registry_fails(self, answers: bool) -> None:
        missing, lost = Unresolved("AliasNotFound", "no such alias"), Unreachable("no answer")
        self.world.resolution = missing if answers else lost
        self.world.registry.answers = answers

    @rule()
    def the_registry_takes_writes_again(self) -> None:
        self.world.registry.answers = True

    @rule(version=VERSIONS, verdict=st.sampled_from((PASS, FAIL, UNDECIDED, LOST, HOLDS)))
    def the_verdict_changes(self, version: str, verdict: Verdict) -> None:
        self.world.verdicts[version] = verdict

    @rule(version=VERSIONS)
    def pods_break_or_recover(self, version: str) -> None:
        self.world.broken ^= {version}
        self.world.run_pods()

    @rule(version=VERSIONS)
    def only_one_pod_gets_ready_or_all(self, version: str) -> None:
        self.world.partly ^= {version}
        self.world.run_pods()

    @rule(version=VERSIONS)
    def room_runs_out_or_comes_back(self, version: str) -> None:
        self.world.without_room ^= {version}
        self.world.run_pods()

    @rule(version=VERSIONS)
    def a_model_is_refused_or_not(self, version: str) -> None:
        """By the Job that prepares it."""
        self.world.unservable ^= {version}

    @rule()
    def a_preparation_runs_out_of_time(self) -> None:
        self.world.jobs.fail()

    @rule(version=VERSIONS)
    def the_store_loses_a_model(self, version: str) -> None:
        """Pods that run keep it, and give it to others."""
        self.world.jobs.lose(version)

    @rule(there=st.booleans())
    def the_administrator_sets_or_removes_the_store(self, there: bool) -> None:
        """With another setting the operator starts anew. The store itself still answers pods."""
        self.world.has_store = there
        self.world.start_operator()

    @rule(reference=st.sampled_from(CHILDREN))
    def a_race_is_lost(self, reference: Reference) -> None:
        self.world.race = lambda: self.world.kube.touch(reference)
        self.world.reconcile()

    @rule(reference=OWNED)
    def an_object_is_deleted(self, reference: Reference) -> None:
        self.world.kube.objects.pop(reference, None)

    @precondition(lambda self: canary_routes.of(self.world.kube.objects) is not None)
    @rule(weight=st.integers(0, 100))
    def a_weight_is_edited(self, weight: int) -> None:
        self.world.edit_weight(weight)

    @rule(verb=st.sampled_from(Verb), step=st.integers(0, 1), version=st.sampled_from([1, 2, 3]), fits=st.booleans())
    def a_person_asks(self, verb: Verb, step: int, version: int, fits: bool) -> None:
        """For what is the case now (`fits`), or for what was some time ago."""
        run, stable = self.world.status.run, self.world.status.stable
        named = revision(version).revision
        if fits and run is not None:
            step, named = run.step, run.canary.revision
        if fits and verb is Verb.UNDO and stable is not None:
            named = stable.revision
        self.world.ask(verb, named, step)

    @rule()
    def an_abort_is_answered_in_one_pass(self) -> None:
        """Whatever the registry and Prometheus do, the weight is 0. Without pods that comes first, then the answer."""
        world, before = self.world, self.world.status
        if before.run is None or before.run.stable is None or before.phase not in (Phase.STARTING, Phase.STEPPING):
            return
        if world.ready(before.stable) == 0:  # then the canary may be the only one that answers
            return
        world.ask(Verb.ABORT, before.run.canary.revision, 0)
        world.reconcile()
        assert world.status.weight is not None
        assert world.status.weight.desired == 0
        if world.status.phase is before.phase and world.ready(before.canary) == 0:
            world.reconcile()
        after = world.status
        assert (after.phase, after.weight and after.weight.desired) == (Phase.ROLLING_BACK, 0)

    @rule(suspend=st.booleans())
    def the_spec_is_suspended(self, suspend: bool) -> None:
        now = self.world.spec
        self.world.edit_spec(server=now["server"], objectives=now["objectives"], suspend=suspend)

    @rule(traffic=TRAFFIC)
    def the_kind_of_gateway_changes(self, traffic: dict[str, Any]) -> None:
        """The route that is there follows when the run is over."""
        now = self.world.spec
        self.world.edit_spec(server=now["server"], objectives=now["objectives"], traffic=traffic)

    @rule(token=st.sampled_from(["", "1", "2"]))
    def the_retry_token_changes(self, token: str) -> None:
        now = self.world.spec
        self.world.edit_spec(
            server=now["server"], objectives=now["objectives"], rollout={**now["rollout"], "retryToken": token}
        )

    @rule(late=st.booleans())
    def the_watches_fall_behind_or_catch_up(self, late: bool) -> None:
        """What they told last is all that a look from the caches has."""
        self.world.watches_are_late = late

    @rule(allowed=st.booleans())
    def the_administrator_changes_what_is_allowed(self, allowed: bool) -> None:
        """Whether the host may be used; with another setting the operator starts anew."""
        self.world.allowed_routes = AllowedRoutes() if allowed else NOT_THIS_HOST
        self.world.start_operator()

    @rule(version=VERSIONS)
    def all_pods_of_a_version_die(self, version: str) -> None:
        """Those of its Deployment come back when the kubelet has its next turn."""
        self.world.lose_pods(version)

    @rule(raw=st.sampled_from([None, {}, {"phase": "Levitating"}, {"version": 99, "phase": "Stable"}]))
    def the_status_is_lost(self, raw: Any) -> None:
        body = self.world.kube.objects[IRIS]
        self.world.kube.put({**body, "status": raw})

    @rule()
    def the_status_is_restored_from_a_backup(self) -> None:
        body = self.world.kube.objects[IRIS]
        self.world.kube.put({**body, "status": copy.deepcopy(self.backup)})

    @rule()
    def a_backup_is_made(self) -> None:
        self.backup = copy.deepcopy(self.world.kube.objects[IRIS].get("status"))

    @rule(replicas=st.sampled_from([1, 2, 5]))
    def replicas_change(self, replicas: int) -> None:
        now = self.world.spec
        self.world.edit_spec(server={**now["server"], "replicas": replicas}, objectives=now["objectives"])

    @rule(
        strict=st.booleans(),
        on_deadline=st.sampled_from(["Hold", "Rollback"]),
        steps=st.sampled_from([0, 1, 2]),
        pause=st.sampled_from([None, {}, {"duration": "10s"}]),
    )
    def the_policy_changes(self, strict: bool, on_deadline: str, steps: int, pause: dict[str, str] | None) -> None:
        objectives = SPEC["objectives"] if strict else SPEC["objectives"][:1]
        pauses = {} if pause is None else {"pause": pause}
        canary = {"canary": {"steps": [{**step, **pauses} for step in STEPS[:steps]]}}
        how = canary if steps else {"canary": {}, "blueGreen": pauses}
        rollout = {**ROLLOUT, "watchAfterPromotion": "60s", "onDeadline": on_deadline, **how}
        self.world.edit_spec(server=self.world.spec["server"], objectives=objectives, rollout=rollout)

    @invariant()
    def the_phase_has_the_roles_that_it_needs(self) -> None:
        """And it has a weight only if there is one in this phase."""
        Rollouts.steps += 1
        status = self.world.status
        roles = (status.stable, status.canary, status.previous, status.weight)
        has = tuple(role is not None for role in roles)
        allowed = {
            Phase.PENDING: {(False, False, False, False)},
            Phase.INITIALIZING: {(False, True, False, False)},
            Phase.STARTING: {(True, True, False, True)},
            Phase.STEPPING: {(True, True, False, True)},
            Phase.PROMOTING: {(True, True, False, True)},
            Phase.SWAPPING: {(True, True, False, True)},
            Phase.FAILOVER: {(True, True, False, True)},
            Phase.WATCHING: {(True, False, True, False)},
            Phase.ROLLING_BACK: {(True, True, False, True), (True, True, False, False)},
            Phase.STABLE: {(True, False, False, False)},
        }
        assert has in allowed[status.phase]

    @invariant()
    def a_pause_is_one_that_something_ends(self) -> None:
        """A run pauses beside a stable revision, in a phase in which a person can resume or abort it."""
        status = self.world.status
        if status.run is not None and status.run.pause is not None:
            assert status.phase in (Phase.STARTING, Phase.STEPPING, Phase.WATCHING, Phase.FAILOVER)
            assert status.run.stable is not None
            assert not status.run.returning

    @invariant()
    def what_undo_brings_back_was_not_rejected(self) -> None:
        """And it is not what serves."""
        status = self.world.status
        former = [revision.revision for revision in status.former]
        assert status.stable is None or status.phase is not Phase.STABLE or status.stable.revision not in former
        assert len(former) == len(set(former)) <= 3

    @invariant()
    def lists_in_status_are_bounded(self) -> None:
        status = self.world.status
        assert len(status.rejected) <= 20
        assert len(status.history) <= 10
        assert len(status.retiring) <= 20

    def teardown(self) -> None:
        """When the world calms down, the newest version serves, if it is good and was neither rejected nor given up."""
        world = self.world
        if world.spec.get("suspend"):
            self.the_spec_is_suspended(suspend=False)
        world.broken, world.without_room, world.partly, world.unservable = set(), set(), set(), set()
        world.allowed_routes = AllowedRoutes()
        if not world.has_store:  # what it has lost cannot be prepared again, and comes from a backup
            world.jobs.stored |= world.jobs.known
        held = (LOST, HOLDS)
        remaining = {version: verdict for version, verdict in world.verdicts.items() if verdict not in held}
        world.verdicts = remaining | {"1": PASS}
        world.registry.answers, world.resolution = True, resolved(1)
        self.settle()
        self.check_settled_on(1)
        world.verdicts["2"], world.resolution = FAIL, resolved(2)
        self.settle()
        self.check_settled_on(2)

    def settle(self) -> None:
        """Time goes on, and a person resumes each run that waits for one, and retries a first version that failed."""
        world = self.world
        for _ in range(20):
            world.calm_down(passes=20)
            run = world.status.run
            first_failed = world.status.phase is Phase.INITIALIZING and run is not None and run.outcome is not None
            if run is None or (run.pause is None and not first_failed):
                break
            world.ask(Verb.RETRY if first_failed else Verb.RESUME, run.canary.revision, run.step)
        world.calm_down()

    def check_settled_on(self, version: int) -> None:
        world = self.world
        status = world.status
        assert status.phase is Phase.STABLE
        assert status.stable is not None
        wanted = spec.parse(world.spec)
        seen = an_observation(now=world.now, status=status, spec=wanted, resolution=resolved(version))
        if not is_rejected(seen, revision(version)) and not is_resting(seen, revision(version)):
            assert status.stable.model.version == str(version)
        owned = {reference for reference, manifest in world.kube.objects.items() if is_owned(manifest, OWNER.uid)}
        rendered = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in render(OWNER, wanted, status)}
        records = {("ConfigMap", record["metadata"]["name"]) for record in world.run_records()}
        for_the_store = {("Secret", "iris-store"), *(reference for reference in owned if reference[0] == "Job")}
        assert owned - records - for_the_store == {*rendered, ("Secret", "iris-feedback")}
        named = {("ConfigMap", entry.record) for entry in status.history if entry.record}
        assert named <= records or len(records) >= KEPT  # a status from a backup may name one that was older than these
        assert status.alias is None or status.alias.version == world.registry.champion
        before = world.kube.writes
        world.reconcile()
        assert world.kube.writes == before, "an object without a run needs no write"


def test_the_promises_are_kept_and_the_end_is_right() -> None:
    """In at least HOW_MANY steps, in sequences of up to 1,000: short ones do not get far from where they begin."""
    one_go = settings(
        max_examples=10,
        stateful_step_count=1_000,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    while Rollouts.steps < HOW_MANY:
        run_state_machine_as_test(Rollouts, settings=one_go)
