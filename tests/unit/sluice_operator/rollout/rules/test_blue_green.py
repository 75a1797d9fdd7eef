"""Blue-green: all requests move at once, and a watch that finds a failure moves them back."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import Observation, Proof, Refusal
from sluice_operator.api.run import Answer, Failure, Outcome, Phase
from sluice_operator.controller.events import Event, transitions
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import sizes
from sluice_operator.rollout.status_update import with_observations
from tests.unit.sluice_operator.blue_green import answering, blue_green, starting
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    REPLICAS,
    At,
    a_spec,
    again,
    at,
    both_ready,
    condition,
    not_live,
    pods,
    revision,
    with_status,
)

JANE = "kubectl-sluice:jane"


def asked(seen: Observation, verb: Verb) -> Observation:
    return replace_seen(seen, command=Asked(text_of(verb, revision(2).revision, 0, seen.now), JANE, seen.now))


def test_it_starts_at_full_size() -> None:
    """All pods that callers will need, and no request yet."""
    seen = again(starting(blue_green()))
    assert at(seen.status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    assert [pods for _, pods in sizes(seen.spec, seen.status)] == [REPLICAS, REPLICAS]


def test_it_gets_all_requests_without_a_step() -> None:
    """From answering to the watch no weight above 0 is written, however few requests there are."""
    promoting = decide(answering(blue_green(), rate=0.0))
    assert at(promoting) == At(Phase.PROMOTING, stable="1", canary="2", weight=0, live=0)
    swapping = again(answering(blue_green()))
    assert at(decide(swapping)) == At(Phase.SWAPPING, stable="1", canary="2", weight=0, live=0)
    watching = again(again(swapping), swap=LIVE)
    assert at(decide(watching)) == At(Phase.WATCHING, stable="2", previous="1")


def test_it_waits_for_all_of_its_pods() -> None:
    """Half of them cannot serve everybody. Stable serves on, and the version is rejected after `progressDeadline`."""
    half = both_ready(REPLICAS, 1)
    seen = again(answering(blue_green(), workloads=half), after=500, weight=LIVE, smoke=LIVE, workloads=half)
    assert at(decide(seen)).phase is Phase.STARTING
    late = decide(again(seen, after=101, workloads=half))
    assert at(late) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)


def test_pods_that_go_before_the_swap_lead_back_to_the_start() -> None:
    """There the deadlines act: it does not wait for them for ever."""
    seen = again(answering(blue_green()), workloads=both_ready(REPLICAS, 0))
    assert at(decide(seen)) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)


def test_a_rollback_out_of_the_swap_is_proven() -> None:
    """Weight 0 was proven before the swap led callers to the new version: that says nothing any more."""
    swapping = again(again(answering(blue_green())))
    assert swapping.status.run is not None
    crashed = with_status(swapping, run=replace(swapping.status.run, failed=Failure("CanaryCrashing", "it ended")))
    back = again(replace_seen(crashed, now=crashed.now + timedelta(seconds=60)), workloads=crashed.workloads)
    assert at(back.status).phase is Phase.ROLLING_BACK
    assert back.status.weight is not None
    assert back.status.weight.verified_at is None
    waiting = decide(replace_seen(back, weight=not_live()))
    assert at(waiting).phase is Phase.ROLLING_BACK


def test_a_failover_keeps_the_pause_for_a_person() -> None:
    """It answers while nobody else can, and does not become stable without a word."""
    paused = again(answering(blue_green(pause={})))
    alone = pods((revision(2), REPLICAS))
    failing_over = again(replace_seen(paused, workloads=alone), workloads=alone)
    assert at(failing_over.status).phase is Phase.FAILOVER
    assert failing_over.status.run is not None
    assert failing_over.status.run.pause is not None
    assert at(decide(again(failing_over, after=3600, workloads=alone))).phase is Phase.FAILOVER


def test_one_wrong_answer_in_a_long_pause_rejects_nothing() -> None:
    """The time in which it was ready does not count: it has `progressDeadline` to answer well again."""
    spec = blue_green()
    held = again(answering(spec, rate=None), after=3600, weight=LIVE, smoke=LIVE)
    wrong = Proof(False, "the canary answered 500", by_canary=True)
    once = again(held, after=5, weight=LIVE, smoke=wrong)
    assert at(decide(once)).phase is Phase.STARTING
    again_and_again = again(once, after=601, weight=LIVE, smoke=wrong)
    assert at(decide(again_and_again)).outcome is Outcome.REJECTED


def test_a_watch_without_metrics_says_that_nothing_is_known() -> None:
    """It was judged neither before nor after its promotion."""
    watching = again(again(again(answering(blue_green()))), swap=LIVE)
    blind = again(watching, after=5 * 3600, verdict=LOST)
    ended = decide(replace_seen(blind, status=decide(blind)))
    assert at(ended).outcome is Outcome.PROMOTED
    assert ended.history[0].reason == "PromotedUnproven"


def test_a_pause_is_no_progress() -> None:
    """Whoever waits for the object is not told that it goes on by itself."""
    paused = decide(again(answering(blue_green(pause={}))))
    assert condition(paused, "Reconciling")[0] == "False"


@pytest.mark.parametrize("changes", [{"smoke": None}, {"weight": None}, {"latency_thresholds": None}, {"rate": None}])
def test_it_gets_no_request_before_it_has_answered_and_can_be_judged(changes: dict[str, Any]) -> None:
    """Also not without a Prometheus that answers: nobody would see how it does."""
    assert at(decide(answering(blue_green(), **changes))).phase is Phase.STARTING


def test_a_prometheus_that_is_not_asked_holds_it() -> None:
    """Nobody would see how it does."""
    refused = Refusal("PrometheusNotAllowed", "not in the list of the administrator")
    assert at(decide(answering(blue_green(), metrics_refusal=refused))).phase is Phase.STARTING


def test_a_failure_in_the_watch_moves_all_requests_back() -> None:
    """To the version before, whose pods have stayed at full size."""
    watching = again(again(again(answering(blue_green()))), swap=LIVE)
    failed = decide(again(watching, verdict=FAIL))
    assert at(failed) == At(Phase.ROLLING_BACK, stable="1", canary="2", outcome=Outcome.REJECTED)
    assert failed.rejected[0].revision == revision(2).revision


def test_a_quiet_watch_ends_in_stable() -> None:
    """It is recorded as any other promotion."""
    watching = again(again(again(answering(blue_green()))), swap=LIVE)
    ended = decide(again(again(watching), after=15 * 60 + 1))
    assert at(ended) == At(Phase.STABLE, stable="2", outcome=Outcome.PROMOTED)


def test_a_pause_holds_the_requests_until_it_is_over() -> None:
    """Once: it does not come again."""
    seen = again(answering(blue_green(pause={"duration": "10m"})))
    assert at(seen.status).phase is Phase.STARTING
    assert condition(decide(seen), "Paused")[:2] == ("True", "PausedByStep")
    still = again(seen, after=599, weight=LIVE, smoke=LIVE, rate=5.0)
    assert at(decide(still)).phase is Phase.STARTING
    over = again(again(still, after=2), smoke=LIVE, rate=5.0)
    assert at(decide(over)).phase is Phase.PROMOTING


@pytest.mark.parametrize("verb", [Verb.RESUME, Verb.PROMOTE, Verb.PROMOTE_FULL])
def test_a_person_ends_the_pause(verb: Verb) -> None:
    """By `resume`, or by `promote`, as people know it from elsewhere."""
    paused = again(answering(blue_green(pause={})), after=3600, smoke=LIVE, rate=5.0)
    resumed = decide(asked(paused, verb))
    assert resumed.last_command is not None
    assert resumed.last_command.answer is Answer.ACCEPTED
    assert at(decide(again(asked(paused, verb), command=None, smoke=LIVE, rate=5.0))).phase is Phase.PROMOTING


def test_nothing_is_promoted_before_it_answers() -> None:
    """`promote` ends a pause, and is no way around the proof."""
    status = decide(asked(again(starting(blue_green())), Verb.PROMOTE))
    assert status.last_command is not None
    assert status.last_command.answer is Answer.REFUSED


def test_a_pause_by_a_person_puts_the_promotion_off() -> None:
    """It goes back to Starting, where no request reaches it, and from there on when it is resumed."""
    promoting = again(answering(blue_green()))
    paused = decide(asked(promoting, Verb.PAUSE))
    assert at(paused) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    resumed = again(
        asked(again(asked(promoting, Verb.PAUSE), command=None), Verb.RESUME), command=None, smoke=LIVE, rate=5.0
    )
    assert at(decide(resumed)).phase is Phase.PROMOTING


def test_another_strategy_in_mid_run_begins_the_run_again() -> None:
    """The same revision, from weight 0, with steps now."""
    seen = again(answering(blue_green(pause={})), spec=a_spec())
    status = decide(seen)
    assert at(status) == At(Phase.STARTING, stable="1", canary="2", weight=0, live=0)
    assert status.run is not None
    assert len(status.run.steps) == 2


def test_its_promotion_has_an_event_without_steps() -> None:
    """Nobody reads that a step was passed when there was none."""
    before = answering(blue_green())
    (event,) = transitions(with_observations(before).status, decide(before))
    assert event == Event("TakesOver", "models:/iris/2 answers and takes over")
