"""When a canary passes, when it fails, and that everything else is Undecided."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.finding import Finding, WorstComparison
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.analysis.verdict import judge, lost
from sluice_operator.api.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict
from tests.unit.sluice_operator.analysis.findings import (
    ACCURACY,
    CONFIDENCE,
    ERRORS,
    NOTHING,
    P95,
    STEP,
    SURE,
    asked,
    bar,
    findings,
    found,
    judged,
)
from tests.unit.sluice_operator.build import a_spec


def test_every_margin_ruled_out_is_a_pass() -> None:
    """With the numbers of each objective, and how strong the evidence is."""
    cleared = (math.log(400), math.log(20))
    verdict = judged(findings(*(found(one, non_inferior=cleared) for one in (ERRORS, P95, ACCURACY))))
    against = "against 1 of 59.5, for 20 of 20"
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
                evidence=against,
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
                evidence=against,
            ),
        ),
        clean=True,
    )


@pytest.mark.parametrize(("first", "last", "passes"), [(SURE, NOTHING, False), (NOTHING, SURE, True)])
def test_a_step_asks_for_its_own_margin(first: float, last: float, passes: bool) -> None:
    """The last step's is the objective's own; what earlier steps asked for is not enough."""
    seen = findings(found(P95, non_inferior=(first, last)))
    assert (judged(seen).result is Result.PASS) is passes


@pytest.mark.parametrize(
    ("one", "reason", "message"),
    [
        (
            found(ERRORS, worse=SURE, worst=WorstComparison(None, (8, 100), (9, 900))),
            "ErrorRateWorseThanStable",
            "errors 8% is worse than stable's 1% (100 and 900 counted)",
        ),
        (
            found(
                {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms", "maxRatio": "2"}},
                worse=SURE,
                worst=WorstComparison(0.0125, (9, 90), (0, 0)),
            ),
            "LatencyWorseThanStable",
            "p95 10% slower than 12.5ms is worse than stable's unknown (90 and 0 counted)",
        ),
        (found(ACCURACY, worse=SURE), "AccuracyWorseThanStable", "accuracy 0.990 is worse than stable's 0.990"),
        (
            found(ERRORS, over_limit=SURE, worse_now=SURE, canary=(8, 100)),
            "ErrorRateAboveLimit",
            "errors 8% breaks its limit: at most 1% errors (100 counted)",
        ),
        (
            found(P95, over_limit=SURE, worse_now=SURE, canary=(16, 100)),
            "LatencyAboveLimit",
            "p95 16% breaks its limit: at most 5.0% slower than 200ms (100 counted)",
        ),
        (
            found(ACCURACY, over_limit=SURE, worse_now=SURE, canary=(60, 100)),
            "AccuracyBelowLimit",
            "accuracy 0.400 breaks its limit: at least 0.70 (100 counted)",
        ),
    ],
)
def test_an_objective_beyond_doubt_fails(one: Finding, reason: str, message: str) -> None:
    """With the reason of its kind and the numbers; it alone is marked as failed, among others that are fine."""
    verdict = judged(findings(found({**P95, "name": "first"}), one, found({**ERRORS, "name": "last"})))
    assert (verdict.result, verdict.reason) == (Result.FAIL, reason)
    assert verdict.message.startswith(message)
    assert [each.result for each in verdict.objectives] == [Result.UNDECIDED, Result.FAIL, Result.UNDECIDED]
    assert verdict.objectives[1].reason == reason


def test_a_canary_is_not_blamed_for_a_limit_where_stable_does_no_better() -> None:
    """What is broken by both, or perhaps by both, is told and blames nobody."""
    verdict = judged(findings(found(P95, over_limit=SURE, worse_now=2.9, canary=(16, 100))))
    assert verdict.result is Result.UNDECIDED
    assert verdict.message == (
        "p95 is undecided: 16% seen in 100 requests, at most 5.0% slower than 200ms,"
        " but nothing shows that stable does better"
    )


@pytest.mark.parametrize(("objectives", "families"), [(1, 1.0), (3, 1.0)])
def test_the_budget_is_one_for_all_objectives(objectives: int, families: float) -> None:
    """The comparison has four fifths of it: e-values are averaged, so one of three must show three times as much."""
    others = [found({**ERRORS, "name": f"other{i}"}, worse=-SURE) for i in range(objectives - 1)]
    needed = bar(0.8, families, objectives)
    assert judged(findings(found(ERRORS, worse=needed - 0.01), *others)).result is Result.UNDECIDED
    assert judged(findings(found(ERRORS, worse=needed + 0.01), *others)).result is Result.FAIL


def test_a_family_that_a_run_does_not_have_leaves_its_budget_to_the_rest() -> None:
    """Without any comparison, limits have three quarters of the budget."""
    needed = bar(0.15, 0.2)
    one = {"over_limit": needed + 0.01, "worse_now": SURE}
    assert judged(findings(found(P95, **one))).result is Result.FAIL
    assert judged(findings(found(P95, **{**one, "over_limit": needed - 0.01}))).result is Result.UNDECIDED
    assert judged(findings(found(P95, **one), found(ERRORS, over_limit=-SURE))).result is Result.UNDECIDED


def test_confidence_moves_the_bars() -> None:
    """A tenth of the budget asks for ten times the evidence, against and for."""
    strict = a_spec(confidence={"falseRollback": "0.5%", "badPromotion": "0.5%"}).confidence
    fails = findings(found(ERRORS, worse=bar(0.8, 1.0) + 1))
    passes = findings(found(ERRORS, non_inferior=(0.0, math.log(20) + 1)))
    assert [judge(one, CONFIDENCE, asked(), 0).result for one in (fails, passes)] == [Result.FAIL, Result.PASS]
    assert [judge(one, strict, asked(), 0).result for one in (fails, passes)] == [Result.UNDECIDED] * 2


def test_a_fail_needs_neither_requests_nor_time() -> None:
    """A canary that answers nothing right is gone after a handful of requests, at any step and while watching."""
    seen = findings(found(ERRORS, worse=SURE), in_step=0)
    for question in (asked(elapsed=0, last=False), Stage(step=None)):
        assert judged(seen, question).result is Result.FAIL


@pytest.mark.parametrize(
    ("seen", "question", "message"),
    [
        (findings(in_step=49), asked(), "needs 1 more requests"),
        (findings(), asked(elapsed=4.9), "needs 1s more at this weight"),
        (findings(in_step=0), asked(elapsed=0), "weight 10 is not live yet"),
        (
            findings(found(ERRORS, non_inferior=(SURE, 1.0))),
            asked(),
            "errors is undecided: 1% seen in 100 requests, at most 1% errors, less than 2 times stable's;"
            " needs about 200 more requests",
        ),
        (
            findings(found(ACCURACY, canary=(0, 0))),
            asked(),
            "accuracy is undecided: nothing seen in 0 labels, at least 0.70, less than 0.02 below stable's;"
            " there is too little evidence",
        ),
    ],
)
def test_whatever_is_missing_is_undecided_and_told(seen: Findings, question: Stage, message: str) -> None:
    """Too few requests, too little time, too little evidence, and nothing at all."""
    verdict = judged(seen, question)
    assert (verdict.result, verdict.message) == (Result.UNDECIDED, message)


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
    assert judged(findings(found(late)), asked(last=last)).result is result


@pytest.mark.parametrize(("labels", "result"), [(0, Result.PASS), (1, Result.UNDECIDED)])
def test_accuracy_may_be_skipped_where_nobody_labels(labels: int, result: Result) -> None:
    """`whenNoLabels: Skip` asks for nothing while there is no label; one is a beginning."""
    seen = found({**ACCURACY, "whenNoLabels": "Skip"}, canary=(0, labels))
    assert judged(findings(seen)).result is result


def test_a_fail_of_late_labels_acts_at_any_step() -> None:
    """When they come, they count, whatever `judge` says."""
    late = found({**ACCURACY, "judge": "AfterPromotion"}, worse=SURE)
    assert judged(findings(late), asked(last=False)).result is Result.FAIL


@pytest.mark.parametrize(
    ("seen", "elapsed", "clean"),
    [
        (findings(found(ERRORS)), 60.0, True),
        (findings(found(ERRORS), in_step=49), 60.0, False),
        (findings(found(ERRORS)), 4.9, False),
        (findings(found(ERRORS), in_step=0), 0.0, False),
        (findings(found(ERRORS, worse=SURE)), 60.0, False),
    ],
)
def test_a_clean_step_has_its_requests_and_time_and_no_failure(seen: Findings, elapsed: float, clean: bool) -> None:
    """It may lack every proof."""
    assert judged(seen, asked(elapsed)).clean is clean


def test_without_objectives_requests_and_time_are_all_that_a_step_needs() -> None:
    """Nothing is judged, so nothing can be missing."""
    assert judged(findings(in_step=50)).result is Result.PASS
    assert judged(findings(in_step=49)).result is Result.UNDECIDED


def test_watching_looks_for_a_fail_only() -> None:
    """There is no step to pass any more; time alone ends the watch."""
    fine = judged(findings(found(ERRORS, non_inferior=(SURE, SURE))), Stage(step=None))
    assert (fine.result, fine.message) == (Result.UNDECIDED, "")
    assert fine.objectives[0].evidence == "against 1 of 29.8"


def test_a_canary_that_crashes_fails() -> None:
    """One container may end more often than stable's; two are no accident."""
    assert judged(findings(), crashes=1).result is Result.PASS
    verdict = judged(findings(), crashes=2)
    assert (verdict.result, verdict.reason, verdict.message) == (
        Result.FAIL,
        "CanaryCrashing",
        "containers of the canary ended 2 times more often than stable's in this run",
    )


def test_a_silent_arm_is_data() -> None:
    """How many of how many, at which weight; each step may be wrong with its part of the budget."""
    silent = findings(in_step=1, answered=1, expected=401, silent=bar(0.05, 0.05, 3) + 0.01)
    verdict = judged(silent)
    assert (verdict.reason, verdict.message) == (
        "RequestsMissing",
        "the canary finished only 1 of 401 requests at weight 10, while stable goes on answering",
    )
    assert judged(replace(silent, silent=bar(0.05, 0.05, 3) - 0.01)).result is Result.UNDECIDED


def test_there_is_no_share_to_miss_while_watching() -> None:
    """Nor any other weight than all."""
    assert judged(findings(silent=SURE), Stage(step=None)).result is Result.UNDECIDED


@pytest.mark.parametrize(("finished", "hangs"), [(0, True), (24, True), (25, False), (1000, False)])
def test_a_canary_that_begins_many_and_finishes_few_hangs(finished: int, hangs: bool) -> None:
    """More that are overdue than ever finished is not a busy moment."""
    verdict = judged(findings(finished=finished, in_step=0, overdue=25), asked(elapsed=0))
    assert (verdict.result is Result.FAIL, verdict.reason == "RequestsMissing") == (hangs, hangs)


def test_a_few_overdue_are_no_reason() -> None:
    """A slow model answers its first requests late."""
    assert judged(findings(finished=0, in_step=0, overdue=20), asked(elapsed=0)).result is Result.UNDECIDED


def test_lost_metrics_are_undecided_and_keep_the_last_numbers() -> None:
    """Nothing to see is neither a Pass nor a Fail."""
    before = judged(findings(found(ERRORS)))
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


LOGS = st.floats(-700, 700)


@given(
    logs=st.tuples(LOGS, LOGS, LOGS, LOGS),
    in_step=st.integers(0, 400),
    elapsed=st.floats(0, 100),
    crashes=st.integers(0, 1),
)
def test_a_pass_has_all_that_it_needs(
    logs: tuple[float, float, float, float], in_step: int, elapsed: float, crashes: int
) -> None:
    """Whatever was found: a Pass means requests, time, a margin ruled out, and no proof of the contrary."""
    worse, beyond, inside, cleared = logs
    one = found(ERRORS, worse=worse, over_limit=beyond, worse_now=inside, non_inferior=(-700.0, cleared))
    verdict = judged(findings(one, in_step=in_step), asked(elapsed), crashes)
    if verdict.result is Result.PASS:
        assert in_step >= STEP.min_requests
        assert elapsed >= 5
        assert cleared >= math.log(20)
        assert worse < bar(0.8, 1.0)
        assert min(beyond, inside) < bar(0.15, 1.0)


def test_a_dry_run_of_an_objective_is_only_shown() -> None:
    """It fails nothing, is not needed, and takes no part of the budget."""
    dry = found({**ERRORS, "name": "dry", "dryRun": True}, worse=SURE, canary=(8, 100))
    verdict = judged(findings(dry, found(P95, non_inferior=(SURE, SURE))))
    assert (verdict.result, [one.name for one in verdict.objectives]) == (Result.PASS, ["dry", "p95"])
    needed = bar(0.15, 0.2) + 0.01
    assert judged(findings(dry, found(P95, over_limit=needed, worse_now=SURE))).result is Result.FAIL
