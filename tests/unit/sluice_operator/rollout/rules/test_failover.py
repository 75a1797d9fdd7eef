"""A stable revision without ready pods: requests go to whatever can answer them, and its successor does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api.run import Outcome, Phase
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import serves, sizes
from tests.unit.sluice_operator.build import (
    FAIL,
    REPLICAS,
    At,
    a_spec,
    again,
    at,
    both_ready,
    condition,
    not_live,
    pods,
    promoting,
    resolved,
    revision,
    stable_on,
    starting,
    stepping,
)

STABLE_DEAD = a_spec().rollout.stable_dead_deadline.total_seconds()
ONLY_CANARY = pods((revision(2), 1))
NOBODY = both_ready(0, 0)


@pytest.mark.parametrize("build", [starting, stepping, promoting])
def test_a_canary_takes_the_requests_of_a_dead_stable_at_once(build: Any) -> None:
    """No proof and no verdict is waited for: stable answers nobody."""
    seen = build(workloads=ONLY_CANARY)
    status = decide(seen)
    assert (status.phase, serves(status)) == (Phase.FAILOVER, status.canary)
    assert [number for _, number in sizes(seen.spec, status)] == [REPLICAS, REPLICAS]
    assert condition(status, "Stalled")[:2] == ("True", "StableDead")
    assert condition(status, "Ready")[0] == "True"


@pytest.mark.parametrize("workloads", [NOBODY, both_ready(0, 0), pods()])
def test_without_anybody_who_could_answer_nothing_moves(workloads: Any) -> None:
    """Stable keeps its role until somebody else is ready."""
    assert decide(starting(workloads=workloads)).phase is Phase.STARTING


def test_a_canary_that_was_rejected_takes_over_from_nobody() -> None:
    """Its answers are known to be bad."""
    failed = again(stepping(verdict=FAIL), workloads=ONLY_CANARY, weight=not_live())
    assert decide(failed).phase is Phase.ROLLING_BACK
    assert at(decide(again(failed, workloads=ONLY_CANARY, after=60)))[:2] == (Phase.STABLE, "1")


def test_a_canary_that_was_only_withdrawn_takes_over() -> None:
    """Nothing is known against it."""
    withdrawn = again(stepping(resolution=resolved(1)), workloads=ONLY_CANARY)
    assert withdrawn.status.phase is Phase.ROLLING_BACK
    assert decide(withdrawn).phase is Phase.FAILOVER


def test_a_stable_that_comes_back_takes_its_requests_back() -> None:
    """The canary begins again from weight 0: what it did alone can be compared with nothing."""
    alone = again(stepping(workloads=ONLY_CANARY), workloads=both_ready(1, 2))
    status = decide(alone)
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=10)
    assert status.run is not None
    assert (status.run.started_at, status.run.traffic_started_at) == (alone.now, None)


def test_a_stable_that_stays_dead_is_replaced() -> None:
    """The fix is stable after `stableDeadDeadline`. The alias follows evidence, of which there is none."""
    alone = again(starting(workloads=ONLY_CANARY), workloads=ONLY_CANARY)
    assert decide(alone).phase is Phase.FAILOVER
    status = decide(again(alone, workloads=ONLY_CANARY, after=STABLE_DEAD))
    assert at(status) == At(Phase.STABLE, stable="2", outcome=Outcome.PROMOTED)
    assert (status.history[0].reason, [entry.revision.model.version for entry in status.retiring]) == (
        "StableDead",
        ["1"],
    )
    assert status.alias is None or status.alias.version == "1"
    assert condition(status, "RolloutSucceeded")[:2] == ("True", "StableDead")


def test_a_newer_revision_starts_beside_what_serves() -> None:
    """It does not wait for the deadline of a stable that is dead anyway."""
    alone = again(stepping(workloads=ONLY_CANARY), workloads=ONLY_CANARY, resolution=resolved(3))
    status = decide(again(alone, workloads=ONLY_CANARY))
    assert at(status)[:3] == (Phase.STARTING, "2", "3")


def test_a_dead_canary_of_a_dead_stable_is_replaced_by_a_newer_revision() -> None:
    """With nobody who answers, the newest revision is tried, whoever it is."""
    dead = again(stepping(workloads=ONLY_CANARY), workloads=NOBODY, resolution=resolved(3))
    assert at(decide(dead))[:3] == (Phase.STARTING, "1", "3")


def test_a_new_revision_of_a_dead_stable_serves_as_soon_as_it_is_ready() -> None:
    """The fix of a broken stable needs no comparison with it."""
    dead = stable_on(1, ready=2, workloads=pods(), resolution=resolved(2))
    ready = again(dead, workloads=ONLY_CANARY)
    assert decide(ready).phase is Phase.FAILOVER
