"""Which time counts for a deadline."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace as replace_seen
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api import status
from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.run import Answer, LiveWeight, Outcome, Pause, Phase, RouteWriter, TakenCommand
from sluice_operator.api.status import Abandoned, HistoryEntry, Rejection, Retiring
from sluice_operator.rollout import clocks, pauses
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    ROLLOUT,
    UNDECIDED,
    a_rollout,
    a_spec,
    again,
    an_observation,
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
    swapped,
    watching,
    with_status,
)

MINUTES, HOUR = 60.0, 3600.0
STABLE = pods((revision(1), 2))
UNREADY = {**STABLE, revision(2).revision: Workload(pods=1)}


def started(canary: Workload, after: float) -> Observation:
    """A canary whose start was written just before the operator went away for a quarter of an hour; now it is back."""
    begun = again(stable_on(1, resolution=resolved(2)), after=after, workloads={**STABLE, revision(2).revision: canary})
    return again(begun, after=15 * MINUTES, away=True)


@pytest.mark.parametrize("canary", [Workload(), Workload(pods=1), Workload(pods=1, unavailable="RegistryUnreachable")])
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


MONTH = timedelta(days=30)
ROLLBACK = {**ROLLOUT, "onDeadline": "Rollback"}


def times(part: Any, path: str = "") -> Iterator[tuple[str, datetime]]:
    """Each time of a written status, with where it is."""
    if isinstance(part, str) and re.match(r"\d{4}-\d\d-\d\dT", part):
        yield path, datetime.fromisoformat(part)
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list | tuple) else ()
    for key, value in inner:
        yield from times(value, f"{path}.{key}" if isinstance(key, str) else path)


def later(part: Any) -> Any:
    """A written status with all of its times a month later."""
    if isinstance(part, dict):
        return {key: later(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [later(value) for value in part]
    return (next(times(part))[1] + MONTH).isoformat() if list(times(part)) else part


def with_every_time(seen: Observation) -> Observation:
    """`seen` with something in each field of its status that has a time."""
    now, run = seen.now, seen.status.run
    assert run is not None
    taken = TakenCommand("pause/x/0/2026-03-01T12:00:00Z", "ann", now, Answer.ACCEPTED, "it stays")
    moments = dict.fromkeys(("looked_at", "traffic_started_at", "first_live_at", "step_started_at"), now)
    full = replace(
        run,
        **moments,
        steps=run.rollout.canary.steps,
        stable_ready_since=now,
        pause=Pause("PausedByStep", "step 1 has passed", now, 10, now),
        route_writers=(RouteWriter("ann", 2, now, "Ingress iris-canary"),),
        live_weights=(LiveWeight(0, now, now), LiveWeight(10, now)),
        commands=(taken,),
    )
    return with_status(
        seen,
        run=full,
        last_command=taken,
        rejected=(Rejection("x", "models:/iris/9", "Aborted", "by ann", now),),
        abandoned=Abandoned("y", "NoCapacity", "no room", "", 1, now),
        retiring=(Retiring(revision(3), 2, now),),
        history=(HistoryEntry("x", "models:/iris/9", Outcome.REJECTED, "Aborted", now, now), *seen.status.history),
    )


@pytest.mark.parametrize("make", [starting, stepping, promoting, swapped, watching])
def test_no_time_of_a_status_waits_for_a_clock_that_was_wrong(make: Callable[..., Observation]) -> None:
    """What was is now at the latest. What is to come is there when its own duration is over."""
    seen = with_every_time(again(make(workloads=both_ready(2, 2))))
    written = later(status.dump(seen.status))
    assert all(moment > seen.now for _, moment in times(written))
    noted = clocks.without_times_to_come(seen, status.parse(written))
    ahead = {path: moment - seen.now for path, moment in times(status.dump(noted)) if moment > seen.now}
    assert ahead == {".abandoned.retryAt": timedelta(minutes=10), ".retiring.until": timedelta(minutes=10)}
    assert clocks.without_times_to_come(seen, noted) is noted


def test_a_time_that_is_right_is_kept() -> None:
    """Also one without a zone, which a person has typed: it is UTC."""
    seen = with_every_time(stepping())
    assert clocks.without_times_to_come(seen, seen.status) is seen.status
    typed = with_status(seen, phase_started_at=seen.now.replace(tzinfo=None))
    assert clocks.without_times_to_come(typed, typed.status).phase_started_at == seen.now


def test_a_pause_takes_no_time_away() -> None:
    """It began by a clock that was four days ahead; the deadline still comes, and not before its time."""
    seen = stepping()
    run = seen.status.run
    assert run is not None
    ahead = pauses.paused(seen.status, run, pauses.BY_COMMAND, "paused by ann", seen.now + timedelta(days=4))
    assert pauses.resumed(ahead, seen.now).paused_seconds == 0
    seen = again(again(with_status(seen, run=ahead)), after=HOUR)
    assert seen.status.run is not None
    assert pauses.resumed(seen.status.run, seen.now).paused_seconds == HOUR + 1


@pytest.mark.parametrize("seconds", [-345_480, 345_480])
def test_a_run_has_paused_for_as_long_as_it_is_there_at_most(seconds: int) -> None:
    """A clock that went four days ahead, or back, leaves the deadline where it was."""
    seen = again(stepping(), after=HOUR)
    assert seen.status.run is not None
    wrong = with_status(seen, run=replace(seen.status.run, paused_seconds=seconds))
    run = decide(wrong).run
    assert run is not None
    assert run.deadline_at - run.started_at - run.rollout.deadline <= timedelta(hours=1, seconds=10)
    assert run.deadline_at >= run.started_at + run.rollout.deadline


def test_a_stable_that_was_ready_in_the_future_gets_its_requests_back() -> None:
    """A minute after the clock is right again."""
    failed = again(stepping(workloads=pods((revision(2), 1))), workloads=pods((revision(1), 0), (revision(2), 2)))
    assert failed.status.run is not None
    ready = with_status(failed, run=replace(failed.status.run, stable_ready_since=failed.now + MONTH))
    back = again(replace_seen(ready, workloads=both_ready(2, 2)))
    assert decide(again(back, after=58)).phase is Phase.FAILOVER
    assert decide(again(back, after=61)).phase is Phase.STARTING


def test_nobody_becomes_stable_while_nobody_looks() -> None:
    """The operator was away in a failover: stable had no time to come back that anybody saw."""
    seen = again(stepping(workloads=pods((revision(2), 1))), workloads=pods((revision(1), 0), (revision(2), 2)))
    seen = again(again(seen), after=15 * MINUTES, away=True)
    assert decide(seen).phase is Phase.FAILOVER
    assert decide(again(seen, after=3 * MINUTES)).phase is Phase.FAILOVER
    assert decide(again(seen, after=5 * MINUTES)).phase is Phase.STABLE


def test_a_run_that_nobody_looked_at_is_not_late() -> None:
    """Its evidence waits in Prometheus, and the deadline for the verdict on it."""
    seen = stepping(spec=a_spec(rollout=ROLLBACK))
    assert seen.status.run is not None
    strict = replace(seen.status.run, rollout=a_rollout(onDeadline="Rollback"))
    seen = again(with_status(seen, run=strict), after=MINUTES, verdict=UNDECIDED)
    seen = again(seen, after=5 * HOUR, away=True, verdict=UNDECIDED)
    assert decide(seen).phase is Phase.STEPPING
    assert decide(again(seen, after=3 * HOUR, verdict=UNDECIDED)).phase is Phase.STEPPING
    assert decide(again(seen, after=4 * HOUR, verdict=UNDECIDED)).phase is Phase.ROLLING_BACK


def test_a_paused_run_is_given_no_time_twice() -> None:
    """The whole pause puts its deadline off, whether the operator looked or not."""
    seen = stepping()
    assert seen.status.run is not None
    run = pauses.paused(seen.status, seen.status.run, pauses.BY_COMMAND, "paused by ann", seen.now)
    seen = again(again(with_status(seen, run=run)), after=5 * HOUR, away=True)
    later = decide(seen).run
    assert later is not None
    assert later.paused_seconds == 0
    assert pauses.resumed(later, seen.now).paused_seconds == 5 * HOUR + 1


def test_a_watch_that_nobody_looked_at_goes_on() -> None:
    """The alias moves after a quiet watch, and nobody has seen that it was quiet."""
    seen = again(watching(), after=HOUR, away=True)
    assert decide(seen).phase is Phase.WATCHING
    assert decide(again(seen, after=15 * MINUTES)).phase is Phase.STABLE
