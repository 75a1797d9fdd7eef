"""What a deadline does to a run whose evidence is not complete."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Verdict
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    PASS,
    ROLLOUT,
    UNDECIDED,
    At,
    a_spec,
    again,
    at,
    both_ready,
    condition,
    stepping,
)

HOURS = 3600.0
CLEAN = replace(UNDECIDED, message="errors is undecided", clean=True)


def with_deadline(what: str, **changes: Any) -> Observation:
    """A first step in a run whose deadline ends with `what`."""
    strict = a_spec(rollout={**ROLLOUT, "onDeadline": what})
    restarted = stepping(spec=strict)
    ready = again(restarted, workloads=both_ready(), weight=LIVE, smoke=LIVE)
    written = again(again(ready), weight=LIVE)
    return again(written, **changes)


def test_the_deadline_takes_a_run_back_where_it_says_so() -> None:
    """Not a moment before; the reason names what was missing."""
    assert decide(with_deadline("Rollback", after=4 * HOURS - 10, verdict=UNDECIDED)).phase is Phase.STEPPING
    back = decide(with_deadline("Rollback", after=4 * HOURS, verdict=UNDECIDED))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=10, outcome=Outcome.ABANDONED)
    assert back.run is not None
    assert (back.run.reason, back.run.message) == (
        "DeadlineExceeded",
        "evidence not complete within deadline 4h: needs 20 more requests",
    )


def test_too_little_evidence_is_no_rejection() -> None:
    """It is not tried again by itself under the same terms, and at once under other ones."""
    late = with_deadline("Rollback", after=4 * HOURS, verdict=UNDECIDED)
    settled = again(again(late), weight=LIVE)
    quiet = again(settled, after=24 * HOURS)
    assert at(decide(quiet)) == At(Phase.STABLE, stable="1", outcome=Outcome.ABANDONED)
    assert quiet.status.rejected == ()
    assert condition(decide(quiet), "Stalled") == (
        "False",
        "Abandoned",
        "models:/iris/2 is tried again with other steps, deadlines or objectives, or by "
        "kubectl sluice retry iris -n models",
    )
    assert decide(replace_seen(quiet, generation=quiet.generation + 1)).phase is Phase.STABLE  # other replicas
    patient = a_spec(rollout={**ROLLOUT, "onDeadline": "Rollback", "deadline": "24h"})
    edited = replace_seen(quiet, spec=patient, generation=quiet.generation + 1)
    assert at(decide(edited)).phase is Phase.STARTING


def test_the_deadline_takes_back_a_run_that_waits_for_pods() -> None:
    """Pods that never come are no way around the deadline."""
    waiting = again(with_deadline("Rollback", verdict=PASS), after=4 * HOURS, verdict=UNDECIDED)
    assert (at(waiting.status).step, decide(waiting).phase) == (1, Phase.ROLLING_BACK)


def test_a_pass_at_the_deadline_is_still_a_pass() -> None:
    """The evidence is complete, so nothing is rolled back."""
    assert at(decide(with_deadline("Rollback", after=4 * HOURS, verdict=PASS))).step == 1


def test_the_deadline_holds_by_default_and_says_so() -> None:
    """The weight stays, and a person is told what is missing."""
    status = decide(stepping(after=4 * HOURS, verdict=UNDECIDED))
    assert at(status).weight == 10
    assert condition(status, "Stalled") == (
        "True",
        "DeadlineExceeded",
        "holds weight 10: evidence not complete within 4h: needs 20 more requests",
    )


def test_a_clean_run_is_promoted_without_proof_where_it_says_so() -> None:
    """Its end says that nothing was proven."""
    assert decide(with_deadline("PromoteIfClean", after=4 * HOURS - 10, verdict=CLEAN)).phase is Phase.STEPPING
    late = with_deadline("PromoteIfClean", after=4 * HOURS, verdict=CLEAN)
    status = decide(late)
    assert at(status) == At(Phase.PROMOTING, stable="1", canary="2", weight=10, live=10)
    swapped = again(again(late), workloads=both_ready(2, 2))
    watching = again(again(swapped), swap=LIVE)
    quiet = again(watching, after=HOURS)
    ended = decide(quiet)
    assert at(ended).outcome is Outcome.PROMOTED
    assert condition(ended, "RolloutSucceeded") == (
        "True",
        "PromotedUnproven",
        "promoted at its deadline 4h, clean but without proof: errors is undecided",
    )
    assert ended.history[0].reason == "PromotedUnproven"


@pytest.mark.parametrize(
    ("verdict", "phase"), [(UNDECIDED, Phase.STEPPING), (LOST, Phase.STEPPING), (FAIL, Phase.ROLLING_BACK)]
)
def test_what_is_not_clean_is_not_promoted(verdict: Verdict, phase: Phase) -> None:
    """Too few requests, no metrics, or a failure."""
    assert decide(with_deadline("PromoteIfClean", after=4 * HOURS, verdict=verdict)).phase is phase


@pytest.mark.parametrize("what", ["Hold", "Rollback"])
def test_a_clean_run_is_promoted_nowhere_else(what: str) -> None:
    """Without proof, only who asked for it gets it."""
    status = decide(with_deadline(what, after=4 * HOURS, verdict=CLEAN))
    assert status.phase is (Phase.STEPPING if what == "Hold" else Phase.ROLLING_BACK)
