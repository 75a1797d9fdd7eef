"""What ticks say, to whom, and from when on."""

from __future__ import annotations

import math
from dataclasses import replace as replace_past
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.analysis import baseline
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.run_evidence import Findings, RunEvidence
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import LiveWeight, Run
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.objective import ObjectiveBaseline
from tests.unit.sluice_operator.build import a_spec, stepping

LENGTH = 10.0
PATIENCE = 30.0
ERRORS = {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}}
P95 = {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}}
ACCURACY = {"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "2%"}}
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def objectives(*raw: dict[str, Any]) -> tuple[Objective, ...]:
    return a_spec(objectives=list(raw)).objectives


def a_trial(*raw: dict[str, Any], steps: int = 2) -> RunEvidence:
    wanted = objectives(*raw)
    return RunEvidence(wanted, steps, baseline.learn(wanted, (0.2,), Counters(), "", ()), Pods(2, 2), LENGTH)


def a_run(proven: float | None = 0, step: float | None = 0, index: int = 0) -> Run:
    """A run whose step's weight (10, then 50) is live since `step`."""
    run = stepping().status.run
    assert run is not None
    since = moment(step)
    live = () if since is None else (LiveWeight(run.steps[index].weight, since),)
    return replace(
        run,
        traffic_started_at=START,
        first_live_at=moment(proven),
        step_started_at=since,
        step=index,
        live_weights=live,
    )


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else START + timedelta(seconds=seconds)


def requests(finished: int, errors: int = 0, started: int | None = None) -> Tally:
    within = {0.2: finished, math.inf: finished}
    return Tally(finished if started is None else started, finished, errors, within)


def tick(index: int, canary: Tally, stable: Tally | None = None, both_scraped: bool = True) -> Tick:
    """Stable has nine times as many requests unless told otherwise."""
    beside = requests(9 * canary.finished) if stable is None else stable
    since = START.timestamp() + index * LENGTH
    return Tick(since, since + LENGTH, canary, beside, both_scraped)


def told(trial: RunEvidence, *ticks: Tick, run: Run | None = None, now: float = 1e6) -> Findings:
    run = run or a_run()
    for one in ticks:
        trial.update(one, run)
    return trial.findings(run, START.timestamp() + now, PATIENCE)


def only(findings: Findings) -> Finding:
    (one,) = findings.objectives
    return one


@pytest.mark.parametrize("objective", [ERRORS, P95, ACCURACY])
def test_nothing_observed_says_nothing(objective: dict[str, Any]) -> None:
    """An e-value of 1 is no evidence, neither against nor in favour; a look may come before the first tick."""
    found = told(a_trial(objective))
    one = only(found)
    assert one.canary == one.stable == (0, 0)
    assert [each or 0 for each in (one.worse, one.over_limit, *one.non_inferior)] == pytest.approx([0] * 4, abs=0.3)
    assert (found.finished, found.in_step, found.overdue) == (0, 0, 0)


def test_an_objective_is_asked_only_for_what_it_names() -> None:
    """A limit, a comparison, or both."""
    errors, p95, accuracy = told(a_trial(ERRORS, P95, ACCURACY), tick(0, requests(50))).objectives
    assert None not in (errors.worse, errors.over_limit)
    assert (p95.worse, p95.over_limit is None) == (None, False)
    assert (accuracy.worse is None, accuracy.over_limit, accuracy.watch) == (False, None, None)


def test_shares_are_added_up_by_objective() -> None:
    """Of the whole run, for both arms."""
    counted = Tally(120, 100, 4, {0.2: 90, math.inf: 100}, labels=30, correct=20)
    found = told(a_trial(ERRORS, P95, ACCURACY), *(tick(k, counted, counted) for k in range(3)))
    assert [(one.canary, one.stable) for one in found.objectives] == [
        ((12, 300), (12, 300)),
        ((30, 300), (30, 300)),
        ((30, 90), (30, 90)),
    ]


def test_what_speaks_against_counts_from_the_first_traffic() -> None:
    """A broken canary is found before its weight was seen live; a good one is not cleared by that."""
    waiting = a_run(proven=None, step=None)
    bad = told(a_trial(ERRORS), *(tick(k, requests(50, errors=25)) for k in range(6)), run=waiting)
    good = told(a_trial(ERRORS), *(tick(k, requests(500)) for k in range(9)), run=waiting)
    assert min(only(bad).worse or 0, only(bad).over_limit or 0) > math.log(100)
    assert only(bad).canary == (150, 300)
    assert max(only(good).non_inferior) <= 0


def test_what_speaks_in_favour_counts_from_when_the_weight_was_proven() -> None:
    """As if the ticks before it had had no canary; the one in whose midst it was proven is not counted yet."""
    ticks = [tick(k, requests(500), requests(4500)) for k in range(6)]
    silent = [tick(k, requests(0), requests(4500)) for k in range(3)]
    proven = a_run(proven=25)
    late, never_there = told(a_trial(ERRORS), *ticks, run=proven), told(a_trial(ERRORS), *silent, *ticks[3:])
    assert only(late).non_inferior == only(never_there).non_inferior
    assert only(late).non_inferior[0] > math.log(20)
    assert only(late).non_inferior[0] < only(told(a_trial(ERRORS), *ticks)).non_inferior[0]


def test_early_steps_are_cleared_sooner() -> None:
    """Their margins are wider."""
    first, second, last = only(
        told(a_trial(ERRORS, steps=3), *(tick(k, requests(80, 0)) for k in range(4)))
    ).non_inferior
    assert first > second > last


@settings(max_examples=10, deadline=None)
@given(split=st.integers(0, 12), requests_per_tick=st.integers(0, 40))
def test_looks_in_between_change_nothing(split: int, requests_per_tick: int) -> None:
    """What is known depends on the ticks alone, not on how often it was asked for."""
    ticks = [tick(k, requests(requests_per_tick, errors=k % 7 == 0 and requests_per_tick > 0)) for k in range(12)]
    asked, once = a_trial(ERRORS), a_trial(ERRORS)
    told(asked, *ticks[:split], now=split * LENGTH)
    assert told(asked, *ticks[split:]) == told(once, *ticks)


def test_a_canary_that_finishes_nothing_is_silent() -> None:
    """While stable goes on; what it should have finished is told with it."""
    found = told(a_trial(ERRORS), *(tick(k, requests(0), requests(90)) for k in range(9)))
    assert found.silent > math.log(1e6)
    assert (found.in_step, found.expected) == (0, 720)


def test_a_canary_that_finishes_its_share_is_not_silent() -> None:
    """Nor is one that finishes nothing while stable has nothing either."""
    assert told(a_trial(ERRORS), *(tick(k, requests(10)) for k in range(9))).silent < 0
    assert told(a_trial(ERRORS), *(tick(k, requests(0)) for k in range(9))).silent == pytest.approx(0, abs=0.3)


def test_silence_is_told_only_where_both_arms_were_seen() -> None:
    """Elsewhere it may be Prometheus's."""
    unseen = [tick(k, requests(0), requests(900), both_scraped=False) for k in range(9)]
    found = told(a_trial(ERRORS), *unseen)
    assert (found.silent, found.expected) == (told(a_trial(ERRORS)).silent, 0)


def test_silence_is_told_only_while_the_step_s_weight_is_live() -> None:
    """A tick reaches back to the scrape before it, so the first one has requests of the weight before."""
    quiet = [tick(k, requests(0), requests(900)) for k in range(4)]
    nothing = told(a_trial(ERRORS)).silent
    assert told(a_trial(ERRORS), *quiet, run=a_run(step=None)).silent == nothing
    assert told(a_trial(ERRORS), *quiet, run=a_run(step=25)).silent == nothing
    assert told(a_trial(ERRORS), *quiet, run=a_run(step=20)).expected == 900


def test_each_step_has_its_own_silence() -> None:
    """What was missing at one weight says nothing of the next."""
    trial = a_trial(ERRORS)
    assert told(trial, *(tick(k, requests(0), requests(900)) for k in range(5))).silent > math.log(1e6)
    later = told(trial, *(tick(k, requests(100)) for k in range(5, 9)), run=a_run(step=50, index=1))
    assert (later.in_step, later.answered, later.expected, later.finished) == (400, 300, 3000, 400)


def test_a_weight_that_is_about_to_change_tells_no_silence() -> None:
    """From when the next one was written, nobody knows which of the two a request met."""
    run = a_run()
    left = replace(run, live_weights=(replace(run.live_weights[0], until=moment(25)),))
    assert told(a_trial(ERRORS), *(tick(k, requests(0), requests(900)) for k in range(6)), run=left).expected == 900


def test_a_step_counts_from_when_its_weight_was_seen_live() -> None:
    """For the requests that it asks for."""
    ticks = [tick(k, requests(10)) for k in range(6)]
    assert told(a_trial(ERRORS), *ticks, run=a_run(step=None)).in_step == 0
    found = told(a_trial(ERRORS), *ticks, run=a_run(step=15))
    assert (found.in_step, found.finished) == (40, 60)


def test_requests_are_overdue_when_they_began_long_ago() -> None:
    """What began within the patience may still be answered, and more than that is never owed."""
    ticks = [tick(0, requests(5, started=30)), tick(1, requests(0, started=7)), tick(2, requests(0, started=50))]
    assert [told(a_trial(ERRORS), *ticks, now=now).overdue for now in (39, 40, 50, 60)] == [0, 25, 32, 82]
    assert told(a_trial(ERRORS), tick(0, requests(40, started=30))).overdue == 0


def test_what_to_expect_follows_from_stable_and_from_how_many_requests_there_are() -> None:
    """At the rate of both arms; a stable without errors is cleared at its limit."""
    trial = a_trial(ERRORS)
    found = told(trial, *(tick(k, requests(100)) for k in range(5)))
    assert found.outlook is not None
    assert (found.outlook.rate, found.outlook.wider, found.outlook.forecast.slowest) == (100, 1, "errors")
    assert sum(found.outlook.forecast.requests) == pytest.approx(math.log(40 / 0.3) / -math.log(0.99), rel=0.001)


def test_nobody_knows_what_to_expect_of_a_few_requests() -> None:
    """A hundred are enough to tell, of either arm."""
    assert told(a_trial(ERRORS), tick(0, requests(9), requests(90))).outlook is None
    assert told(a_trial(ERRORS), tick(0, requests(10), requests(90))).outlook is not None


def test_labels_that_do_not_come_are_told() -> None:
    """Without them an accuracy objective never comes to an end."""
    found = told(a_trial(ACCURACY), *(tick(k, requests(100)) for k in range(5)))
    assert found.outlook is not None
    assert found.outlook.wider == math.inf


def test_a_stable_that_is_worse_than_its_record_is_seen() -> None:
    """Only where its record's share is known: then what the run shows of it is held against that."""
    calm = ObjectiveBaseline(BurstLaw.unknown(6 * 3600.0, (1,)), BurstLaw.unknown(6 * 3600.0), 100_000.0, 100.0)
    wanted = objectives(ERRORS)
    for errors, seen in ((1, False), (90, True)):
        trial = RunEvidence(wanted, 2, baseline.Baseline({"errors": calm}, (), 6 * 3600.0, 100_000), Pods(2, 2), LENGTH)
        one = only(told(trial, *(tick(k, requests(100), requests(900, errors=errors)) for k in range(30))))
        assert one.stable_worse is not None
        assert (one.stable_worse > math.log(20)) is seen
    unknown = only(told(a_trial(ERRORS), tick(0, requests(100))))
    assert unknown.stable_worse is None


def slow_trial(longest: float) -> RunEvidence:
    wanted = objectives(ERRORS)
    known = replace_past(baseline.learn(wanted, (0.2,), Counters(), "", ()), nearly_all_within=longest)
    return RunEvidence(wanted, 2, known, Pods(2, 2), LENGTH)


@pytest.mark.parametrize(("longest", "silent"), [(0.0, True), (20.0, False)])
def test_a_slow_model_is_not_silent_at_first(longest: float, silent: bool) -> None:
    """Its requests are finished later than stable's, which were begun before the weight was live."""
    ticks = [tick(k, requests(0, started=60), requests(540)) for k in range(3)]
    assert (told(slow_trial(longest), *ticks).silent > math.log(100)) is silent
    assert told(slow_trial(longest), *(tick(k, requests(0), requests(540)) for k in range(9))).silent > math.log(100)


@pytest.mark.parametrize(("longest", "overdue"), [(0.0, 60), (20.0, 0)])
def test_a_request_hangs_when_it_takes_longer_than_stables(longest: float, overdue: int) -> None:
    """Twice as long, or the patience for all."""
    ticks = [tick(0, requests(0, started=60)), *(tick(k, requests(0), requests(540)) for k in range(1, 5))]
    assert told(slow_trial(longest), *ticks, now=45).overdue == overdue


def test_a_run_that_is_held_for_days_keeps_its_newest_ticks() -> None:
    """What was told goes on to count."""
    held, free = a_trial(ERRORS), a_trial(ERRORS)
    held.keeps = 20
    ticks = [tick(k, requests(100, errors=k % 2, started=101)) for k in range(95)]
    late = a_run(step=800.0)
    assert told(held, *ticks, run=late) == told(free, *ticks, run=late)
    assert (len(held.ticks), held.forgotten, len(free.ticks)) == (35, 60, 95)
