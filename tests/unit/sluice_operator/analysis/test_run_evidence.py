"""What ticks count for, and from when on."""

from __future__ import annotations

import math
from dataclasses import replace as replace_field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.analysis import baseline
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.run_evidence import RunEvidence, RunFindings
from sluice_operator.api.run import LiveWeight, Run
from sluice_operator.api.spec import Objective
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.tick_log import TickLog
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.clumps import UNKNOWN_DIVISOR
from sluice_operator.evalues.objective import ObjectiveBaseline
from tests.unit.sluice_operator.build import a_spec, stepping

LENGTH = 10.0
OVERDUE_AFTER = 30.0
ERRORS = {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}}
P95 = {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}}
ACCURACY = {"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "2%"}}
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def objectives(*raw: dict[str, Any]) -> tuple[Objective, ...]:
    return a_spec(objectives=list(raw)).objectives


def no_evidence(*raw: dict[str, Any], steps: int = 2) -> RunEvidence:
    """Before the first tick, without a baseline."""
    parsed = objectives(*raw)
    return RunEvidence(parsed, steps, baseline.from_counters(parsed, (0.2,), Counters(), "", ()), Pods(2, 2), LENGTH)


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
    """Stable has nine times as many requests, if its counts are not given."""
    stable = requests(9 * canary.finished) if stable is None else stable
    since = START.timestamp() + index * LENGTH
    return Tick(since, since + LENGTH, canary, stable, both_scraped)


def findings_after(evidence: RunEvidence, *ticks: Tick, run: Run | None = None, now: float = 1e6) -> RunFindings:
    """After these ticks as well."""
    run = run or a_run()
    for new_tick in ticks:
        evidence.update(new_tick, run)
    return evidence.findings(run, START.timestamp() + now, OVERDUE_AFTER)


def only(findings: RunFindings) -> Finding:
    (finding,) = findings.objectives
    return finding


@pytest.mark.parametrize("objective", [ERRORS, P95, ACCURACY])
def test_before_the_first_tick_there_is_no_evidence(objective: dict[str, Any]) -> None:
    """All e-values are about 1, neither against nor in favour. An evaluation may come as early as that."""
    findings = findings_after(no_evidence(objective))
    finding = only(findings)
    assert finding.canary == finding.stable == (0, 0)
    logs = (finding.worse, finding.over_limit, *finding.non_inferior)
    assert [log or 0 for log in logs] == pytest.approx([0] * 4, abs=0.3)
    assert (findings.finished, findings.in_step, findings.overdue) == (0, 0, 0)


def test_an_objective_is_tested_only_for_what_it_names() -> None:
    """A limit, a comparison, or both."""
    errors, p95, accuracy = findings_after(no_evidence(ERRORS, P95, ACCURACY), tick(0, requests(50))).objectives
    assert None not in (errors.worse, errors.over_limit)
    assert (p95.worse, p95.over_limit is None) == (None, False)
    assert (accuracy.worse is None, accuracy.over_limit, accuracy.watch) == (False, None, None)


def test_counts_are_added_up_by_objective() -> None:
    """Over the whole run, for both revisions."""
    counts = Tally(120, 100, 4, {0.2: 90, math.inf: 100}, labels=30, correct=20)
    findings = findings_after(no_evidence(ERRORS, P95, ACCURACY), *(tick(index, counts, counts) for index in range(3)))
    assert [(finding.canary, finding.stable) for finding in findings.objectives] == [
        ((12, 300), (12, 300)),
        ((30, 300), (30, 300)),
        ((30, 90), (30, 90)),
    ]


def test_evidence_against_the_canary_counts_from_the_first_traffic() -> None:
    """A broken canary fails before its weight was seen live; a good one has not ruled out its margin then."""
    waiting = a_run(proven=None, step=None)
    bad = findings_after(
        no_evidence(ERRORS), *(tick(index, requests(50, errors=25)) for index in range(6)), run=waiting
    )
    good = findings_after(no_evidence(ERRORS), *(tick(index, requests(500)) for index in range(9)), run=waiting)
    assert min(only(bad).worse or 0, only(bad).over_limit or 0) > math.log(100)
    assert only(bad).canary == (150, 300)
    assert max(only(good).non_inferior) <= 0


def test_evidence_in_favour_counts_from_when_the_weight_was_proven() -> None:
    """As if the ticks before that had no canary requests; the tick in which it was proven does not count either."""
    ticks = [tick(index, requests(500), requests(4500)) for index in range(6)]
    silent = [tick(index, requests(0), requests(4500)) for index in range(3)]
    proven = a_run(proven=25)
    proven_late, without_canary = (
        findings_after(no_evidence(ERRORS), *ticks, run=proven),
        findings_after(no_evidence(ERRORS), *silent, *ticks[3:]),
    )
    assert only(proven_late).non_inferior == only(without_canary).non_inferior
    assert only(proven_late).non_inferior[0] > math.log(20)
    assert only(proven_late).non_inferior[0] < only(findings_after(no_evidence(ERRORS), *ticks)).non_inferior[0]


def test_early_steps_rule_out_their_margins_sooner() -> None:
    """Because these margins are wider."""
    findings = findings_after(no_evidence(ERRORS, steps=3), *(tick(index, requests(80, 0)) for index in range(4)))
    first, second, last = only(findings).non_inferior
    assert first > second > last


@settings(max_examples=10, deadline=None)
@given(split=st.integers(0, 12), requests_per_tick=st.integers(0, 40))
def test_evaluations_in_between_do_not_change_findings(split: int, requests_per_tick: int) -> None:
    """RunFindings depend on the ticks, not on how often they are read."""
    ticks = [
        tick(index, requests(requests_per_tick, errors=index % 7 == 0 and requests_per_tick > 0)) for index in range(12)
    ]
    twice, once = no_evidence(ERRORS), no_evidence(ERRORS)
    findings_after(twice, *ticks[:split], now=split * LENGTH)
    assert findings_after(twice, *ticks[split:]) == findings_after(once, *ticks)


def test_a_canary_that_finishes_nothing_is_silent() -> None:
    """While stable goes on answering; the findings have the requests of both."""
    findings = findings_after(no_evidence(ERRORS), *(tick(index, requests(0), requests(90)) for index in range(9)))
    assert findings.silent > math.log(1e6)
    assert (findings.in_step, findings.both_answered_at_weight) == (0, 720)


def test_a_canary_that_answers_labels_is_not_silent() -> None:
    """As many as stable predictions: a client sends them in turns, and so the gateway assigns them."""
    labels = Tally(within={0.2: 0, math.inf: 0}, others=90)
    ticks = [tick(index, labels, requests(90)) for index in range(9)]
    findings = findings_after(no_evidence(ERRORS), *ticks)
    assert findings.silent < 0
    assert (findings.in_step, findings.answered_at_weight, findings.both_answered_at_weight) == (0, 720, 1440)


def test_a_canary_that_finishes_its_share_is_not_silent() -> None:
    """Nor is a canary that finishes nothing while stable gets no requests either."""
    assert findings_after(no_evidence(ERRORS), *(tick(index, requests(10)) for index in range(9))).silent < 0
    assert findings_after(
        no_evidence(ERRORS), *(tick(index, requests(0)) for index in range(9))
    ).silent == pytest.approx(0, abs=0.3)


def test_silence_is_judged_only_where_both_revisions_were_scraped() -> None:
    """Otherwise Prometheus may be what is silent."""
    unscraped = [tick(index, requests(0), requests(900), both_scraped=False) for index in range(9)]
    findings = findings_after(no_evidence(ERRORS), *unscraped)
    assert (findings.silent, findings.both_answered_at_weight) == (findings_after(no_evidence(ERRORS)).silent, 0)


def test_silence_is_judged_only_while_the_step_s_weight_is_live() -> None:
    """The counts of a tick begin with the scrape before it, so the first tick has requests of the weight before."""
    quiet = [tick(index, requests(0), requests(900)) for index in range(4)]
    nothing = findings_after(no_evidence(ERRORS)).silent
    assert findings_after(no_evidence(ERRORS), *quiet, run=a_run(step=None)).silent == nothing
    assert findings_after(no_evidence(ERRORS), *quiet, run=a_run(step=25)).silent == nothing
    assert findings_after(no_evidence(ERRORS), *quiet, run=a_run(step=20)).both_answered_at_weight == 900


def test_silence_is_judged_by_weight() -> None:
    """Requests that were missing at a weight do not count at the next one."""
    evidence = no_evidence(ERRORS)
    assert findings_after(evidence, *(tick(index, requests(0), requests(900)) for index in range(5))).silent > math.log(
        1e6
    )
    later = findings_after(
        evidence, *(tick(index, requests(100)) for index in range(5, 9)), run=a_run(step=50, index=1)
    )
    assert (later.in_step, later.finished) == (400, 400)
    assert (later.answered_at_weight, later.both_answered_at_weight) == (300, 3000)


def test_nothing_counts_in_favour_while_somebody_else_has_the_weight() -> None:
    """From the last look at which the route was right until the next proof; against the canary everything counts."""
    good = [tick(index, requests(100)) for index in range(8)]
    first, again = LiveWeight(10, START, moment(10), disturbed=True), LiveWeight(10, START + timedelta(seconds=25))

    def evidence(*live: LiveWeight) -> tuple[float, int]:
        findings = findings_after(no_evidence(ERRORS), *good, run=replace(a_run(), live_weights=live))
        [finding] = findings.objectives
        return finding.non_inferior[0], finding.canary[1]

    undisturbed = evidence(LiveWeight(10, START))
    written_anew = evidence(replace(first, disturbed=False), again)
    disturbed, still_disturbed = evidence(first, again), evidence(first)
    assert undisturbed == written_anew
    assert undisturbed[0] > disturbed[0] > still_disturbed[0] > 0
    assert {counted for _, counted in (undisturbed, disturbed, still_disturbed)} == {800}


def test_silence_is_not_judged_while_the_weight_changes() -> None:
    """After the next weight was written, nobody knows which of the two was live for a request."""
    run = a_run()
    changing = replace(run, live_weights=(replace(run.live_weights[0], until=moment(25)),))
    findings = findings_after(
        no_evidence(ERRORS), *(tick(index, requests(0), requests(900)) for index in range(6)), run=changing
    )
    assert findings.both_answered_at_weight == 900


def test_the_requests_of_a_step_count_from_when_its_weight_was_seen_live() -> None:
    """Those of `minRequests`."""
    ticks = [tick(index, requests(10)) for index in range(6)]
    assert findings_after(no_evidence(ERRORS), *ticks, run=a_run(step=None)).in_step == 0
    findings = findings_after(no_evidence(ERRORS), *ticks, run=a_run(step=15))
    assert (findings.in_step, findings.finished) == (40, 60)


def test_requests_are_overdue_when_they_began_long_ago() -> None:
    """A request that began lately may still be answered. The number is never negative."""
    ticks = [tick(0, requests(5, started=30)), tick(1, requests(0, started=7)), tick(2, requests(0, started=50))]
    assert [findings_after(no_evidence(ERRORS), *ticks, now=now).overdue for now in (39, 40, 50, 60)] == [0, 25, 32, 82]
    assert findings_after(no_evidence(ERRORS), tick(0, requests(40, started=30))).overdue == 0


def test_the_outlook_follows_from_stable_and_from_the_rate_of_requests() -> None:
    """At the rate of both revisions. Where stable has no errors, the tolerance is ruled out, counted in clumps."""
    outlook = findings_after(no_evidence(ERRORS), *(tick(index, requests(100)) for index in range(5))).outlook
    assert outlook is not None
    assert (outlook.rate, outlook.margin_factor, outlook.forecast.slowest) == (100, 1, "errors")
    clumps = math.log(40 / 0.3) / -math.log(0.99)
    assert sum(outlook.forecast.requests) == pytest.approx(UNKNOWN_DIVISOR * clumps, rel=0.001)


def test_with_few_requests_there_is_no_outlook() -> None:
    """A hundred of both revisions are enough."""
    assert findings_after(no_evidence(ERRORS), tick(0, requests(9), requests(90))).outlook is None
    assert findings_after(no_evidence(ERRORS), tick(0, requests(10), requests(90))).outlook is not None


def test_without_labels_no_margin_can_be_ruled_out() -> None:
    """The outlook of an accuracy objective shows it."""
    outlook = findings_after(no_evidence(ACCURACY), *(tick(index, requests(100)) for index in range(5))).outlook
    assert outlook is not None
    assert outlook.margin_factor == math.inf


def test_without_labels_of_stable_no_accuracy_can_be_compared() -> None:
    """However many the canary has: a service whose version before took none has to be told so, and not "in 25 s"."""
    labelled = replace_field(requests(100), labels=100, correct=90)
    outlook = findings_after(
        no_evidence(ACCURACY), *(tick(index, labelled, requests(100)) for index in range(5))
    ).outlook
    assert outlook is not None
    assert (outlook.margin_factor, outlook.forecast.total) == (math.inf, math.inf)


def test_a_stable_that_is_worse_than_its_baseline_is_found() -> None:
    """Only where the baseline has requests to compare with."""
    calm = ObjectiveBaseline(BurstLaw.unknown(6 * 3600.0, (1,)), BurstLaw.unknown(6 * 3600.0), 100_000.0, 100.0)
    past = baseline.Baseline({"errors": calm}, (), 6 * 3600.0, 100_000)
    for errors, is_worse in ((1, False), (90, True)):
        evidence = RunEvidence(objectives(ERRORS), 2, past, Pods(2, 2), LENGTH)
        findings = findings_after(
            evidence, *(tick(index, requests(100), requests(900, errors=errors)) for index in range(30))
        )
        stable_worse = only(findings).stable_worse
        assert stable_worse is not None
        assert (stable_worse > math.log(20)) is is_worse
    unknown = only(findings_after(no_evidence(ERRORS), tick(0, requests(100))))
    assert unknown.stable_worse is None


def slow_model(longest: float) -> RunEvidence:
    """No evidence yet of a model whose requests take up to `longest` seconds."""
    parsed = objectives(ERRORS)
    past = replace_field(baseline.from_counters(parsed, (0.2,), Counters(), "", ()), nearly_all_within=longest)
    return RunEvidence(parsed, 2, past, Pods(2, 2), LENGTH)


@pytest.mark.parametrize(("longest", "silent"), [(0.0, True), (20.0, False)])
def test_a_slow_model_is_not_silent_at_first(longest: float, silent: bool) -> None:
    """Stable finishes requests that began before the weight was live; the canary has none of these."""
    ticks = [tick(index, requests(0, started=60), requests(540)) for index in range(3)]
    assert (findings_after(slow_model(longest), *ticks).silent > math.log(100)) is silent
    assert findings_after(
        slow_model(longest), *(tick(index, requests(0), requests(540)) for index in range(9))
    ).silent > math.log(100)


@pytest.mark.parametrize(("longest", "overdue"), [(0.0, 60), (20.0, 0)])
def test_a_request_hangs_only_if_it_takes_longer_than_stable_s(longest: float, overdue: int) -> None:
    """Twice as long, and at least as long as for any model."""
    ticks = [tick(0, requests(0, started=60)), *(tick(index, requests(0), requests(540)) for index in range(1, 5))]
    assert findings_after(slow_model(longest), *ticks, now=45).overdue == overdue


def test_a_run_that_is_held_for_days_drops_its_oldest_ticks() -> None:
    """They still count as evidence."""
    dropping, complete = no_evidence(ERRORS), no_evidence(ERRORS)
    dropping.least_ticks, dropping.ticks = 20, TickLog(packed_together=10)
    ticks = [tick(index, requests(100, errors=index % 2, started=101)) for index in range(95)]
    late = a_run(step=800.0)
    assert findings_after(dropping, *ticks, run=late) == findings_after(complete, *ticks, run=late)
    assert (len(dropping.ticks), dropping.dropped_ticks, len(complete.ticks)) == (35, 60, 95)
