"""A stable revision without ready pods: requests go to whatever can answer them, and its successor does not wait."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import Denied, NotAnswered, Observation, Unreachable, Unresolved
from sluice_operator.api.run import Answer, Outcome, Phase
from sluice_operator.api.status import Abandoned, Rejection, Retiring
from sluice_operator.rollout import revisions
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import serves, sizes
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    NOW,
    PASS,
    REPLICAS,
    ROLLOUT,
    SPEC,
    UNDECIDED,
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
    swapped,
    watching,
    with_status,
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


def failing_over(**changes: Any) -> Observation:
    """Stable is dead, and the canary takes all requests."""
    return again(stepping(workloads=ONLY_CANARY), **{"workloads": ONLY_CANARY, **changes})


def test_a_stable_that_comes_back_takes_its_requests_back() -> None:
    """Once it is ready for a minute. The canary begins again at 0: what it did alone can be compared with nothing."""
    back = again(failing_over(), workloads=both_ready(2, 2))
    assert "gets its requests back at 12:01:0" in condition(decide(back), "Stalled")[2]
    assert decide(again(back, after=59)).phase is Phase.FAILOVER
    alone = again(back, after=60)
    status = decide(alone)
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=10)
    assert status.run is not None
    assert (status.run.started_at, status.run.traffic_started_at) == (alone.now, None)


def test_a_canary_that_was_rejected_under_today_s_objectives_does_not_begin_again() -> None:
    """They were edited and set back while it answered in stable's place."""
    rejected = (Rejection(revision(2).revision, "models:/iris/2", "ErrorRateAboveLimit", "failed", NOW),)
    back = again(failing_over(), workloads=both_ready(2, 2))
    seen = again(with_status(back, rejected=rejected), workloads=both_ready(2, 2), after=60)
    status = decide(with_status(seen, rejected=rejected))
    assert (status.phase, status.run and status.run.outcome) == (Phase.ROLLING_BACK, Outcome.WITHDRAWN)
    assert serves(status) == status.stable


def test_a_short_deadline_asks_for_no_longer_readiness() -> None:
    """Who lets stable be dead for 20 s waits no minute for it to come back."""
    short = a_spec(rollout={**ROLLOUT, "stableDeadDeadline": "20s"})
    run = failing_over().status.run
    assert run is not None
    seen = with_status(failing_over(), run=replace(run, rollout=short.rollout))
    back = again(replace_seen(seen, spec=short), workloads=both_ready(2, 2))
    assert decide(again(back, after=19)).phase is Phase.FAILOVER
    assert decide(again(back, after=20)).phase is Phase.STARTING


def test_a_stable_that_flaps_is_replaced() -> None:
    """A moment of readiness neither takes all callers along nor begins `stableDeadDeadline` anew."""
    seen = stepping(workloads=ONLY_CANARY)
    for second in range(0, 600, 5):
        seen = again(seen, after=5, workloads=both_ready(2 if second % 60 == 0 else 0, 2))
        assert seen.status.phase in (Phase.FAILOVER, Phase.STABLE)
    assert at(seen.status)[:2] == (Phase.STABLE, "2")


def test_a_stable_that_is_ready_for_minutes_in_between_is_replaced_too() -> None:
    """The times without it add up, until it has been ready for `stableDeadDeadline`."""
    seen, deaths = stepping(workloads=ONLY_CANARY), 0
    while at(seen.status).stable == "1" and deaths < 10:
        deaths += 1
        seen = again(again(seen, workloads=ONLY_CANARY), after=60, workloads=ONLY_CANARY)
        seen = again(seen, workloads=both_ready(2, 2))
        seen = again(again(seen, after=61), workloads=both_ready(2, 2))
    assert deaths == 3


def test_a_stable_that_was_well_for_long_gets_all_of_its_deadline() -> None:
    """What was days ago says nothing about today."""
    back = again(again(failing_over(after=STABLE_DEAD - 1), workloads=both_ready(2, 2)), after=60)
    begun = again(back, workloads=both_ready(2, 2))
    dead = again(begun, workloads=ONLY_CANARY, after=STABLE_DEAD)
    assert decide(dead).phase is Phase.FAILOVER
    assert decide(again(dead, after=STABLE_DEAD - 1)).phase is Phase.FAILOVER


def test_too_few_pods_of_stable_take_nothing_back() -> None:
    """One pod of four cannot answer what all of the canary's answer; two can."""
    wide = a_spec(server__replicas=4)
    one, two = (again(failing_over(spec=wide), workloads=both_ready(ready, 4), spec=wide) for ready in (1, 2))
    assert decide(again(one, after=60)).phase is Phase.FAILOVER
    assert decide(again(two, after=60)).phase is Phase.STARTING


def test_a_canary_that_dies_gives_the_requests_back_at_once() -> None:
    """Any pod of stable is better than none."""
    assert decide(again(failing_over(), workloads=both_ready(1, 0))).phase is Phase.STARTING


def test_a_canary_that_fails_takes_over_for_no_longer_than_stable_is_dead() -> None:
    """Its answers are better than none, but it is neither stable after the deadline nor tried again."""
    failing = again(stepping(verdict=FAIL, workloads=ONLY_CANARY), workloads=ONLY_CANARY)
    assert failing.status.phase is Phase.FAILOVER
    assert decide(again(failing, after=STABLE_DEAD)).phase is Phase.FAILOVER
    assert "fails (errors 5% breaks its limit)" in condition(failing.status, "Stalled")[2]
    ready = again(failing, workloads=both_ready(1, 2))
    assert "gets its requests back at 12:01:0" in condition(decide(ready), "Stalled")[2]
    assert decide(again(ready, after=59)).phase is Phase.FAILOVER
    back = decide(again(ready, after=60))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=10, outcome=Outcome.REJECTED)
    assert [(entry.revision, entry.reason) for entry in back.rejected] == [(revision(2).revision, FAIL.reason)]


def test_a_failing_canary_answers_while_stable_flaps() -> None:
    """One ready look of one pod of stable takes no caller along, whatever is known of who answers now."""
    seen = again(stepping(verdict=FAIL, workloads=ONLY_CANARY), workloads=ONLY_CANARY)
    for second in range(0, 1200, 5):
        seen = again(seen, after=5, workloads=both_ready(1 if second % 60 == 0 else 0, 2))
        assert serves(seen.status) == seen.status.canary
    gone = replace_seen(seen, workloads=both_ready(1, 0))
    assert at(decide(gone))[-1] is Outcome.REJECTED


@pytest.mark.parametrize("back", [True, False])
def test_a_revision_that_was_rejected_for_its_pods_answers_while_nobody_else_can(back: bool) -> None:
    """One unready look in its watch says nothing about its answers. When stable is back, it stays rejected."""
    rejected = again(watching(workloads=both_ready(2, 0)), workloads=both_ready(0, 2), swap=not_live())
    assert [entry.reason for entry in rejected.status.rejected] == ["NoReadyPods"]
    seen = again(again(rejected, workloads=both_ready(0, 2)), workloads=both_ready(0, 2))
    assert at(decide(seen))[:3] == (Phase.FAILOVER, "1", "2")
    for _ in range(12):
        seen = again(seen, workloads=both_ready(2 if back else 0, 2), after=61, weight=LIVE, smoke=LIVE)
    assert at(seen.status)[:2] == (Phase.STABLE, "1" if back else "2")
    assert [entry.reason for entry in seen.status.rejected] == (["NoReadyPods"] if back else [])


def test_a_retiring_revision_that_was_rejected_for_its_pods_answers_while_nobody_else_can() -> None:
    """It came late, and now it is there."""
    late = Rejection(revision(2).revision, "models:/iris/2", "ProgressDeadlineExceeded", "not ready", NOW)
    retires = Retiring(revision(2), REPLICAS, NOW + timedelta(hours=1))
    seen = with_status(stable_on(1, workloads=ONLY_CANARY), rejected=(late,), retiring=(retires,))
    assert at(decide(seen))[:3] == (Phase.FAILOVER, "1", "2")


def test_a_newer_revision_ends_the_time_of_a_canary_that_fails() -> None:
    """It is rejected, and the newer one starts."""
    failing = again(stepping(verdict=FAIL, workloads=ONLY_CANARY), workloads=ONLY_CANARY, resolution=resolved(3))
    ended = again(again(failing, workloads=ONLY_CANARY), workloads=ONLY_CANARY, after=60)
    started = decide(again(ended))
    assert at(started)[:3] == (Phase.STARTING, "1", "3")
    assert [entry.revision for entry in started.rejected] == [revision(2).revision]


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
    assert at(decide(again(dead)))[:3] == (Phase.STARTING, "1", "3")


def test_a_dead_canary_that_a_newer_revision_replaces_answers_once_it_is_ready_again() -> None:
    """It has left with its pods and a place in the history, so one unready look costs no caller hours of answers."""
    ended = again(again(stepping(workloads=ONLY_CANARY), workloads=NOBODY, resolution=resolved(3)))
    assert [(entry.revision, entry.outcome) for entry in ended.status.history][:1] == [
        (revision(2).revision, Outcome.SUPERSEDED)
    ]
    assert [(entry.revision.model.version, entry.replicas) for entry in ended.status.retiring] == [("2", REPLICAS)]
    ready = again(again(ended, workloads=pods((revision(2), 2))))
    assert (at(decide(ready)).phase, serves(decide(ready))) == (Phase.FAILOVER, decide(ready).canary)
    assert at(decide(ready))[:3] == (Phase.FAILOVER, "1", "2")


def test_a_canary_that_fails_is_rejected_also_when_a_newer_revision_replaces_it_unready() -> None:
    """What is known against it outlives its pods."""
    failing = again(stepping(verdict=FAIL, workloads=ONLY_CANARY), workloads=ONLY_CANARY)
    ended = again(failing, workloads=NOBODY, resolution=resolved(3))
    status = decide(ended)
    assert [(entry.revision, entry.reason) for entry in status.rejected] == [(revision(2).revision, FAIL.reason)]
    assert status.history[0].outcome is Outcome.REJECTED


@pytest.mark.parametrize("build", [failing_over, watching])
def test_an_abandoned_revision_is_a_newer_one_while_nobody_is_ready(build: Any) -> None:
    """As the message says: a revision that the spec names is tried at once."""
    rests = Abandoned(revision(3).revision, "DeadlineExceeded", "too little evidence", generation=1)
    named = with_status(build(workloads=NOBODY, resolution=resolved(3)), abandoned=rests)
    tried = again(again(named))
    assert (tried.status.phase, tried.status.canary and tried.status.canary.model.version) == (Phase.STARTING, "3")
    answered = build(workloads=both_ready(0, 2), resolution=resolved(3))
    assert decide(with_status(answered, abandoned=rests)).phase is answered.status.phase


def test_a_new_revision_of_a_dead_stable_serves_as_soon_as_it_is_ready() -> None:
    """The fix of a broken stable needs no comparison with it."""
    dead = stable_on(1, ready=2, workloads=pods(), resolution=resolved(2))
    ready = again(dead, workloads=ONLY_CANARY)
    assert decide(ready).phase is Phase.FAILOVER


REJECTED = Rejection(revision(3).revision, "models:/iris/3", "ErrorRateAboveLimit", "errors 5%", NOW)


@pytest.mark.parametrize("workloads", [NOBODY, ONLY_CANARY])
def test_a_revision_that_was_rejected_is_no_newer_one(workloads: Any) -> None:
    """Neither does it take over without a verdict, nor does the canary become stable at once for its sake."""
    seen = with_status(failing_over(), rejected=(REJECTED,))
    named = again(seen, workloads=workloads, resolution=resolved(3))
    assert at(decide(named))[:3] == (Phase.FAILOVER, "1", "2")
    assert condition(decide(named), "Stalled")[:2] == ("True", "StableDead")


def test_no_newer_revision_starts_while_the_spec_is_suspended() -> None:
    """And nobody becomes stable for good without a verdict."""
    suspended = failing_over(resolution=resolved(3), spec=a_spec(suspend=True))
    assert at(decide(again(suspended, after=STABLE_DEAD)))[:3] == (Phase.FAILOVER, "1", "2")
    assert at(decide(again(suspended, after=STABLE_DEAD, workloads=NOBODY)))[:3] == (Phase.FAILOVER, "1", "2")


def test_a_canary_that_the_spec_left_does_not_become_stable() -> None:
    """It answers until stable is back, because the spec names stable again."""
    left = failing_over(resolution=resolved(1), after=STABLE_DEAD)
    assert decide(again(left, after=STABLE_DEAD)).phase is Phase.FAILOVER
    assert "because the spec names the stable revision" in condition(decide(left), "Stalled")[2]
    back = again(again(left, workloads=both_ready(2, 2)), after=60)
    assert at(decide(again(back)))[-1] is Outcome.WITHDRAWN


UNKNOWN = [
    NotAnswered(),
    Unreachable("no answer"),
    Denied("RegistryDenied", "401"),
    Unresolved("AliasNotFound", "no such alias"),
]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_a_registry_that_does_not_say_makes_nobody_stable(unknown: Any) -> None:
    """The spec may name stable again, as before an operator that has just started. The canary answers meanwhile."""
    left = failing_over(resolution=resolved(1), after=STABLE_DEAD)
    silent = again(left, resolution=unknown, after=100 * STABLE_DEAD)
    status = decide(silent)
    assert (status.phase, serves(status)) == (Phase.FAILOVER, status.canary)
    assert decide(again(silent, resolution=resolved(2))).phase is Phase.STABLE
    if isinstance(unknown, NotAnswered):
        assert "not stable before it is known which version the spec names" in condition(status, "Stalled")[2]


def test_a_silent_registry_does_not_hold_a_version_that_the_spec_pins() -> None:
    """What is pinned in status needs no answer to be named."""
    pinned = a_spec(model={**SPEC["model"], "uri": "models:/iris/2"})
    seen = failing_over(resolution=Unreachable("no answer"), spec=pinned)
    assert decide(again(seen, after=STABLE_DEAD)).phase is Phase.STABLE


@pytest.mark.parametrize("build", [stepping, starting])
def test_a_pause_outlives_a_failover(build: Any) -> None:
    """A person who holds a run holds it, whatever happens to stable: nobody takes over for good, nothing goes on."""
    asked = Asked(f"pause/{revision(2).revision}/0/2026-03-01T12:00:00Z", "ann", NOW)
    paused = again(build(workloads=both_ready(2, 1), command=asked), workloads=ONLY_CANARY)
    dead = again(paused, after=STABLE_DEAD)
    held = again(dead, after=STABLE_DEAD)
    assert held.status.phase is Phase.FAILOVER
    assert condition(held.status, "Paused")[:2] == ("True", "PausedByCommand")
    back = again(again(held, workloads=both_ready(2, 2)), after=60)
    begun = again(back, weight=LIVE, smoke=LIVE, workloads=both_ready(2, 2))
    assert at(begun.status)[:2] == (Phase.STARTING, "1")
    status = decide(begun)
    assert (status.phase, condition(status, "Paused")[:2]) == (Phase.STARTING, ("True", "PausedByCommand"))
    assert status.run is not None
    assert [entry.id for entry in status.run.commands] == [asked.id]


def test_a_pause_in_a_failover_keeps_the_canary_from_becoming_stable() -> None:
    """And resume lets the deadline act."""
    pause = Asked(text_of(Verb.PAUSE, revision(2).revision, 0, NOW), "ann", NOW)
    held = again(failing_over(command=pause), after=2 * STABLE_DEAD)
    assert decide(held).phase is Phase.FAILOVER
    resume = Asked(text_of(Verb.RESUME, revision(2).revision, 0, held.now), "ann", held.now)
    assert decide(again(again(held, command=resume))).phase is Phase.STABLE


def test_an_abort_in_a_failover_is_answered() -> None:
    """Callers who get answers keep them; where nobody gets one, the run ends."""
    abort = Asked(f"abort/{revision(2).revision}/0/2026-03-01T12:00:00Z", "ann", NOW)
    refused = decide(failing_over(command=abort))
    assert refused.last_command is not None
    assert (refused.phase, refused.last_command.answer) == (Phase.FAILOVER, Answer.REFUSED)
    assert "models:/iris/1 has no ready pods to go back to" in refused.last_command.message
    assert decide(failing_over(command=abort, workloads=NOBODY)).phase is Phase.ROLLING_BACK


def test_a_swap_that_nobody_answers_leaves_room_for_a_newer_revision() -> None:
    """At once; without one it is a failover after `stableDeadDeadline`, and whoever is ready first serves."""
    dead = swapped(workloads=NOBODY, swap=not_live())
    assert condition(decide(dead), "Stalled")[:2] == ("True", "StableDead")
    newer = again(again(dead, resolution=resolved(3)))
    assert at(decide(again(newer)))[:3] == (Phase.STARTING, "1", "3")
    late = again(dead, after=STABLE_DEAD)
    assert at(decide(late))[:3] == (Phase.FAILOVER, "1", "2")


def test_a_revision_that_left_its_watch_takes_the_requests_of_a_dead_stable() -> None:
    """The spec has gone back to version 1, whose pods then die: those of version 2 are still there."""
    withdrawn = again(watching(resolution=resolved(1)), workloads=both_ready(0, 2))
    status = decide(withdrawn)
    assert (status.phase, serves(status)) == (Phase.FAILOVER, status.canary)
    assert at(status)[:3] == (Phase.FAILOVER, "1", "2")


def test_a_retiring_revision_takes_the_requests_of_a_dead_stable() -> None:
    """Its pods are still there, and it was stable before. It serves until stable is back."""
    promoted = again(watching(after=900, verdict=UNDECIDED, resolution=resolved(2)), workloads=both_ready(2, 0))
    assert promoted.status.phase is Phase.STABLE
    status = decide(promoted)
    assert at(status)[:3] == (Phase.FAILOVER, "2", "1")
    held = again(again(promoted), after=2 * STABLE_DEAD)
    assert decide(held).phase is Phase.FAILOVER
    back = again(again(again(held, workloads=both_ready(2, 2)), after=60), weight=LIVE)
    ended = again(back, weight=LIVE)
    assert at(decide(again(ended)))[:2] == (Phase.STABLE, "2")


def beside_a_retiring_revision(**changes: Any) -> Observation:
    """Version 1 retires, 2 is stable, and 3 takes 10 %."""
    keeps = a_spec(rollout={**ROLLOUT, "scaleDownDelay": "1h"})
    retires = Retiring(revision(1), REPLICAS, NOW + timedelta(hours=1))
    first = with_status(stable_on(2, ready=2, resolution=resolved(3), spec=keeps), retiring=(retires,))
    seen = replace_seen(first, workloads=THREE)
    for _ in range(4):
        seen = again(seen, workloads=THREE, weight=LIVE, smoke=LIVE)
    assert at(seen.status)[:3] == (Phase.STEPPING, "2", "3")
    return again(seen, workloads=THREE, **changes)


THREE = pods((revision(1), 2), (revision(2), 2), (revision(3), 1))
ONLY_RETIRING = pods((revision(1), 2))


@pytest.mark.parametrize("after", [0, STABLE_DEAD])
def test_a_paused_canary_whose_place_a_retiring_revision_takes_waits_for_a_person(after: float) -> None:
    """Nobody is promoted whom a person holds: its run is in the history, and it starts by `retry` only."""
    asked = Asked(text_of(Verb.PAUSE, revision(3).revision, 0, NOW), "ann", NOW)
    paused = beside_a_retiring_revision(command=asked)
    seen = again(again(paused, workloads=ONLY_RETIRING), workloads=ONLY_RETIRING)
    assert at(decide(seen))[:3] == (Phase.FAILOVER, "2", "1")
    entry = seen.status.history[0]
    assert (entry.revision, entry.outcome, entry.reason) == (revision(3).revision, Outcome.ABANDONED, "StableDead")
    assert [taken.id for taken in entry.commands] == [asked.id]
    for _ in range(20):
        seen = again(seen, workloads=THREE, weight=LIVE, smoke=LIVE, verdict=PASS, after=60)
        assert seen.status.canary is None or seen.status.canary.model.version != "3"
    assert at(seen.status)[:2] == (Phase.STABLE, "2")
    assert condition(seen.status, "Stalled")[1] == "Abandoned"


def test_a_canary_whose_place_a_retiring_revision_takes_starts_again_beside_it() -> None:
    """It is compared with what answers, and does not take over from a dead revision unjudged."""
    seen = again(again(beside_a_retiring_revision(), workloads=ONLY_RETIRING), workloads=ONLY_RETIRING)
    again_beside = again(again(again(seen, workloads=ONLY_RETIRING), workloads=ONLY_RETIRING))
    assert at(decide(again_beside))[:3] == (Phase.STARTING, "1", "3")


def test_a_canary_that_fails_is_rejected_also_when_a_retiring_revision_takes_its_place() -> None:
    """In the very look in which both lose their pods."""
    failing = beside_a_retiring_revision(verdict=UNDECIDED)
    status = decide(replace_seen(failing, workloads=ONLY_RETIRING, verdict=FAIL))
    assert [(entry.revision, entry.reason) for entry in status.rejected] == [(revision(3).revision, FAIL.reason)]


@pytest.mark.parametrize("named", [2, 3])
def test_a_revision_that_was_abandoned_answers_for_others_and_goes_on_resting(named: int) -> None:
    """It is tried again under other terms only, and one unready look of stable is none; neither is another's run."""
    terms = revisions.terms_hash(a_spec())
    rests = Abandoned(revision(named).revision, "DeadlineExceeded", "needs 20 more requests", terms, 1)
    retires = Retiring(revision(2), REPLICAS, NOW + timedelta(hours=1))
    first = with_status(stable_on(1, ready=2, resolution=resolved(named)), abandoned=rests, retiring=(retires,))
    both = pods((revision(1), 2), (revision(2), 2))
    seen = again(replace_seen(first, workloads=pods((revision(2), 2))), workloads=pods((revision(2), 2)))
    assert at(decide(seen))[:3] == (Phase.FAILOVER, "1", "2")
    for _ in range(8):
        seen = again(seen, workloads=both, weight=LIVE, smoke=LIVE, after=61)
    assert at(seen.status)[:2] == (Phase.STABLE, "1")
    assert seen.status.abandoned == rests


def test_a_retiring_revision_that_was_rejected_serves_nobody() -> None:
    """Its answers are known to be bad."""
    ended = again(again(stepping(verdict=FAIL), weight=LIVE), workloads=ONLY_CANARY)
    assert [entry.revision.model.version for entry in ended.status.retiring] == ["2"]
    assert decide(ended).phase is Phase.STABLE
