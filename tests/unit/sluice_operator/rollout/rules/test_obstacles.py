"""A start that the cluster keeps from going on: a quota, no room, no image. It says nothing about the model."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from typing import Any

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import Observation, Refusal, Workload
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import HistoryEntry
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    REPLICAS,
    At,
    again,
    an_observation,
    at,
    both_ready,
    condition,
    pods,
    resolved,
    revision,
    starting,
)

MINUTES, HOURS = 60.0, 3600.0
WORDS = 'pods of Deployment iris-x are refused: pods "iris-x-1" is forbidden: exceeded quota: team'
QUOTA = Workload(trouble=WORDS, obstacle=Refusal("QuotaExceeded", WORDS))


def held(by: Workload = QUOTA, **changes: Any) -> dict[str, Any]:
    return {"workloads": {**pods((revision(1), REPLICAS)), revision(2).revision: by}, **changes}


def abandoned() -> Observation:
    """Stable again, after version 2 did not start for four hours."""
    late = starting(after=4 * HOURS, **held())
    assert decide(late).phase is Phase.ROLLING_BACK
    return again(again(late), **held())


def test_a_quota_holds_the_start_and_is_named() -> None:
    """At once in the message, and as Stalled when `progressDeadline` has passed; nothing is rejected."""
    first = decide(starting(**held()))
    assert (first.phase, WORDS in first.message) == (Phase.STARTING, True)
    late = decide(starting(after=10 * MINUTES, **held()))
    assert (late.phase, late.rejected, late.message) == (Phase.STARTING, (), WORDS)
    assert condition(late, "Stalled") == ("True", "QuotaExceeded", WORDS)


def test_a_refused_deployment_holds_the_start() -> None:
    """A webhook that refuses it is no better than a quota that refuses its pods; after a restart nothing is known."""
    workloads = pods((revision(1), REPLICAS))
    for refused, reason in (("admission webhook denied the request", "WriteRefused"), ("", "PodsNotCreated")):
        late = decide(starting(after=10 * MINUTES, workloads=workloads, refused=refused))
        assert (late.phase, condition(late, "Stalled")[:2]) == (Phase.STARTING, ("True", reason))


def test_when_there_is_room_again_the_start_has_all_of_its_time() -> None:
    """The hours before were not the model's."""
    waited = again(starting(**held()), after=3 * HOURS, **held())
    began = again(waited, **held(Workload()))
    assert decide(again(began, after=9 * MINUTES, **held(Workload()))).phase is Phase.STARTING
    assert decide(again(began, after=11 * MINUTES, **held(Workload()))).phase is Phase.ROLLING_BACK
    assert decide(again(waited, workloads=both_ready())).phase is Phase.STARTING


def test_a_start_without_room_ends_and_is_not_remembered_as_rejected() -> None:
    """At the deadline of the run, so that nothing waits for ever."""
    assert decide(starting(after=4 * HOURS - 60, **held())).phase is Phase.STARTING
    status = abandoned().status
    assert at(status) == At(Phase.STABLE, stable="1", outcome=Outcome.ABANDONED)
    assert status.rejected == ()
    assert isinstance(status.history[0], HistoryEntry)
    assert (status.history[0].outcome, status.history[0].reason) == (Outcome.ABANDONED, "QuotaExceeded")
    words = f"did not start within deadline 4h: {WORDS}"
    assert condition(status, "RolloutSucceeded") == ("False", "QuotaExceeded", words)


def test_an_abandoned_version_is_tried_again_by_itself() -> None:
    """After `progressDeadline`; the condition says when."""
    seen = abandoned()
    until = seen.status.abandoned and seen.status.abandoned.retry_at
    assert until is not None
    status = decide(again(seen, after=9 * MINUTES, **held()))
    assert status.phase is Phase.STABLE
    assert condition(status, "Stalled") == (
        "False",
        "Abandoned",
        f"models:/iris/2 is tried again at {until:%H:%M} UTC, or with other steps, deadlines or objectives,"
        " or by kubectl sluice retry iris -n models",
    )
    retried = decide(again(seen, after=11 * MINUTES, **held()))
    assert (at(retried).phase, retried.abandoned) == (Phase.STARTING, None)


def test_an_abandoned_version_does_not_rest_while_nobody_serves() -> None:
    """Nothing is known against it, and callers get no answer at all. Its quota does not matter: that may be over."""
    seen = again(abandoned(), workloads=pods((revision(1), 0)))
    started = again(seen, workloads=pods((revision(1), 0), (revision(2), 0)))
    assert at(started.status)[:3] == (Phase.STARTING, "1", "2")
    answers = again(started, workloads=pods((revision(1), 0), (revision(2), 1)))
    assert decide(answers).phase is Phase.FAILOVER


def test_an_abandoned_version_goes_on_resting_when_stable_is_back() -> None:
    """One moment in which stable is not ready is no reason to try it again before its time."""
    seen = again(abandoned(), workloads=pods((revision(1), 0)))
    rest = seen.status.abandoned
    blip = again(seen, **held())
    back = decide(blip)
    assert (back.phase, back.run and back.run.outcome) == (Phase.ROLLING_BACK, Outcome.WITHDRAWN)
    assert back.abandoned == rest
    settled = again(again(blip, **held()), **held())
    assert at(decide(settled))[:2] == (Phase.STABLE, "1")
    assert condition(decide(settled), "Stalled")[1] == "Abandoned"


def test_an_abandoned_version_that_a_person_retries_meanwhile_does_not_rest() -> None:
    """Stable may be back then."""
    started = again(again(abandoned(), workloads=pods((revision(1), 0))), workloads=pods((revision(1), 0)))
    asked = Asked(text_of(Verb.RETRY, revision(2).revision, 0, started.now), "ann", started.now)
    retried = again(replace_seen(started, command=asked), **held())
    assert (retried.status.abandoned, decide(retried).phase) == (None, Phase.STARTING)


def test_a_newer_version_does_not_wait() -> None:
    """Only the one that was abandoned rests."""
    assert at(decide(again(abandoned(), resolution=resolved(3)))) == At(Phase.STARTING, "1", "3", weight=0, live=0)


def test_a_first_revision_waits_as_long_as_it_takes() -> None:
    """There is nothing to go back to; it says what it waits for and serves when there is room."""
    late = again(an_observation(), after=24 * HOURS, workloads={revision(1).revision: QUOTA})
    status = decide(late)
    assert at(status) == At(Phase.INITIALIZING, canary="1")
    assert condition(status, "Stalled") == ("True", "QuotaExceeded", WORDS)
    assert at(decide(again(late, workloads=pods((revision(1), REPLICAS))))).stable == "1"
