"""One objective over a run: who is blamed for a limit, what counts in whose favour, what a margin's halves do."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveBaseline, ObjectiveCounts, ObjectiveEProcesses

CALM = 6 * 3600.0  # seconds of record without a burst
LIMIT = 0.001
BAR = np.log(50)


def evidence(*margins: Margin, limit: float | None = LIMIT, requests: float = 0, bad: float = 0) -> ObjectiveEProcesses:
    known = ObjectiveBaseline(BurstLaw.unknown(CALM, (1,)), BurstLaw.unknown(CALM), requests, bad)
    criterion = Criterion(
        True, limit, compares_judged=True, margins=margins, watch_margin=margins[-1] if margins else Margin()
    )
    return ObjectiveEProcesses(criterion, known, Pods(1, 1), 5.0)


def counts(requests: float, bad: float) -> ObjectiveCounts:
    arm = Counts(np.array([requests], float), np.array([bad], float))
    return ObjectiveCounts(arm, Counts(arm.requests[None], arm.bad[None]))


def run(
    on: ObjectiveEProcesses, ticks: int, canary: ObjectiveCounts, stable: ObjectiveCounts, *, proven: bool = True
) -> None:
    for _ in range(ticks):
        on.update(canary, stable, proven=proven)


def beside_bursts(requests: float) -> ObjectiveEProcesses:
    """A record of so many requests: a minute with 2 % bad ones in every ten, and none in between."""
    one = BurstLaw(np.full(9, 1 / 600), np.full(9, 60.0), np.asarray(1 / 600))
    column = BurstLaw(one.starts[None], one.seconds[None], one.any_start[None])
    known = ObjectiveBaseline(column, one, requests, requests * 0.002)
    return ObjectiveEProcesses(
        Criterion(compared=True, limit=None, compares_judged=True, margins=()), known, Pods(1, 1), 5.0
    )


@pytest.mark.parametrize("requests", [2e6, 0], ids=["with its share", "without"])
def test_bursts_with_nothing_in_between_do_not_add_up(requests: float) -> None:
    """Arms that err in their bursts alone, as the record does."""
    on = beside_bursts(requests)
    for minute in range(60):
        canary, stable = (2.0 if minute % 10 == at else 0.0 for at in (3, 7))
        run(on, 12, counts(100, canary), counts(900, 9 * stable))
        assert on.log_worse[0] < BAR


@pytest.mark.parametrize("pods", [1, 9])
def test_a_law_of_more_bursts_than_there_are_blames_nobody(pods: int) -> None:
    """It allows for as many pods as there may be; a canary of one pod bursts less, and quiet time is no evidence."""
    often = BurstLaw(np.full(9, 1 / 600), np.full(9, 60.0), np.asarray(1 / 600))
    column = BurstLaw(often.starts[None], often.seconds[None], often.any_start[None])
    criterion = Criterion(compared=True, limit=None, compares_judged=False, margins=())
    on = ObjectiveEProcesses(criterion, ObjectiveBaseline(column, often), Pods(pods, pods), 5.0)
    for _ in range(360):
        on.update(counts(100, 0), counts(900, 1), proven=True)
        assert on.log_worse[0] < BAR


def test_a_worse_canary_is_found_beside_a_record_of_bursts() -> None:
    """It errs all the time as others do in a burst."""
    on = beside_bursts(2e6)
    run(on, 60, counts(100, 2), counts(900, 0))
    assert on.log_worse[0] > BAR


@pytest.mark.parametrize("record", [(0.0, 0.0), (2e6, 200.0)], ids=["no record", "a good record"])
def test_a_limit_that_the_canary_alone_breaks_is_its_fault(record: tuple[float, float]) -> None:
    """Stable does better beside it, with or without a record."""
    on = evidence(requests=record[0], bad=record[1])
    run(on, 120, counts(100, 2), counts(900, 0))
    assert on.log_over_limit_and_worse[0] > BAR


def test_a_limit_that_both_break_is_not_the_canarys_fault() -> None:
    """The canary is beyond the limit, but no worse than stable."""
    on = evidence()
    run(on, 120, counts(100, 2), counts(900, 18))
    assert on.log_over_limit[0] > BAR
    assert on.log_over_limit_and_worse[0] <= 0


@pytest.mark.parametrize("calm", [0, 60])
@pytest.mark.parametrize("weight", [10, 50, 95])
def test_an_incident_that_hits_both_arms_is_blamed_on_neither(weight: int, calm: int) -> None:
    """Whenever it begins, however good the record is, and also when stable has hardly any requests."""
    random, runs = np.random.default_rng(weight + calm), 200
    on = evidence(requests=2e6, bad=200.0)
    failed, beyond = np.zeros(runs, bool), np.zeros(runs, bool)
    for tick in range(calm + 60):
        share = 0.0001 if tick < calm else 0.03
        sizes = np.full(runs, weight), np.full(runs, 100 - weight)
        canary, stable = (Counts(one.astype(float), random.binomial(one, share).astype(float)) for one in sizes)
        on.update(
            *(ObjectiveCounts(arm, Counts(arm.requests[None], arm.bad[None])) for arm in (canary, stable)), proven=True
        )
        failed |= on.log_over_limit_and_worse > BAR
        beyond |= on.log_over_limit > BAR
    assert failed.mean() <= 1 / 50
    assert beyond.mean() > 0.9


def test_alone_the_canary_is_held_against_what_stable_did() -> None:
    """By the objective's own margin: stable has nothing to say any more, however bad it gets."""
    on, good = (evidence(Margin(ratio=2.0, tolerance=0.005), requests=2e6, bad=2000.0) for _ in range(2))
    for one, bad in ((on, 50), (good, 1)):
        run(one, 60, counts(500, 1), counts(500, 1))
        assert one.log_worse_than_baseline == 0.0
        for _ in range(60):
            alone = counts(1000, bad)
            one.update(alone, counts(0, 0), proven=True)
            one.update_watch(alone)
    assert on.watch_limit == 0.005
    assert on.log_worse[0] < BAR < on.log_worse_than_baseline[0]
    assert good.log_worse_than_baseline[0] <= 0


@pytest.mark.parametrize(
    ("margin", "most"),
    [
        (Margin(ratio=2.0, tolerance=0.005), 0.2),
        (Margin(ratio=2.0, tolerance=0.3), 0.3),
        (Margin(tolerance=0.05), 0.1),  # stable is beyond its limit, too
        (Margin(drop=0.05), 0.15),
        (Margin(drop=0.9), 0.95),
    ],
)
def test_a_margin_says_what_is_worse_than_the_past(margin: Margin, most: float) -> None:
    """So many times as much or so much more, and beyond the tolerance."""
    assert margin.worse_than(np.asarray(0.1)) == pytest.approx(most)


def test_only_a_proven_weight_counts_in_the_canarys_favour() -> None:
    """Against it, everything counts from the first tick."""
    on = evidence(Margin(ratio=2.0, tolerance=LIMIT))
    run(on, 60, counts(1000, 0), counts(9000, 9), proven=False)
    assert on.log_non_inferior(0)[0] <= 1e-9
    run(on, 60, counts(1000, 0), counts(9000, 9))
    assert on.log_non_inferior(0)[0] > BAR
    run(on, 60, counts(1000, 50), counts(9000, 9), proven=False)
    assert on.log_worse[0] > BAR


def test_without_a_bad_request_the_tolerance_clears() -> None:
    """No ratio can be ruled out between two zeros, but a share of 0.1 % can, after ln(40 / 0.3) / 0.001 requests."""
    needed = int(np.log(40 / 0.3) / LIMIT / 100) + 1
    by_ratio, by_both = evidence(Margin(ratio=2.0)), evidence(Margin(ratio=2.0, tolerance=LIMIT))
    for on in (by_ratio, by_both):
        run(on, needed, counts(100, 0), counts(900, 0))
    assert by_both.log_non_inferior(0)[0] >= np.log(20)
    assert by_ratio.log_non_inferior(0)[0] < 1e-9


def test_where_the_tolerance_is_out_of_reach_the_ratio_clears() -> None:
    """Both arms err more than it allows; the canary less than twice as much."""
    on = evidence(Margin(ratio=2.0, tolerance=LIMIT))
    run(on, 60, counts(1000, 10), counts(9000, 90))
    assert on.log_non_inferior(0)[0] > BAR


def test_a_wider_margin_is_cleared_sooner() -> None:
    """Early steps ask for less."""
    on = evidence(Margin(ratio=5.0), Margin(ratio=3.0), Margin(ratio=2.0))
    run(on, 20, counts(500, 5), counts(4500, 45))
    cleared = [on.log_non_inferior(step)[0] for step in range(3)]
    assert cleared == sorted(cleared, reverse=True)


@pytest.mark.parametrize("wrong", [0.04, 0.05])
def test_a_drop_is_ruled_out_by_labels(wrong: float) -> None:
    """An accuracy within two points of stable's."""
    on = evidence(Margin(drop=0.02), limit=None)
    run(on, 100, counts(500, 500 * wrong), counts(500, 500 * 0.05))
    assert on.log_non_inferior(0)[0] > BAR


def test_a_burst_of_stable_does_not_clear_a_worse_canary() -> None:
    """For a minute stable is as bad as a canary that has twice its errors: that is what bursts are like."""
    on = evidence(Margin(ratio=2.0), limit=None)
    run(on, 60, counts(1000, 4), counts(9000, 18))
    run(on, 12, counts(1000, 4), counts(9000, 36))
    assert on.log_non_inferior(0)[0] < np.log(20)
