"""One objective over a run: who is blamed for a limit, what counts in whose favour, what a margin's halves do."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_operator.evalues.arm import Arm
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.objective import Counts, Criterion, Known, Margin, ObjectiveEvidence

CALM = 6 * 3600.0  # seconds of record without a burst
LIMIT = 0.001
BAR = np.log(50)


def evidence(*margins: Margin, limit: float | None = LIMIT, requests: float = 0, bad: float = 0) -> ObjectiveEvidence:
    known = Known(BurstLaw.unknown(CALM, (1,)), BurstLaw.unknown(CALM), requests, bad)
    return ObjectiveEvidence(Criterion(compared=True, limit=limit, margins=margins), known, Pods(1, 1), 5.0)


def counts(requests: float, bad: float) -> Counts:
    arm = Arm(np.array([requests], float), np.array([bad], float))
    return Counts(arm, Arm(arm.requests[None], arm.bad[None]))


def run(on: ObjectiveEvidence, ticks: int, canary: Counts, stable: Counts, *, proven: bool = True) -> None:
    for _ in range(ticks):
        on.observe(canary, stable, proven=proven)


def beside_bursts(requests: float) -> ObjectiveEvidence:
    """A record of so many requests: a minute with 2 % bad ones in every ten, and none in between."""
    one = BurstLaw(np.full(9, 1 / 600), np.full(9, 60.0), np.asarray(1 / 600))
    column = BurstLaw(one.starts[None], one.seconds[None], one.any_start[None])
    known = Known(column, one, requests, requests * 0.002)
    return ObjectiveEvidence(Criterion(compared=True, limit=None, margins=()), known, Pods(1, 1), 5.0)


def test_bursts_with_nothing_in_between_do_not_add_up() -> None:
    """Arms that err in their bursts alone, as the record does; without its share, each burst would count anew."""
    with_record, without = beside_bursts(2e6), beside_bursts(0)
    for minute in range(60):
        canary, stable = (2.0 if minute % 10 == at else 0.0 for at in (3, 7))
        for on in (with_record, without):
            run(on, 12, counts(100, canary), counts(900, 9 * stable))
            assert on is without or on.log_worse[0] < BAR
    assert without.log_worse[0] > BAR


def test_a_worse_canary_is_found_beside_a_record_of_bursts() -> None:
    """It errs all the time as others do in a burst."""
    on = beside_bursts(2e6)
    run(on, 60, counts(100, 2), counts(900, 0))
    assert on.log_worse[0] > BAR


@pytest.mark.parametrize("record", [(0.0, 0.0), (2e6, 200.0)], ids=["no record", "a good record"])
def test_a_limit_that_the_canary_alone_breaks_is_its_fault(record: tuple[float, float]) -> None:
    """Stable keeps it, by what it does beside the canary, with or without a record."""
    on = evidence(requests=record[0], bad=record[1])
    run(on, 120, counts(100, 2), counts(900, 0))
    assert min(on.log_beyond[0], on.log_stable_inside[0]) > BAR


def test_a_limit_that_both_break_is_not_the_canarys_fault() -> None:
    """The canary is beyond the limit, but stable is not shown to keep it."""
    on = evidence()
    run(on, 120, counts(100, 2), counts(900, 18))
    assert on.log_beyond[0] > BAR
    assert on.log_stable_beyond[0] > BAR
    assert on.log_stable_inside[0] <= 0


def test_a_good_record_does_not_excuse_a_stable_that_breaks_the_limit_today() -> None:
    """An outage that hits both arms in mid-run is blamed on neither, at any moment."""
    on = evidence(requests=2e6, bad=200.0)
    run(on, 60, counts(100, 0), counts(900, 0))
    assert on.log_stable_inside[0] > BAR
    for _ in range(120):
        on.observe(counts(100, 5), counts(900, 45), proven=True)
        assert min(on.log_beyond[0], on.log_stable_inside[0]) < BAR
    assert on.log_beyond[0] > BAR


def test_only_a_proven_weight_counts_in_the_canarys_favour() -> None:
    """Against it, everything counts from the first tick."""
    on = evidence(Margin(ratio=2.0, tolerance=LIMIT))
    run(on, 60, counts(1000, 0), counts(9000, 9), proven=False)
    assert on.log_cleared(0)[0] <= 1e-9
    run(on, 60, counts(1000, 0), counts(9000, 9))
    assert on.log_cleared(0)[0] > BAR
    run(on, 60, counts(1000, 50), counts(9000, 9), proven=False)
    assert on.log_worse[0] > BAR


def test_without_a_bad_request_the_tolerance_clears() -> None:
    """No ratio can be ruled out between two zeros, but a share of 0.1 % can, after ln(40 / 0.3) / 0.001 requests."""
    needed = int(np.log(40 / 0.3) / LIMIT / 100) + 1
    by_ratio, by_both = evidence(Margin(ratio=2.0)), evidence(Margin(ratio=2.0, tolerance=LIMIT))
    for on in (by_ratio, by_both):
        run(on, needed, counts(100, 0), counts(900, 0))
    assert by_both.log_cleared(0)[0] >= np.log(20)
    assert by_ratio.log_cleared(0)[0] < 1e-9


def test_where_the_tolerance_is_out_of_reach_the_ratio_clears() -> None:
    """Both arms err more than it allows; the canary less than twice as much."""
    on = evidence(Margin(ratio=2.0, tolerance=LIMIT))
    run(on, 60, counts(1000, 10), counts(9000, 90))
    assert on.log_cleared(0)[0] > BAR


def test_a_wider_margin_is_cleared_sooner() -> None:
    """Early steps ask for less."""
    on = evidence(Margin(ratio=5.0), Margin(ratio=3.0), Margin(ratio=2.0))
    run(on, 20, counts(500, 5), counts(4500, 45))
    cleared = [on.log_cleared(step)[0] for step in range(3)]
    assert cleared == sorted(cleared, reverse=True)


@pytest.mark.parametrize("wrong", [0.04, 0.05])
def test_a_drop_is_ruled_out_by_labels(wrong: float) -> None:
    """An accuracy within two points of stable's."""
    on = evidence(Margin(drop=0.02), limit=None)
    run(on, 100, counts(500, 500 * wrong), counts(500, 500 * 0.05))
    assert on.log_cleared(0)[0] > BAR


def test_a_burst_of_stable_does_not_clear_a_worse_canary() -> None:
    """For a minute stable is as bad as a canary that has twice its errors: that is what bursts are like."""
    on = evidence(Margin(ratio=2.0), limit=None)
    run(on, 60, counts(1000, 4), counts(9000, 18))
    run(on, 12, counts(1000, 4), counts(9000, 36))
    assert on.log_cleared(0)[0] < np.log(20)
