"""Which time counts for a deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.run import Phase
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    UNDECIDED,
    again,
    an_observation,
    condition,
    not_live,
    pods,
    resolved,
    revision,
    stable_on,
    starting,
    swapped,
    watching,
    with_status,
)

MINUTES = 60.0
STABLE = pods((revision(1), 2))
UNREADY = {**STABLE, revision(2).revision: Workload(pods=1)}


def started(canary: Workload, after: float) -> Observation:
    """A canary whose start was written just before the operator went away for a quarter of an hour; now it is back."""
    begun = again(stable_on(1, resolution=resolved(2)), after=after, workloads={**STABLE, revision(2).revision: canary})
    return again(begun, after=15 * MINUTES, away=True)


@pytest.mark.parametrize("canary", [Workload(), Workload(pods=1), Workload(pods=1, registry_unreachable=True)])
def test_a_start_that_nobody_looked_at_uses_up_no_deadline(canary: Workload) -> None:
    """The operator was killed between the status and the Deployment, or its machine slept: the model did nothing."""
    back = again(started(canary, after=0.2), after=5, workloads=UNREADY)
    assert decide(back).phase is Phase.STARTING
    assert decide(again(back, after=8 * MINUTES)).phase is Phase.STARTING
    late = decide(again(back, after=11 * MINUTES))
    assert (late.phase, late.run and late.run.reason) == (Phase.ROLLING_BACK, "ProgressDeadlineExceeded")


def test_a_first_revision_that_nobody_looked_at_has_its_time_too() -> None:
    """It is not called late because the operator was."""
    back = again(again(an_observation(), after=15 * MINUTES, away=True), workloads={revision(1).revision: Workload()})
    assert condition(decide(back), "Stalled")[0] == "False"


def test_an_operator_that_is_away_again_and_again_ends_a_start_all_the_same() -> None:
    """A minute counts of each time away, so pods that never get ready are not waited for without end."""
    seen, looks = starting(workloads=UNREADY), 0
    while decide(seen).phase is Phase.STARTING and looks < 100:
        seen, looks = again(seen, after=15 * MINUTES, away=True), looks + 1
    assert looks == 10


def test_looks_at_a_start_are_noted_now_and_then() -> None:
    """Not each of them is a write; and not while the start is on hold, when the clock stands still anyway."""
    seen = starting(workloads=UNREADY)
    notes = set[datetime | None]()
    for _ in range(24):
        seen = again(seen, after=5, away=True)
        assert seen.status.run is not None
        notes.add(seen.status.run.looked_at)
    assert len(notes) <= 5
    held = again(starting(workloads=pods((revision(1), 2), (revision(2), 1)), smoke=not_live()), away=True)
    later = again(held, after=15 * MINUTES, away=True, smoke=not_live())
    assert decide(later).run == held.status.run


@pytest.mark.parametrize("began", [None, timedelta(days=30)])
@pytest.mark.parametrize("make", [watching, swapped, starting])
def test_a_phase_that_never_began_ends(make: Callable[..., Observation], began: timedelta | None) -> None:
    """A time that somebody took out of the status, or that a wrong clock has written, is now: its deadline comes."""
    seen = make(workloads=pods((revision(1), 2), (revision(2), 0 if make is starting else 2)))
    seen = with_status(seen, phase_started_at=None if began is None else seen.now + began)
    for _ in range(60):
        seen = again(seen, after=MINUTES, verdict=UNDECIDED, weight=not_live(), swap=not_live())
    assert decide(seen).phase is Phase.STABLE


def test_a_hold_from_a_wrong_clock_takes_no_time_away() -> None:
    """It would move the beginning of the start back."""
    held = again(starting(workloads=pods((revision(1), 2), (revision(2), 1)), smoke=not_live()))
    run = held.status.run
    assert run is not None
    assert run.on_hold_since is not None
    ahead = with_status(held, run=replace(run, on_hold_since=held.now + timedelta(days=30)))
    assert decide(again(ahead, workloads=UNREADY)).phase is Phase.STARTING
