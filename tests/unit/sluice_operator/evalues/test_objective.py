"""The e-processes of one objective over a run: the comparison, limits, the watch and the halves of a margin."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import over_limit_and_worse
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveBaseline, ObjectiveCounts, ObjectiveEProcesses

CALM = 6 * 3600.0  # seconds of a baseline without a burst
LIMIT = 0.001
THRESHOLD = np.log(50)


def processes(
    *margins: Margin, limit: float | None = LIMIT, requests: float = 0, bad: float = 0
) -> ObjectiveEProcesses:
    """After a calm baseline with so many requests and bad requests."""
    baseline = ObjectiveBaseline(BurstLaw.unknown(CALM, (1,)), BurstLaw.unknown(CALM), requests, bad)
    criterion = Criterion(
        True, limit, compares_judged=True, margins=margins, watch_margin=margins[-1] if margins else Margin()
    )
    return ObjectiveEProcesses(criterion, baseline, Pods(1, 1), 5.0)


def counts(requests: float, bad: float) -> ObjectiveCounts:
    return with_one_column(Counts(np.array([requests], float), np.array([bad], float)))


def with_one_column(judged: Counts) -> ObjectiveCounts:
    """The judged counts are also the compared ones."""
    return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))


def run(
    tested: ObjectiveEProcesses, ticks: int, canary: ObjectiveCounts, stable: ObjectiveCounts, *, proven: bool = True
) -> None:
    for _ in range(ticks):
        tested.update(canary, stable, proven=proven)


def after_bursts(requests: float) -> ObjectiveEProcesses:
    """After a baseline of so many requests: one minute in ten with 2 % bad requests, and none in between."""
    law = BurstLaw(np.full(9, 1 / 600), np.full(9, 60.0), np.asarray(1 / 600))
    column = BurstLaw(law.starts[None], law.seconds[None], law.any_start[None])
    baseline = ObjectiveBaseline(column, law, requests, requests * 0.002)
    return ObjectiveEProcesses(
        Criterion(compared=True, limit=None, compares_judged=True, margins=()), baseline, Pods(1, 1), 5.0
    )


@pytest.mark.parametrize("requests", [2e6, 0], ids=["with a baseline share", "without"])
def test_bursts_without_bad_requests_in_between_do_not_add_up(requests: float) -> None:
    """Both revisions have bad requests only in their bursts, like the baseline."""
    tested = after_bursts(requests)
    for minute in range(60):
        canary, stable = (2.0 if minute % 10 == at else 0.0 for at in (3, 7))
        run(tested, 12, counts(100, canary), counts(900, 9 * stable))
        assert tested.log_worse[0] < THRESHOLD


@pytest.mark.parametrize("pods", [1, 9])
def test_a_law_with_more_bursts_than_there_are_gives_no_evidence_against_the_canary(pods: int) -> None:
    """The law allows for as many pods as there may be. A canary of one pod bursts less; quiet time is no evidence."""
    often = BurstLaw(np.full(9, 1 / 600), np.full(9, 60.0), np.asarray(1 / 600))
    column = BurstLaw(often.starts[None], often.seconds[None], often.any_start[None])
    criterion = Criterion(compared=True, limit=None, compares_judged=False, margins=())
    tested = ObjectiveEProcesses(criterion, ObjectiveBaseline(column, often), Pods(pods, pods), 5.0)
    for _ in range(360):
        tested.update(counts(100, 0), counts(900, 1), proven=True)
        assert tested.log_worse[0] < THRESHOLD


def test_a_worse_canary_is_found_after_a_baseline_with_bursts() -> None:
    """Its share of bad requests is always what others have only in a burst."""
    tested = after_bursts(2e6)
    run(tested, 60, counts(100, 2), counts(900, 0))
    assert tested.log_worse[0] > THRESHOLD


@pytest.mark.parametrize("baseline", [(0.0, 0.0), (2e6, 200.0)], ids=["no baseline", "a good baseline"])
def test_a_canary_is_to_blame_for_a_limit_that_only_it_breaks(baseline: tuple[float, float]) -> None:
    """Stable keeps the limit at the same time, with or without a baseline."""
    tested = processes(requests=baseline[0], bad=baseline[1])
    run(tested, 120, counts(100, 2), counts(900, 0))
    assert over_limit_and_worse(tested.log_over_limit, tested.log_worse_now)[0] > THRESHOLD


def test_a_canary_is_not_to_blame_for_a_limit_that_both_revisions_break() -> None:
    """The canary is over the limit, but no worse than stable."""
    tested = processes()
    run(tested, 120, counts(100, 2), counts(900, 18))
    assert tested.log_over_limit[0] > THRESHOLD
    assert over_limit_and_worse(tested.log_over_limit, tested.log_worse_now)[0] <= 0


@pytest.mark.parametrize("calm", [0, 60])
@pytest.mark.parametrize("weight", [10, 50, 95])
def test_a_canary_is_not_to_blame_for_an_incident_in_both_revisions(weight: int, calm: int) -> None:
    """Whenever the incident begins, however good the baseline is, and also when stable has few requests."""
    random, runs = np.random.default_rng(weight + calm), 200
    tested = processes(requests=2e6, bad=200.0)
    failed, over_limit = np.zeros(runs, bool), np.zeros(runs, bool)
    for tick in range(calm + 60):
        share = 0.0001 if tick < calm else 0.03
        sizes = np.full(runs, weight), np.full(runs, 100 - weight)
        canary, stable = (Counts(size.astype(float), random.binomial(size, share).astype(float)) for size in sizes)
        tested.update(with_one_column(canary), with_one_column(stable), proven=True)
        failed |= over_limit_and_worse(tested.log_over_limit, tested.log_worse_now) > THRESHOLD
        over_limit |= tested.log_over_limit > THRESHOLD
    assert failed.mean() <= 1 / 50
    assert over_limit.mean() > 0.9


def test_in_the_watch_the_canary_is_compared_with_what_stable_did_before() -> None:
    """The objective's own margin is used. A comparison at the same time cannot grow, because stable has no requests."""
    broken, good = (processes(Margin(ratio=2.0, tolerance=0.005), requests=2e6, bad=2000.0) for _ in range(2))
    for tested, bad in ((broken, 50), (good, 1)):
        run(tested, 60, counts(500, 1), counts(500, 1))
        assert tested.log_worse_in_watch == 0.0
        for _ in range(60):
            canary = counts(1000, bad)
            tested.update(canary, counts(0, 0), proven=True)
            tested.update_watch(canary)
    assert broken.watch_limit == 0.005
    assert broken.log_worse[0] < THRESHOLD < broken.log_worse_in_watch[0]
    assert good.log_worse_in_watch[0] <= 0


@pytest.mark.parametrize(
    ("margin", "limit", "allowed"),
    [
        (Margin(ratio=2.0, tolerance=LIMIT), LIMIT, 2 * LIMIT),
        (Margin(tolerance=LIMIT), LIMIT, LIMIT),
        (Margin(ratio=2.0, tolerance=0.005), None, 0.4),
        (Margin(drop=0.05), None, 0.55),
    ],
)
def test_a_stable_without_a_past_allows_no_canary_that_hardly_answers(
    margin: Margin, limit: float | None, allowed: float
) -> None:
    """Its limit is taken for its share; without a limit, a fifth of bad requests, or half of the labels."""
    tested = processes(margin, limit=limit, requests=0, bad=0)
    assert tested.watch_limit == pytest.approx(allowed)
    for _ in range(60):
        tested.update_watch(counts(20, 18))
    assert tested.log_worse_in_watch[0] > THRESHOLD


@pytest.mark.parametrize(
    ("margin", "worse"),
    [
        (Margin(ratio=2.0, tolerance=0.005), 0.2),
        (Margin(ratio=2.0, tolerance=0.3), 0.3),
        (Margin(tolerance=0.05), 0.1),  # stable is over its limit, too
        (Margin(drop=0.05), 0.15),
        (Margin(drop=0.9), 0.95),
    ],
)
def test_what_is_worse_than_a_share_by_a_margin(margin: Margin, worse: float) -> None:
    """The share times the ratio, or plus the drop; at least the tolerance, and at most 0.95."""
    assert margin.worse_than(np.asarray(0.1)) == pytest.approx(worse)


def test_only_a_proven_weight_counts_in_the_canarys_favour() -> None:
    """Against the canary, all requests count from the first tick on."""
    tested = processes(Margin(ratio=2.0, tolerance=LIMIT))
    run(tested, 60, counts(1000, 0), counts(9000, 9), proven=False)
    assert tested.log_non_inferior(0)[0] <= 1e-9
    run(tested, 60, counts(1000, 0), counts(9000, 9))
    assert tested.log_non_inferior(0)[0] > THRESHOLD
    run(tested, 60, counts(1000, 50), counts(9000, 9), proven=False)
    assert tested.log_worse[0] > THRESHOLD


def test_without_a_bad_request_the_tolerance_is_ruled_out() -> None:
    """No ratio of two zeros can be ruled out, but a share of 0.1 % can, after ln(40 / 0.3) / 0.001 requests."""
    needed = int(np.log(40 / 0.3) / LIMIT / 100) + 1
    by_ratio, by_both = processes(Margin(ratio=2.0)), processes(Margin(ratio=2.0, tolerance=LIMIT))
    for tested in (by_ratio, by_both):
        run(tested, needed, counts(100, 0), counts(900, 0))
    assert by_both.log_non_inferior(0)[0] >= np.log(20)
    assert by_ratio.log_non_inferior(0)[0] < 1e-9


def test_where_both_are_over_the_tolerance_the_ratio_is_ruled_out() -> None:
    """Both revisions have more bad requests than it allows, but the canary has less than twice as many as stable."""
    tested = processes(Margin(ratio=2.0, tolerance=LIMIT))
    run(tested, 60, counts(1000, 10), counts(9000, 90))
    assert tested.log_non_inferior(0)[0] > THRESHOLD


def test_a_wider_margin_is_ruled_out_sooner() -> None:
    """So early steps, which have wider margins, need less evidence."""
    tested = processes(Margin(ratio=5.0), Margin(ratio=3.0), Margin(ratio=2.0))
    run(tested, 20, counts(500, 5), counts(4500, 45))
    cleared = [tested.log_non_inferior(step)[0] for step in range(3)]
    assert cleared == sorted(cleared, reverse=True)


@pytest.mark.parametrize("wrong", [0.04, 0.05])
def test_a_drop_is_ruled_out_by_labels(wrong: float) -> None:
    """Labels show that the canary's accuracy is not two points below stable's."""
    tested = processes(Margin(drop=0.02), limit=None)
    run(tested, 100, counts(500, 500 * wrong), counts(500, 500 * 0.05))
    assert tested.log_non_inferior(0)[0] > THRESHOLD


def test_a_burst_of_stable_does_not_rule_out_a_margin() -> None:
    """For a minute stable is as bad as a canary with twice its errors, as it is in a burst."""
    tested = processes(Margin(ratio=2.0), limit=None)
    run(tested, 60, counts(1000, 4), counts(9000, 18))
    run(tested, 12, counts(1000, 4), counts(9000, 36))
    assert tested.log_non_inferior(0)[0] < np.log(20)
