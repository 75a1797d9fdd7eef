"""Any interleaving of crashes, conflicts, outages, verdicts and edits keeps the promises and ends where it should."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sluice_operator.api import spec
from sluice_operator.api.observation import Unreachable, Unresolved
from sluice_operator.api.owner import is_owned
from sluice_operator.api.status import Phase, Verdict
from sluice_operator.manifests.render import render
from sluice_operator.rollout.roles import serves
from sluice_operator.rollout.transitions import is_rejected
from tests.unit.sluice_operator.build import (
    FAIL,
    LOST,
    OWNER,
    PASS,
    ROLLOUT,
    SPEC,
    STEPS,
    UNDECIDED,
    a_look,
    resolved,
    revision,
)
from tests.unit.sluice_operator.fakes import Reference
from tests.unit.sluice_operator.world import IRIS, World

VERSIONS = st.sampled_from(["1", "2", "3"])
CHILDREN: list[Reference] = [
    IRIS,
    ("Service", "iris"),
    ("Ingress", "iris"),
    ("Ingress", "iris-canary"),
    *(("Deployment", f"iris-{revision(version).revision}") for version in (1, 2, 3)),
]
OWNED = st.sampled_from(CHILDREN[1:])


class Rollouts(RuleBasedStateMachine):
    """One ModelDeployment and everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(begun=st.sampled_from([Phase.PENDING, Phase.STABLE, Phase.STEPPING, Phase.PROMOTING, Phase.WATCHING]))
    def some_way_into_a_run(self, begun: Phase) -> None:
        """Where random steps alone seldom get."""
        for version, phase in ((1, Phase.STABLE), (2, begun)):
            self.world.resolution = resolved(version)
            while begun is not Phase.PENDING and self.world.status.phase is not phase:
                self.moves_on()

    @rule(cut_after=st.integers(1, 6))
    def the_operator_is_killed(self, cut_after: int) -> None:
        self.world.reconcile(cut_after)

    @rule()
    def the_operator_looks(self) -> None:
        """What must be true after a look that nothing disturbed."""
        world = self.world
        world.reconcile()
        status = world.status
        if status.weight is not None and status.weight.desired > 0:
            assert world.ready(status.canary) > 0 or (status.run is not None and status.run.swapped)
        route = world.kube.objects.get(("Ingress", "iris-canary"))
        weight = route and int(route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        assert weight == (status.weight.desired if status.weight else None)
        serving = serves(status)
        if status.stable is not None and serving is not None and world.ready(serving) == 0:
            beside = [one for one in (status.stable, status.previous, status.canary) if one and one != serving]
            took_over = status.phase is Phase.WATCHING or serving == status.canary
            assert not (took_over and any(world.ready(one) for one in beside)), "the other side could serve"

    @rule()
    def everything_moves_on(self) -> None:
        """The usual course of things, so that runs get far."""
        for _ in range(3):
            self.moves_on()

    def moves_on(self) -> None:
        self.the_operator_looks()
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

    @rule(found=st.booleans())
    def the_registry_fails(self, found: bool) -> None:
        self.world.resolution = Unresolved("AliasNotFound", "no such alias") if found else Unreachable("no answer")
        self.world.registry.answers = found

    @rule()
    def the_registry_takes_writes_again(self) -> None:
        self.world.registry.answers = True

    @rule(version=VERSIONS, verdict=st.sampled_from((PASS, FAIL, UNDECIDED, LOST)))
    def the_evidence_says(self, version: str, verdict: Verdict) -> None:
        self.world.verdicts[version] = verdict

    @rule(version=VERSIONS)
    def pods_break_or_recover(self, version: str) -> None:
        self.world.broken ^= {version}
        self.world.run_pods()

    @rule(reference=st.sampled_from(CHILDREN))
    def a_race_is_lost(self, reference: Reference) -> None:
        self.world.race = lambda: self.world.kube.touch(reference)
        self.world.reconcile()

    @rule(reference=OWNED)
    def a_child_is_deleted(self, reference: Reference) -> None:
        self.world.kube.objects.pop(reference, None)

    @precondition(lambda self: ("Ingress", "iris-canary") in self.world.kube.objects)
    @rule(weight=st.integers(0, 100))
    def a_weight_is_edited(self, weight: int) -> None:
        route = self.world.kube.objects["Ingress", "iris-canary"]
        route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] = str(weight)
        self.world.kube.put(route)

    @rule(replicas=st.sampled_from([1, 2, 5]))
    def replicas_change(self, replicas: int) -> None:
        now = self.world.spec
        self.world.edit_spec(server={**now["server"], "replicas": replicas}, objectives=now["objectives"])

    @rule(strict=st.booleans(), on_deadline=st.sampled_from(["Hold", "Rollback"]), steps=st.sampled_from([1, 2]))
    def terms_change(self, strict: bool, on_deadline: str, steps: int) -> None:
        objectives = SPEC["objectives"] if strict else SPEC["objectives"][:1]
        rollout = {
            **ROLLOUT,
            "watchAfterPromotion": "60s",
            "onDeadline": on_deadline,
            "canary": {"steps": STEPS[:steps]},
        }
        self.world.edit_spec(server=self.world.spec["server"], objectives=objectives, rollout=rollout)

    @invariant()
    def status_is_one_of_the_table(self) -> None:
        """A weight is only where the phase has one, and each phase has the roles that it needs."""
        status = self.world.status
        roles = (status.stable, status.canary, status.previous, status.weight)
        has = tuple(role is not None for role in roles)
        allowed = {
            Phase.PENDING: {(False, False, False, False)},
            Phase.STARTING: {(False, True, False, False), (True, True, False, True)},
            Phase.STEPPING: {(True, True, False, True)},
            Phase.PROMOTING: {(True, True, False, True)},
            Phase.WATCHING: {(True, False, True, False)},
            Phase.ROLLING_BACK: {(True, True, False, True), (True, True, False, False)},
            Phase.STABLE: {(True, False, False, False)},
        }
        assert has in allowed[status.phase]

    @invariant()
    def what_is_remembered_is_bounded(self) -> None:
        status = self.world.status
        assert len(status.rejected) <= 20
        assert len(status.history) <= 10
        assert len(status.retiring) <= 20

    def teardown(self) -> None:
        """When the world calms down, the newest good version serves, or a sentence says why not."""
        world = self.world
        world.broken = set()
        world.verdicts = {version: said for version, said in world.verdicts.items() if said != LOST} | {"1": PASS}
        world.registry.answers, world.resolution = True, resolved(1)
        world.calm_down()
        self.is_settled_on(1)
        world.verdicts["2"], world.resolution = FAIL, resolved(2)
        world.calm_down()
        self.is_settled_on(2)

    def is_settled_on(self, version: int) -> None:
        world = self.world
        status = world.status
        assert status.phase is Phase.STABLE
        assert status.stable is not None
        wanted = spec.parse(world.spec)
        seen = a_look(status=status, spec=wanted, resolution=resolved(version))
        if not is_rejected(seen, revision(version)):
            assert status.stable.model.version == str(version)
        owned = {reference for reference, one in world.kube.objects.items() if is_owned(one, OWNER.uid)}
        said = {(one["kind"], one["metadata"]["name"]) for one in render(OWNER, wanted, status)}
        records = {reference for reference in owned if reference[0] == "ConfigMap"}
        assert owned - records == {*said, ("Secret", "iris-feedback")}
        assert {("ConfigMap", one.record) for one in status.history if one.record} <= records
        assert world.registry.champion == (status.alias.version if status.alias else None)
        before = world.kube.writes
        world.reconcile()
        assert world.kube.writes == before, "at rest"


Rollouts.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRollouts = Rollouts.TestCase
