"""When a canary passes, when it fails, and that any other case is Undecided."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.evaluation import evaluate, without_metrics
from sluice_operator.analysis.finding import Finding, WorstComparison
from sluice_operator.analysis.run_evidence import RunFindings
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.observation import Crashes
from sluice_operator.api.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict
from tests.unit.sluice_operator.analysis.findings import (
    ACCURACY,
    CERTAIN,
    CONFIDENCE,
    ERRORS,
    NOTHING,
    P95,
    STEP,
    a_finding,
    at_step,
    findings,
    judged,
    threshold,
)
from tests.unit.sluice_operator.build import a_spec


def test_every_margin_ruled_out_is_a_pass() -> None:
    """With the numbers of each objective, and how strong the evidence is."""
    ruled_out = (math.log(400), math.log(20))
    verdict = judged(findings(*(a_finding(raw, non_inferior=ruled_out) for raw in (ERRORS, P95, ACCURACY))))
    evidence = "against 1 of 59.5, for 20 of 20"
    assert verdict == Verdict(
        Result.PASS,
        "Passed",
        "all that this step asks for is there",
        (
            ObjectiveVerdict(
                "errors",
                Result.PASS,
                canary="1%",
                stable="1%",
                limit="at most 1% errors, less than 2 times stable's",
                requests=100,
                evidence=evidence,
            ),
            ObjectiveVerdict(
                "p95",
                Result.PASS,
                canary="1%",
                stable="1%",
                limit="at most 5.0% slower than 200ms",
                requests=100,
                evidence="against 1 of 476, for 20 of 20",
            ),
            ObjectiveVerdict(
                "accuracy",
                Result.PASS,
                canary="0.990",
                stable="0.990",
                limit="at least 0.70, less than 0.02 below stable's",
                requests=100,
                evidence=evidence,
            ),
        ),
        clean=True,
    )


@pytest.mark.parametrize(("first", "last", "passes"), [(CERTAIN, NOTHING, False), (NOTHING, CERTAIN, True)])
def test_a_step_must_rule_out_its_own_margin(first: float, last: float, passes: bool) -> None:
    """The margin of the last step is the objective's own; the wider margin of an earlier step is not enough."""
    given = findings(a_finding(P95, non_inferior=(first, last)))
    assert (judged(given).result is Result.PASS) is passes


@pytest.mark.parametrize(
    ("finding", "reason", "message"),
    [
        (
            a_finding(ERRORS, worse=CERTAIN, worst=WorstComparison(None, (8, 100), (9, 900))),
            "ErrorRateWorseThanStable",
            "errors 8% is worse than stable's 1% (100 and 900 counted)",
        ),
        (
            a_finding(
                {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms", "maxRatio": "2"}},
                worse=CERTAIN,
                worst=WorstComparison(0.0125, (9, 90), (0, 0)),
            ),
            "LatencyWorseThanStable",
            "p95 10% slower than 12.5ms is worse than stable's unknown (90 and 0 counted)",
        ),
        (a_finding(ACCURACY, worse=CERTAIN), "AccuracyWorseThanStable", "accuracy 0.990 is worse than stable's 0.990"),
        (
            a_finding(ERRORS, over_limit=CERTAIN, worse_now=CERTAIN, canary=(8, 100)),
            "ErrorRateAboveLimit",
            "errors 8% breaks its limit: at most 1% errors (100 counted)",
        ),
        (
            a_finding(P95, over_limit=CERTAIN, worse_now=CERTAIN, canary=(16, 100)),
            "LatencyAboveLimit",
            "p95 16% breaks its limit: at most 5.0% slower than 200ms (100 counted)",
        ),
        (
            a_finding(ACCURACY, over_limit=CERTAIN, worse_now=CERTAIN, canary=(60, 100)),
            "AccuracyBelowLimit",
            "accuracy 0.400 breaks its limit: at least 0.70 (100 counted)",
        ),
    ],
)
def test_an_objective_with_enough_evidence_against_it_fails(finding: Finding, reason: str, message: str) -> None:
    """The reason and the message name its kind and numbers; only this objective is marked as failed."""
    verdict = judged(findings(a_finding({**P95, "name": "first"}), finding, a_finding({**ERRORS, "name": "last"})))
    assert (verdict.result, verdict.reason) == (Result.FAIL, reason)
    assert verdict.message.startswith(message)
    assert [objective.result for objective in verdict.objectives] == [Result.UNDECIDED, Result.FAIL, Result.UNDECIDED]
    assert verdict.objectives[1].reason == reason


def test_a_broken_limit_is_no_failure_where_stable_may_break_it_too() -> None:
    """The message says so, and the verdict is Undecided."""
    verdict = judged(findings(a_finding(P95, over_limit=CERTAIN, worse_now=2.9, canary=(16, 100))))
    assert verdict.result is Result.UNDECIDED
    assert verdict.message == (
        "p95 is undecided: 16% seen in 100 requests, at most 5.0% slower than 200ms,"
        " but nothing shows that stable does better"
    )


@pytest.mark.parametrize(("objectives", "spent"), [(1, 1.0), (3, 1.0)])
def test_all_objectives_share_one_error_budget(objectives: int, spent: float) -> None:
    """The comparison has four fifths of it. E-values are averaged, so one of three needs three times the evidence."""
    others = [a_finding({**ERRORS, "name": f"other{number}"}, worse=-CERTAIN) for number in range(objectives - 1)]
    needed = threshold(0.8, spent, objectives)
    assert judged(findings(a_finding(ERRORS, worse=needed - 0.01), *others)).result is Result.UNDECIDED
    assert judged(findings(a_finding(ERRORS, worse=needed + 0.01), *others)).result is Result.FAIL


def test_families_that_a_run_has_share_the_whole_budget() -> None:
    """Without a comparison, limits have three quarters of the budget."""
    needed = threshold(0.15, 0.2)
    evidence = {"over_limit": needed + 0.01, "worse_now": CERTAIN}
    assert judged(findings(a_finding(P95, **evidence))).result is Result.FAIL
    assert judged(findings(a_finding(P95, **{**evidence, "over_limit": needed - 0.01}))).result is Result.UNDECIDED
    assert (
        judged(findings(a_finding(P95, **evidence), a_finding(ERRORS, over_limit=-CERTAIN))).result is Result.UNDECIDED
    )


def test_what_is_compared_by_default_leaves_limits_half_of_the_budget() -> None:
    """Limits of a spec that compares nothing stay quick. An objective that the spec compares takes four fifths."""
    (refusals,) = default_objectives(())
    by_default = replace(a_finding(ERRORS, over_limit=None), objective=refusals)
    needed = threshold(0.15, 0.3)
    limited = a_finding(P95, over_limit=needed + 0.01, worse_now=CERTAIN)
    assert judged(findings(limited, by_default)).result is Result.FAIL
    assert judged(findings(replace(limited, over_limit=needed - 0.01), by_default)).result is Result.UNDECIDED
    asked_for = a_finding(ERRORS, over_limit=None)
    assert judged(findings(limited, asked_for)).result is Result.UNDECIDED
    assert judged(findings(replace(by_default, worse=threshold(0.1, 0.15) + 0.01))).result is Result.FAIL


def test_confidence_sets_the_thresholds() -> None:
    """A tenth of the budget needs ten times the evidence, against the canary and in its favour."""
    strict = a_spec(confidence={"falseRollback": "0.5%", "badPromotion": "0.5%"}).confidence
    fails = findings(a_finding(ERRORS, worse=threshold(0.8, 1.0) + 1))
    passes = findings(a_finding(ERRORS, non_inferior=(0.0, math.log(20) + 1)))
    assert [evaluate(given, CONFIDENCE, at_step()).result for given in (fails, passes)] == [Result.FAIL, Result.PASS]
    assert [evaluate(given, strict, at_step()).result for given in (fails, passes)] == [Result.UNDECIDED] * 2


def test_a_fail_needs_neither_requests_nor_time() -> None:
    """A canary without a right answer is rolled back after a few requests, in any step and in the watch."""
    given = findings(a_finding(ERRORS, worse=CERTAIN), in_step=0)
    for part in (at_step(elapsed=0, last=False), Part(step=None)):
        assert judged(given, part).result is Result.FAIL


@pytest.mark.parametrize(
    ("given", "part", "message"),
    [
        (findings(in_step=49), at_step(), "needs 1 more requests"),
        (findings(in_step=0, answered_at_weight=49), at_step(), "needs 50 more requests"),
        (
            findings(in_step=0, answered_at_weight=50),
            at_step(),
            "needs 50 more requests (the canary answers, and no prediction is among that: where a label follows each"
            " prediction, a gateway may send all labels to one version; send them later)",
        ),
        (findings(), at_step(elapsed=4.9), "needs 1s more at this weight"),
        (findings(), at_step(elapsed=-600), "needs 11m more at this weight"),  # not by the second: each is a write
        (findings(in_step=0), at_step(elapsed=0), "weight 10 is not live yet"),
        (
            findings(a_finding(ERRORS, non_inferior=(CERTAIN, 1.0))),
            at_step(),
            "errors is undecided: 1% seen in 100 requests, at most 1% errors, less than 2 times stable's;"
            " needs about 200 more requests",
        ),
        (
            findings(a_finding(ACCURACY, canary=(0, 0))),
            at_step(),
            "accuracy is undecided: nothing seen in 0 labels, at least 0.70, less than 0.02 below stable's;"
            " there is too little evidence",
        ),
    ],
)
def test_an_undecided_verdict_says_what_is_missing(given: RunFindings, part: Part, message: str) -> None:
    """Requests, time, evidence, or any count at all."""
    verdict = judged(given, part)
    assert (verdict.result, verdict.message) == (Result.UNDECIDED, message)


@pytest.mark.parametrize(
    ("judge_at", "last", "result"),
    [
        (None, False, Result.PASS),
        (None, True, Result.UNDECIDED),
        ("EveryStep", False, Result.UNDECIDED),
        ("BeforePromotion", False, Result.PASS),
        ("BeforePromotion", True, Result.UNDECIDED),
        ("AfterPromotion", True, Result.PASS),
    ],
)
def test_accuracy_is_needed_before_the_promotion_unless_judge_says_otherwise(
    judge_at: str | None, last: bool, result: Result
) -> None:
    """Labels come late. Other objectives are needed in every step."""
    late = {**ACCURACY, "judge": judge_at} if judge_at else ACCURACY
    assert judged(findings(a_finding(late)), at_step(last=last)).result is result


@pytest.mark.parametrize(("labels", "result"), [(0, Result.PASS), (1, Result.UNDECIDED)])
def test_accuracy_without_labels_may_be_skipped(labels: int, result: Result) -> None:
    """`whenNoLabels: Skip` does so until the first label comes."""
    finding = a_finding({**ACCURACY, "whenNoLabels": "Skip"}, canary=(0, labels))
    assert judged(findings(finding)).result is result


def test_bad_accuracy_fails_a_run_at_any_step() -> None:
    """Whatever `judge` says."""
    late = a_finding({**ACCURACY, "judge": "AfterPromotion"}, worse=CERTAIN)
    assert judged(findings(late), at_step(last=False)).result is Result.FAIL


@pytest.mark.parametrize(
    ("given", "elapsed", "clean"),
    [
        (findings(a_finding(ERRORS)), 60.0, True),
        (findings(a_finding(ERRORS), in_step=49), 60.0, False),
        (findings(a_finding(ERRORS)), 4.9, False),
        (findings(a_finding(ERRORS), in_step=0), 0.0, False),
        (findings(a_finding(ERRORS, worse=CERTAIN)), 60.0, False),
    ],
)
def test_a_clean_step_has_its_requests_and_time_and_no_failure(given: RunFindings, elapsed: float, clean: bool) -> None:
    """It may lack evidence."""
    assert judged(given, at_step(elapsed)).clean is clean


def test_without_objectives_a_step_needs_only_requests_and_time() -> None:
    """There is no evidence to wait for."""
    assert judged(findings(in_step=50)).result is Result.PASS
    assert judged(findings(in_step=49)).result is Result.UNDECIDED


def test_in_the_watch_only_a_fail_is_possible() -> None:
    """There is no step to pass; the watch ends when its time is over."""
    fine = judged(findings(a_finding(ERRORS, non_inferior=(CERTAIN, CERTAIN))), Part(step=None))
    assert (fine.result, fine.message) == (Result.UNDECIDED, "")
    assert fine.objectives[0].evidence == "against 1 of 29.8"


def test_a_canary_that_crashes_fails() -> None:
    """One more container than stable's may end; two are a failure."""
    assert judged(findings(), crashes=1).result is Result.PASS
    verdict = judged(findings(), crashes=2)
    assert (verdict.result, verdict.reason, verdict.message) == (
        Result.FAIL,
        "CanaryCrashing",
        "containers of the canary ended 2 times more often than stable's in this run",
    )


def test_a_silent_canary_fails() -> None:
    """The message has the requests and the weight. Each step has its part of the error budget."""
    silent = findings(
        in_step=1, answered_at_weight=1, both_answered_at_weight=401, silent=threshold(0.05, 0.05, 3) + 0.01
    )
    verdict = judged(silent)
    assert (verdict.reason, verdict.message) == (
        "RequestsMissing",
        "the canary answered only 1 of 401 requests at weight 10, while stable goes on answering",
    )
    assert judged(replace(silent, silent=threshold(0.05, 0.05, 3) - 0.01)).result is Result.UNDECIDED


def test_silence_is_not_judged_in_the_watch() -> None:
    """All requests go to the canary, so stable does not show how many there are."""
    assert judged(findings(silent=CERTAIN), Part(step=None)).result is Result.UNDECIDED


@pytest.mark.parametrize(("finished", "hangs"), [(0, True), (24, True), (25, False), (1000, False)])
def test_a_canary_with_more_overdue_than_finished_requests_hangs(finished: int, hangs: bool) -> None:
    """Fewer may be a busy moment."""
    verdict = judged(findings(finished=finished, in_step=0, overdue=25), at_step(elapsed=0))
    assert (verdict.result is Result.FAIL, verdict.reason == "RequestsMissing") == (hangs, hangs)


def test_a_few_overdue_requests_are_not_a_failure() -> None:
    """A slow model answers its first requests late."""
    assert judged(findings(finished=0, in_step=0, overdue=20), at_step(elapsed=0)).result is Result.UNDECIDED


def test_without_metrics_a_verdict_is_undecided_and_has_the_last_numbers() -> None:
    """It is neither a Pass nor a Fail."""
    before = judged(findings(a_finding(ERRORS)))
    assert without_metrics("no answer", before, Crashes(1)) == Verdict(
        Result.UNDECIDED, METRICS_UNAVAILABLE, "no answer", before.objectives
    )
    assert without_metrics("no answer", None, Crashes()) == Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, "no answer")


def test_crashes_fail_a_canary_without_metrics() -> None:
    """A canary that ends before its first scrape has no metrics."""
    verdict = without_metrics("stale", None, Crashes(2))
    assert (verdict.result, verdict.reason) == (Result.FAIL, "CanaryCrashing")


LOGS = st.floats(-700, 700)


@given(
    logs=st.tuples(LOGS, LOGS, LOGS, LOGS),
    requests=st.integers(0, 400),
    elapsed=st.floats(0, 100),
    crashes=st.integers(0, 1),
)
def test_a_pass_has_all_that_the_step_needs(
    logs: tuple[float, float, float, float], requests: int, elapsed: float, crashes: int
) -> None:
    """With any evidence, a Pass means requests, time, a margin that is ruled out, and no failure."""
    worse, over_limit, worse_now, non_inferior = logs
    finding = a_finding(
        ERRORS, worse=worse, over_limit=over_limit, worse_now=worse_now, non_inferior=(-700.0, non_inferior)
    )
    verdict = judged(findings(finding, in_step=requests), at_step(elapsed), crashes)
    if verdict.result is Result.PASS:
        assert requests >= STEP.min_requests
        assert elapsed >= 5
        assert non_inferior >= math.log(20)
        assert worse < threshold(0.8, 1.0)
        assert min(over_limit, worse_now) < threshold(0.15, 1.0)


def test_a_dry_run_is_shown_and_decides_nothing() -> None:
    """It never fails a run, no step needs it, and it takes no part of the error budget."""
    dry = a_finding({**ERRORS, "name": "dry", "dryRun": True}, worse=CERTAIN, canary=(8, 100))
    verdict = judged(findings(dry, a_finding(P95, non_inferior=(CERTAIN, CERTAIN))))
    assert (verdict.result, [objective.name for objective in verdict.objectives]) == (Result.PASS, ["dry", "p95"])
    needed = threshold(0.15, 0.2) + 0.01
    assert judged(findings(dry, a_finding(P95, over_limit=needed, worse_now=CERTAIN))).result is Result.FAIL


def test_an_objective_that_holds_fails_no_run() -> None:
    """It is shown as failed and named, and the step cannot pass until a person goes on."""
    signal = a_finding({**ERRORS, "name": "signal", "onFail": "Hold"}, worse=CERTAIN, canary=(8, 100))
    passing = a_finding(P95, non_inferior=(CERTAIN, CERTAIN))
    verdict = judged(findings(signal, passing))
    assert (verdict.result, verdict.reason, verdict.holding) == (
        Result.UNDECIDED,
        "ErrorRateWorseThanStable",
        ("signal",),
    )
    assert (verdict.objectives[0].result, verdict.clean) == (Result.FAIL, False)
    overruled = judged(findings(signal, passing), replace(at_step(5), overruled=("signal",)))
    assert (overruled.result, overruled.holding) == (Result.PASS, ())


def test_an_objective_that_holds_has_its_own_error_budget() -> None:
    """Those that roll back have the thresholds that they would have without it, and act at once."""
    signal = a_finding({**ERRORS, "name": "signal", "onFail": "Hold"}, worse=CERTAIN, canary=(8, 100))
    needed = threshold(0.15, 0.2) + 0.01
    failing = judged(findings(signal, a_finding(P95, over_limit=needed, worse_now=CERTAIN)))
    assert (failing.result, failing.reason) == (Result.FAIL, "LatencyAboveLimit")
    almost = judged(findings(signal, a_finding(P95, over_limit=needed - 0.02, worse_now=CERTAIN)))
    assert almost.result is Result.UNDECIDED
