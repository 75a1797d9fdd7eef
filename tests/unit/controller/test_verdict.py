"""When a canary passes, when it fails, and that everything else is Undecided."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.evidence import Evidence, Tally
from sluice_operator.spec import Objective
from sluice_operator.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict
from sluice_operator.verdict import ALPHA_PER_LOOK, Question, judge, lost, upper_tail
from tests.unit.controller.build import a_spec

ERRORS = {"name": "errors", "errorRate": {"max": "1%"}}
P95 = {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}}
ACCURACY = {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70"}}
STEP = a_spec().rollout.canary.steps[0]  # weight 10, 50 requests, 5 s
NOTHING = Evidence(Tally(), Tally(), Tally())


def objectives(*raw: dict[str, Any], **changes: Any) -> tuple[Objective, ...]:
    return a_spec(objectives=[{**one, **changes} for one in raw]).objectives


def requests(finished: int, errors: int = 0, slow: int = 0, labels: int = 0, correct: int = 0) -> Tally:
    within = {0.2: finished - slow, math.inf: finished}
    return Tally(finished, finished, errors, within, labels, correct)


def evidence(all_along: Tally, stable: int | None = None) -> Evidence:
    """The same counts in favour and against; stable answers its share unless told otherwise."""
    beside = 9 * all_along.finished if stable is None else stable
    return Evidence(all_along, all_along, all_along, canary_widest=all_along.finished, stable_step=beside)


def asked(elapsed: float = 60, last: bool = True) -> Question:
    return Question(STEP, last, elapsed)


def judged(evidence: Evidence, *raw: dict[str, Any], question: Question | None = None, crashes: int = 0) -> Verdict:
    return judge(objectives(*raw), evidence, question or asked(), crashes)


@given(trials=st.integers(1, 5000), data=st.data())
def test_the_bound_is_exact(trials: int, data: st.DataObject) -> None:
    """The tail of the binomial distribution, to nine digits, wherever it is asked for."""
    share = data.draw(st.floats(0.0005, 0.9995))
    successes = data.draw(st.integers(math.ceil(share * trials), trials))
    exact = float(scipy.stats.binom.sf(successes - 1, trials, share))
    assert math.isclose(upper_tail(successes, trials, share), exact, rel_tol=1e-9, abs_tol=1e-100)


@pytest.mark.parametrize(("successes", "trials", "share"), [(10**9, 2 * 10**9, 0.001), (10**8, 10**8, 0.5)])
def test_a_bound_beyond_doubt_is_0_at_once(successes: int, trials: int, share: float) -> None:
    """A tail that is too small for a number is not added up term by term."""
    assert upper_tail(successes, trials, share) == 0


def test_everything_there_and_inside_is_a_pass() -> None:
    """Requests, time, and every objective inside its limit."""
    verdict = judged(evidence(requests(50, 0, 2, 60, 45)), ERRORS, P95, ACCURACY)
    assert verdict == Verdict(
        Result.PASS,
        "Passed",
        "all that this step asks for is there",
        (
            ObjectiveVerdict("errors", Result.PASS, "", "0.00%", "at most 1% errors", 50),
            ObjectiveVerdict("p95", Result.PASS, "", "4.00%", "at most 5.0% slower than 200ms", 50),
            ObjectiveVerdict("accuracy", Result.PASS, "", "0.750", "at least 0.70", 60),
        ),
    )


@pytest.mark.parametrize(
    ("objective", "counted", "reason", "message"),
    [
        (
            ERRORS,
            requests(500, errors=40),
            "ErrorRateAboveLimit",
            "errors 8.00%",
        ),
        (P95, requests(500, slow=80), "LatencyAboveLimit", "p95 16.00%"),
        (ACCURACY, requests(500, labels=100, correct=40), "AccuracyBelowLimit", "accuracy 0.400"),
    ],
)
def test_an_objective_beyond_doubt_fails(objective: dict[str, Any], counted: Tally, reason: str, message: str) -> None:
    """With the reason of its kind, the number and the limit."""
    verdict = judged(evidence(counted), objective)
    assert (verdict.result, verdict.reason) == (Result.FAIL, reason)
    assert verdict.message.startswith(f"{message} is beyond its limit at ")


@given(total=st.integers(1, 3000), data=st.data())
def test_a_fail_is_exactly_an_exact_bound_beyond_the_limit(total: int, data: st.DataObject) -> None:
    """One in a thousand looks at a canary on its limit, and no more, fails it."""
    errors = data.draw(st.integers(0, total))
    by_chance = float(scipy.stats.binom.sf(errors - 1, total, 0.01))
    failed = judged(evidence(requests(total, errors)), ERRORS).result is Result.FAIL
    assert failed == (errors > 0.01 * total and by_chance <= ALPHA_PER_LOOK)


def test_a_fail_needs_neither_requests_nor_time() -> None:
    """A canary that answers nothing right is gone after a handful of requests."""
    verdict = judged(evidence(requests(4, errors=4)), ERRORS, question=asked(elapsed=0))
    assert verdict.result is Result.FAIL


def test_what_speaks_against_counts_before_the_weight_was_proven() -> None:
    """In favour, nothing does."""
    bad = Evidence(against=requests(100, errors=50), favour=Tally(), step=Tally())
    good = Evidence(against=requests(100), favour=Tally(), step=Tally())
    assert judged(bad, ERRORS, question=asked(elapsed=0)).result is Result.FAIL
    assert judged(good, ERRORS, question=asked(elapsed=0)) == Verdict(
        Result.UNDECIDED,
        "Collecting",
        "weight 10 is not live yet",
        (ObjectiveVerdict("errors", Result.UNDECIDED, "", "0.00%", "at most 1% errors", 100),),
    )


@pytest.mark.parametrize(
    ("seen", "question", "message"),
    [
        (evidence(requests(49)), asked(), "needs 1 more requests; errors is undecided: 0.00% seen in 49 requests"),
        (evidence(requests(50)), asked(elapsed=4.9), "needs 5s at this weight"),
        (evidence(requests(100, 2)), asked(), "errors is undecided: 2.00% seen in 100 requests, at most 1% errors"),
        (NOTHING, asked(), "needs 50 more requests; errors is undecided: nothing seen in 0 requests"),
    ],
)
def test_whatever_is_missing_is_undecided_and_told(seen: Evidence, question: Question, message: str) -> None:
    """Too few requests, too little time, a point estimate outside that proves nothing, and nothing at all."""
    verdict = judged(seen, ERRORS, question=question)
    assert verdict.result is Result.UNDECIDED
    assert verdict.message.startswith(message)


def test_requests_of_earlier_steps_are_no_requests_of_this_one() -> None:
    """The step's own requests are counted from its own weight on; the objectives see the whole run."""
    seen = replace(evidence(requests(500)), step=requests(49))
    assert judged(seen, ERRORS).message == "needs 1 more requests"


@pytest.mark.parametrize(
    ("when", "last", "result"),
    [
        (None, False, Result.PASS),
        (None, True, Result.UNDECIDED),
        ("EveryStep", False, Result.UNDECIDED),
        ("BeforePromotion", False, Result.PASS),
        ("BeforePromotion", True, Result.UNDECIDED),
        ("AfterPromotion", True, Result.PASS),
    ],
)
def test_labels_come_late(when: str | None, last: bool, result: Result) -> None:
    """Accuracy gates the promotion alone unless told otherwise; other objectives gate every step."""
    late = {**ACCURACY, "judge": when} if when else ACCURACY
    assert judged(evidence(requests(500, labels=3, correct=3)), late, question=asked(last=last)).result is result


def test_a_fail_of_late_labels_acts_at_any_step() -> None:
    """When they come, they count, whatever `judge` says."""
    wrong = evidence(requests(500, labels=100))
    assert judged(wrong, {**ACCURACY, "judge": "AfterPromotion"}, question=asked(last=False)).result is Result.FAIL


def test_without_objectives_requests_and_time_are_all_that_a_step_needs() -> None:
    """Nothing is judged, so nothing can be missing."""
    assert judged(evidence(requests(50))).result is Result.PASS
    assert judged(evidence(requests(49))).result is Result.UNDECIDED


def test_watching_looks_for_a_fail_only() -> None:
    """There is no step to pass any more; time alone ends the watch."""
    fine = judged(evidence(requests(5000)), ERRORS, question=Question(step=None))
    assert (fine.result, fine.message) == (Result.UNDECIDED, "")
    assert judged(evidence(requests(500, 100)), ERRORS, question=Question(step=None)).result is Result.FAIL


def test_a_canary_that_crashes_fails() -> None:
    """One container may end more often than stable's; two are no accident."""
    fine = evidence(requests(50))
    assert judged(fine, ERRORS, crashes=1).result is Result.PASS
    verdict = judged(fine, ERRORS, crashes=2)
    assert (verdict.result, verdict.reason, verdict.message) == (
        Result.FAIL,
        "CanaryCrashing",
        "containers of the canary ended 2 times more often than stable's in this run",
    )


@pytest.mark.parametrize(("finished", "stable", "silent"), [(0, 300, True), (0, 100, False), (30, 300, False)])
def test_one_silent_arm_is_data(finished: int, stable: int, silent: bool) -> None:
    """A canary that gets nothing of a live weight while stable answers many requests: its requests go somewhere."""
    verdict = judged(evidence(requests(finished), stable), question=asked())
    assert (verdict.reason == "RequestsMissing") is silent


def test_a_silent_canary_is_told_in_numbers() -> None:
    """How many of how many, at which weight."""
    verdict = judged(evidence(requests(1), stable=400))
    assert verdict.message == (
        "the canary finished only 1 of 401 requests at weight 10, while stable goes on answering"
    )


def test_a_weight_that_is_not_live_makes_no_arm_silent() -> None:
    """Nor is there a share to miss while watching."""
    silent = evidence(requests(0), stable=400)
    assert judged(silent, question=asked(elapsed=0)).result is Result.UNDECIDED
    assert judged(silent, question=Question(step=None)).result is Result.UNDECIDED


def test_no_traffic_at_all_is_no_silent_arm() -> None:
    """With nobody asking, nothing is missing."""
    assert judged(NOTHING).result is Result.UNDECIDED


@pytest.mark.parametrize(("finished", "hangs"), [(0, True), (24, True), (25, False), (1000, False)])
def test_a_canary_that_begins_many_and_finishes_few_hangs(finished: int, hangs: bool) -> None:
    """More that are overdue than ever finished is not a busy moment."""
    verdict = judged(Evidence(requests(finished), Tally(), Tally(), overdue=25), question=asked(elapsed=0))
    assert (verdict.result is Result.FAIL, verdict.reason == "RequestsMissing") == (hangs, hangs)


def test_a_few_overdue_or_many_in_flight_are_no_reason() -> None:
    """A slow model answers its first requests late."""
    for begun in (Evidence(Tally(), Tally(), Tally(), overdue=20), Evidence(Tally(started=50), Tally(), Tally())):
        assert judged(begun, question=asked(elapsed=0)).result is Result.UNDECIDED


def test_lost_metrics_are_undecided_and_keep_the_last_numbers() -> None:
    """Nothing to see is neither a Pass nor a Fail."""
    before = judged(evidence(requests(50)), ERRORS)
    assert lost("no answer", before, crashes=1) == Verdict(
        Result.UNDECIDED, METRICS_UNAVAILABLE, "no answer", before.objectives
    )
    assert lost("no answer", None, crashes=0) == Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, "no answer")


def test_a_crash_is_seen_without_metrics() -> None:
    """A canary that ends before it can be scraped does not hide behind its missing numbers."""
    assert (lost("stale", None, crashes=2).result, lost("stale", None, crashes=2).reason) == (
        Result.FAIL,
        "CanaryCrashing",
    )


def test_a_histogram_without_the_bound_says_nothing_about_latency() -> None:
    """A server with other buckets is not slow: its latency is unknown."""
    other = replace(requests(500), within={0.3: 500, math.inf: 500})
    verdict = judged(evidence(other), P95)
    assert (verdict.result, verdict.message) == (
        Result.UNDECIDED,
        "p95 is undecided: nothing seen in 0 requests, at most 5.0% slower than 200ms",
    )


def test_a_latency_between_two_bounds_is_judged_at_the_lower_one() -> None:
    """The limit that a person reads is the one that was used."""
    between = {"name": "p95", "latency": {"quantile": "0.95", "max": "210ms"}}
    assert judged(evidence(requests(50)), between).objectives[0].limit == "at most 5.0% slower than 200ms"


@given(
    counts=st.tuples(*(st.integers(0, 400) for _ in range(5))),
    elapsed=st.floats(0, 100),
    last=st.booleans(),
    crashes=st.integers(0, 1),
)
def test_a_pass_has_all_that_it_needs(counts: tuple[int, ...], elapsed: float, last: bool, crashes: int) -> None:
    """Whatever was counted: a Pass means requests, time, and each needed objective inside its limit."""
    finished, errors, slow, labels, correct = counts
    seen = requests(finished, min(errors, finished), min(slow, finished), labels, min(correct, labels))
    verdict = judged(evidence(seen), ERRORS, P95, ACCURACY, question=asked(elapsed, last), crashes=crashes)
    if verdict.result is Result.PASS:
        assert finished >= STEP.min_requests
        assert elapsed >= 5
        assert seen.errors <= 0.01 * finished
        assert min(slow, finished) <= 0.05 * finished * (1 + 1e-9)
        assert not last or (labels >= STEP.min_requests and seen.correct >= 0.7 * labels * (1 - 1e-9))
