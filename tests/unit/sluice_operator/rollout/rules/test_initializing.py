"""The first revision: what callers use is kept, and until then every correction of the spec acts at once."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api.observation import HoldOut, HoldOuts, Observation, Unresolved, Workload
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Status
from sluice_operator.manifests.render import render
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import serves
from tests.unit.sluice_operator.build import (
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
