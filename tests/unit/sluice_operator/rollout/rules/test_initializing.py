"""The first revision: what callers use is kept, and until then every correction of the spec acts at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice_operator.api.observation import (
    Denied,
    HoldOut,
    HoldOuts,
    Observation,
    Refusal,
    Unreachable,
    Unresolved,
    Workload,
)
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Status
from sluice_operator.manifests.render import render
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import endpoints_to_keep, serves
from tests.unit.sluice_operator.build import (
    LIVE,
    OWNER,
    ROLLOUT,
    SPEC,
    At,
    a_spec,
    again,
    an_observation,
    at,
    condition,
    not_live,
    pods,
    resolved,
    revision,
)

PROGRESS = 600.0
ONE_OF_TWO = pods((revision(1), 1))


TRAINED = a_spec(objectives=[{"name": "trained", "accuracy": {"source": "Training", "min": "0.9"}}])
GOOD, POOR = (HoldOuts(HoldOut("iris/1", right, 100, Unresolved("NoRows", "no rows"))) for right in (99, 23))


def settled(seen: Observation, passes: int = 4) -> Status:
    """The status after some more passes in which nothing else happens."""
    kept: dict[str, Any] = {"workloads": seen.workloads, "swap": seen.swap, "hold_outs": seen.hold_outs}
    for _ in range(passes):
        seen = again(seen, **kept)
    return seen.status


@pytest.mark.parametrize("swap", [None, not_live("the gateway does not answer")])
def test_what_callers_use_is_kept_when_a_newer_revision_comes(swap: object) -> None:
    """A part of its pods, or a gateway that cannot be probed, is no reason to delete what answers."""
    degraded = again(an_observation(), workloads=ONE_OF_TWO, swap=swap)
    status = settled(again(degraded, workloads=ONE_OF_TWO, swap=swap, resolution=resolved(2)))
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    assert status.history[0].reason == "FirstRevision"


def test_a_part_of_the_pods_is_enough_after_a_while() -> None:
    """It is stable, and the condition says how many pods it has."""
    late = again(again(an_observation(), workloads=ONE_OF_TWO), workloads=ONE_OF_TWO, after=PROGRESS)
    status = decide(late)
    assert at(status) == At(Phase.STABLE, stable="1", outcome=Outcome.PROMOTED)
    assert condition(status, "Ready") == ("True", "Serving", "models:/iris/1 serves on 1 of 2 pods")


def test_a_revision_that_never_answered_is_replaced_at_once() -> None:
    """There is nothing to lose, so the corrected one does not start as its canary."""
    broken = again(an_observation(), workloads=pods((revision(1), 0)))
    assert at(decide(again(broken, resolution=resolved(2)))) == At(Phase.INITIALIZING, canary="2")


def test_a_corrected_route_is_rendered_at_once() -> None:
    """A wrong class or host in the first spec is not kept until the end of a run that cannot end."""
    corrected = a_spec(traffic={"ingress": {"className": "traefik", "host": "right.example.com"}})
    seen = again(again(an_observation(), workloads=ONE_OF_TWO), spec=corrected, workloads=ONE_OF_TWO)
    [ingress] = (manifest for manifest in render(OWNER, corrected, decide(seen)) if manifest["kind"] == "Ingress")
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["spec"]["rules"][0]["host"] == "right.example.com"


def test_asking_for_less_of_a_hold_out_is_enough() -> None:
    """The refusal says so itself. What was refused is not selected, however ready its pods are."""
    strict, lenient = (
        a_spec(objectives=[{"name": "trained", "accuracy": {"source": "Training", "min": least}}])
        for least in ("0.9", "0.2")
    )
    poor = HoldOuts(HoldOut("iris/1", 23, 45, Unresolved("NoRows", "its run tells no rows")))
    ready: dict[str, Any] = {"workloads": pods((revision(1), 2)), "hold_outs": poor}
    refused = again(again(an_observation(spec=strict), **ready), **ready)
    assert serves(refused.status) is None
    assert settled(again(refused, spec=lenient, **ready)).phase is Phase.STABLE


def test_a_new_policy_acts_on_a_first_revision() -> None:
    """A longer progressDeadline gives it more time, counted from the edit."""
    late = again(an_observation(), after=PROGRESS, workloads={revision(1).revision: Workload()})
    assert condition(decide(late), "Stalled")[1] == "ProgressDeadlineExceeded"
    patient = a_spec(rollout={**ROLLOUT, "progressDeadline": "30m"})
    status = decide(again(late, spec=patient))
    assert condition(status, "Stalled")[0] == "False"
    assert status.run is not None
    assert status.run.rollout == patient.rollout


def test_pods_that_are_ready_now_and_then_have_no_endless_time() -> None:
    """A moment of readiness stops the clock, and gives nothing back."""
    seen = again(an_observation(), workloads={revision(1).revision: Workload()})
    for _ in range(12):
        seen = again(seen, workloads=pods((revision(1), 1)), after=1, swap=not_live())
        seen = again(seen, workloads=pods((revision(1), 0)), after=60)
    assert condition(decide(seen), "Stalled")[0] == "False"
    for _ in range(12):
        seen = again(seen, workloads=pods((revision(1), 1)), after=60, swap=not_live())
        seen = again(seen, workloads=pods((revision(1), 0)), after=1)
    assert condition(decide(seen), "Stalled")[1] == "ProgressDeadlineExceeded"


def test_the_objectives_of_the_first_revision_are_those_of_today() -> None:
    """Nothing of it is frozen."""
    seen = again(an_observation(), spec=a_spec(objectives=SPEC["objectives"][:1]))
    status = decide(seen)
    assert status.run is not None
    assert [objective.name for objective in status.run.objectives] == ["errors"]


def test_what_callers_use_is_kept_when_it_is_refused_too_late() -> None:
    """A pod that fetches again and is refused takes nothing from callers: the revision is stable, and that is told."""
    refusal = Refusal("ModelNotFound", "MLflow has no such version any more")
    serving = again(an_observation(), workloads=ONE_OF_TWO, swap=not_live())
    part = {revision(1).revision: Workload(ready=1, pods=2, refusal=refusal)}
    status = decide(again(serving, workloads=part, swap=LIVE))
    assert at(status) == At(Phase.STABLE, stable="1", outcome=Outcome.ABANDONED)
    assert serves(status) == status.stable
    stays = f"{refusal.message}; callers get its answers, so it stays until the spec names another version"
    assert condition(status, "RolloutSucceeded") == ("False", "ModelNotFound", stays)
    assert status.message == f"models:/iris/1 serves on 1 of 2 pods; {stays}"
    next_one = again(again(serving, workloads=part), workloads=part, resolution=resolved(2))
    assert at(decide(next_one)) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)


def test_another_objective_takes_nothing_from_callers() -> None:
    """What serves was started by other terms; it becomes stable by them, and the new ones judge what comes after."""
    serving = again(an_observation(), workloads=ONE_OF_TWO)
    edited = again(serving, spec=TRAINED, workloads=ONE_OF_TWO, swap=LIVE, hold_outs=POOR)
    status = settled(edited)
    assert (serves(status), status.run and status.run.outcome) == (edited.status.canary, None)
    assert at(decide(again(edited, after=PROGRESS, swap=LIVE))) == At(
        Phase.STABLE, stable="1", outcome=Outcome.PROMOTED
    )


@pytest.mark.parametrize("answer", [Denied("RegistryLoginRefused", "MLflow answers 403"), Unreachable("timed out")])
def test_no_caller_reaches_a_first_revision_before_its_hold_out_is_known(answer: Denied | Unreachable) -> None:
    """However ready its pods are. Why it waits is told, and the answer of MLflow lets callers in, or does not."""
    unknown: dict[str, Any] = {"workloads": pods((revision(1), 2)), "hold_outs": HoldOuts(answer)}
    waiting = again(again(an_observation(spec=TRAINED), **unknown), after=PROGRESS, **unknown)
    assert serves(waiting.status) is None
    state, reason, message = condition(decide(waiting), "Stalled")
    assert (state, reason) == ("True", getattr(answer, "reason", "RegistryUnreachable"))
    assert message == f"{answer.message}; the start waits for the result on the hold-out, or for objectives without it"
    assert serves(decide(again(waiting, hold_outs=GOOD))) == waiting.status.canary
    assert settled(again(waiting, hold_outs=GOOD)).phase is Phase.STABLE
    refused = settled(again(waiting, hold_outs=POOR))
    assert (serves(refused), condition(refused, "Stalled")[1]) == (None, "TrainingAccuracyBelowLimit")


def test_a_newer_version_does_not_wait_for_the_hold_out_of_the_one_before() -> None:
    """Nobody uses that one."""
    unknown = HoldOuts(Unreachable("timed out"))
    waiting = again(an_observation(spec=TRAINED), workloads=pods((revision(1), 2)), hold_outs=unknown)
    assert at(decide(again(waiting, resolution=resolved(2)))) == At(Phase.INITIALIZING, canary="2")


def test_endpoints_are_kept_where_status_says_that_none_may_serve() -> None:
    """A status of an older operator, which had let callers in before a hold-out was known, takes nothing from them."""
    with_pods = again(an_observation(spec=TRAINED), workloads=pods((revision(1), 2)))
    waiting = replace(with_pods, selected=revision(1).revision, answered=True)
    status = decide(waiting)
    assert (serves(status), endpoints_to_keep(waiting, status)) == (None, revision(1).revision)
    assert condition(status, "Stalled")[1] == "EndpointsKept"
