"""What stable's past says: how its pods burst, and where its latencies are best compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sluice_operator.analysis import baseline
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.latency_buckets import LATENCY_BOUNDS
from sluice_operator.evalues import bursts
from sluice_operator.evalues.chain import BurstLaw
from sluice_operator.evalues.clumps import UNKNOWN_DIVISOR
from sluice_operator.evalues.counts import BinnedCounts
from sluice_operator.evalues.objective import ObjectiveBaseline
from tests.unit.sluice_operator.build import a_spec

OBJECTIVES = a_spec().objectives  # errors up to 1 %, p95 within 200 ms, accuracy of 0.70
ERRORS = OBJECTIVES[:1]
BIN = 15.0
UNKNOWN_SECONDS = 3 * 3600.0


def edges(bins: int) -> list[float]:
    return [index * BIN for index in range(bins + 1)]


def pod(
    name: str, growth: Sequence[int], first: int = 0, revision: str = "old"
) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """A pod that has 100 requests in each bin, and these errors; scraped from the edge `first` on."""
    scrapes = range(len(growth) + 1)
    errors = [sum(growth[:scrape]) for scrape in scrapes]
    values = {"200": [100 * scrape - errors[scrape] for scrape in scrapes], "500": errors}
    labels = {"__name__": "ml_requests_total", "pod_uid": name, "revision": revision}
    return [
        ({**labels, "code": code}, [(BIN * (first + scrape), float(counts[scrape])) for scrape in scrapes])
        for code, counts in values.items()
    ]


def learned(*pods: list[tuple[dict[str, str], list[tuple[float, float]]]], bins: int) -> baseline.Baseline:
    counters = Counters()
    for pod_series in pods:
        counters.add(pod_series)
    return baseline.from_counters(ERRORS, (), counters, "old", edges(bins))


def same(left: ObjectiveBaseline, right: ObjectiveBaseline) -> bool:
    """Whether both have the same laws and totals."""
    laws = [(left.compared, right.compared), (left.judged, right.judged)]
    fields = ("starts", "seconds", "any_start", "divisor")
    equal = all(np.allclose(getattr(law, name), getattr(other, name)) for law, other in laws for name in fields)
    return equal and (left.requests, left.bad) == (right.requests, right.bad)


def buckets(minutes: Sequence[tuple[int, int]]) -> Counters:
    """A pod of stable that answered so many requests in each minute, and so many of them within 0.2 s."""
    counters = Counters()
    for le, column in (("0.2", 1), ("+Inf", 0)):
        labels = {"__name__": "ml_request_duration_seconds_bucket", "pod_uid": "a", "revision": "old", "le": le}
        values = np.cumsum([0, *(minute[column] for minute in minutes)])
        counters.add([(labels, [(60.0 * index, float(value)) for index, value in enumerate(values)])])
    return counters


@pytest.mark.parametrize(
    ("minutes", "within"),
    [
        ([(200, 0)] * 50 + [(200, 190)] * 10, {0.2: 1900, math.inf: 2000}),  # slow until ten minutes ago
        ([(20, 5)] * 50 + [(20, 15)] * 10, {0.2: 400, math.inf: 1200}),  # ten minutes have too few requests
        ([(99, 0)] * 3 + [(99, 98)] * 2, {0.2: 196, math.inf: 495}),  # a pod that is five minutes old
    ],
)
def test_recent_latencies_are_of_ten_minutes_if_they_have_enough_requests(
    minutes: list[tuple[int, int]], within: dict[float, int]
) -> None:
    """A thousand are enough; with fewer they are of up to an hour."""
    counters = buckets(minutes)
    assert baseline.recent_latencies(counters, "old", 60.0 * len(minutes)) == within
    assert not any(baseline.recent_latencies(counters, "another", 60.0 * len(minutes)).values())


def test_latencies_are_compared_where_stable_has_a_fair_share_of_slow_requests() -> None:
    """That is from two in a thousand to a quarter, and 5 ms or more; of more than five such bounds, five are chosen."""
    shares_slower = dict(zip(LATENCY_BOUNDS, np.geomspace(0.9, 1e-5, len(LATENCY_BOUNDS)), strict=True))
    chosen = baseline.comparison_bounds(
        OBJECTIVES, {**{bound: 1000 * (1 - share) for bound, share in shares_slower.items()}, math.inf: 1000}
    )
    fair = [bound for bound, share in shares_slower.items() if 0.002 <= share <= 0.25 and bound >= 0.005]
    assert len(chosen) == 5
    assert (chosen[0], chosen[-1]) == (fair[0], fair[-1])
    assert set(chosen) <= set(fair)
    assert list(chosen) == sorted(chosen)


def test_an_objective_about_a_millisecond_is_compared_below_five() -> None:
    """Without one, no bound is so low that nobody would notice the difference."""
    totals = {0.001: 900.0, 0.002: 950.0, 0.02: 990.0, math.inf: 1000.0}
    exact = a_spec(objectives=[{"name": "p95", "latency": {"quantile": "0.95", "max": "1ms"}}]).objectives
    assert baseline.comparison_bounds(OBJECTIVES, totals) == (0.02,)
    assert 0.002 in baseline.comparison_bounds(exact, totals)


def test_few_fair_bounds_are_all_compared() -> None:
    """Each once and sorted, in whatever order they come."""
    totals = {0.5: 995.0, math.inf: 1000.0, 0.2: 900.0, 0.1: 100.0, 1.0: 1000.0}
    assert baseline.comparison_bounds(OBJECTIVES, totals) == (0.2, 0.5)


@pytest.mark.parametrize(
    "totals",
    [
        {},
        {math.inf: 0.0, 0.2: 0.0},
        {0.1: 5.0},
        {math.inf: 1000.0, 0.1: 1000.0},
        {math.inf: math.nan, 0.1: math.nan},
    ],
)
def test_without_a_fair_bound_the_objectives_own_are_compared(totals: dict[float, float]) -> None:
    """Where there are no requests, no total, no slow requests, or no numbers."""
    assert baseline.comparison_bounds(OBJECTIVES, totals) == (0.2,)
    assert baseline.comparison_bounds(ERRORS, totals) == ()


@pytest.mark.parametrize("bins", [[], edges(0), edges(20)])
def test_a_past_without_counts_counts_as_three_calm_hours(bins: list[float]) -> None:
    """Its law expects one burst in them, and small clumps; it is the same in each column that is compared."""
    past = baseline.from_counters(OBJECTIVES, (0.1, 0.2), Counters(), "old", bins)
    unknown = BurstLaw.unknown(UNKNOWN_SECONDS, divisor=UNKNOWN_DIVISOR)
    assert (past.pod_seconds, past.bounds) == (0, (0.1, 0.2))
    for name, columns in (("errors", 1), ("p95", 2), ("accuracy", 1)):
        expected = ObjectiveBaseline(BurstLaw.unknown(UNKNOWN_SECONDS, (columns,), UNKNOWN_DIVISOR), unknown)
        assert same(past.by_objective[name], expected)
        assert past.by_objective[name].compared.starts.shape == (columns, len(unknown.starts))


def test_pods_count_as_one_pod_for_a_longer_time() -> None:
    """Two calm pods for an hour are the same as one calm pod for two hours, but say less of clumps over both."""
    first, second = [0, 1] * 20, [1, 0] * 20
    two_pods, one_pod = learned(pod("a", first), pod("b", second), bins=40), learned(pod("a", first + second), bins=80)
    two, one = two_pods.by_objective["errors"], one_pod.by_objective["errors"]
    assert same(replace(two, judged=replace(two.judged, divisor=one.judged.divisor)), one)
    assert one.judged.divisor < two.judged.divisor < UNKNOWN_DIVISOR
    assert two_pods.pod_seconds == one_pod.pod_seconds == 80 * BIN
    assert (two_pods.by_objective["errors"].requests, two_pods.by_objective["errors"].bad) == (8000, 40)


def test_a_pod_counts_for_the_time_that_it_was_scraped_for() -> None:
    """Bins before its first scrape and after its last one are left out, as are pods of other revisions."""
    part = learned(pod("a", [0, 2, 0], first=5), pod("new", [9] * 10, revision="new"), bins=10)
    whole = learned(pod("a", [0, 2, 0]), bins=3)
    assert part.pod_seconds == 3 * BIN
    assert same(part.by_objective["errors"], whole.by_objective["errors"])


def test_burst_laws_are_learned_from_the_bins() -> None:
    """From the requests and the errors of each bin, in order; a past counts as at least three hours."""
    growth = [1] * 30 + [40] * 4 + [1] * 30
    errors = learned(pod("a", growth), bins=64).by_objective["errors"]
    bins = BinnedCounts(np.full(64, 100.0), np.array(growth, float), BIN)
    assert same(
        errors,
        ObjectiveBaseline(
            bursts.learn(_columns(bins), UNKNOWN_SECONDS), bursts.learn(bins, UNKNOWN_SECONDS), 6400, 220
        ),
    )
    assert errors.judged.any_start > learned(pod("a", [1] * 64), bins=64).by_objective["errors"].judged.any_start


def _columns(bins: BinnedCounts) -> BinnedCounts:
    return BinnedCounts(bins.requests[None], bins.bad[None], bins.bin_seconds)


@pytest.mark.parametrize(("every", "per_hour"), [(0, 0.0), (40, 6.0), (120, 2.0)])
def test_the_bursts_of_stable_are_counted_per_pod_and_hour(every: int, per_hour: float) -> None:
    """Bursts to ten times the rate, a minute long, in six hours of one pod, are found about as often as they were."""
    growth = [20 if every and index % every < 4 else 2 for index in range(1440)]
    name, estimate = learned(pod("a", growth), bins=1440).most_bursts
    assert name == "errors"
    assert estimate == pytest.approx(per_hour, abs=0.2, rel=0.2)


@pytest.mark.parametrize(
    ("within", "longest"),
    [
        ({}, 0.0),
        ({0.1: 0.0, math.inf: 0.0}, 0.0),
        ({0.1: 994.0, 0.2: 995.0, 60.0: 1000.0, math.inf: 1000.0}, 0.2),
        ({0.1: 0.0, 60.0: 900.0, math.inf: 1000.0}, 60.0),
    ],
)
def test_the_histogram_says_how_long_nearly_all_requests_take(within: dict[float, float], longest: float) -> None:
    """All but five in a thousand; over the last bound nothing is known."""
    assert baseline.nearly_all_within(within) == longest


def test_the_objective_with_the_largest_clumps_is_named() -> None:
    """Ten errors in every tenth bin are clumps; one in each bin is none."""
    clumped = learned(pod("a", [10 if index % 10 == 0 else 0 for index in range(1440)]), bins=1440)
    name, for_pass, for_fail = clumped.most_clumped
    assert (name, for_pass > 8, for_fail > 8) == ("errors", True, True)
    assert learned(pod("a", [1] * 1440), bins=1440).most_clumped == ("errors", *2 * [pytest.approx(1, abs=0.05)])
    assert baseline.Baseline({}, (), 0.0, 0).most_clumped == ("", 1.0, 1.0)


def test_a_clump_may_be_spread_over_all_pods() -> None:
    """Twenty errors together, one in each pod, count as one for a limit. A comparison is with the other revision, over
    which they are spread, too; single pods show nothing."""
    random = np.random.default_rng(1)
    together = 20 * random.poisson(0.5, 240)
    shares = [1 / (20 - index) for index in range(20)]
    of_pods, left = [], together
    for share in shares:
        of_pods.append(random.binomial(left, share))
        left = left - of_pods[-1]
    starts = [0, 1, 5, *[0] * 17]  # bins of all pods are added up by time, whenever they were scraped first
    pods = [pod(f"{index}", of_pods[index][start:].tolist(), start) for index, start in enumerate(starts)]
    errors = learned(*pods, bins=240).by_objective["errors"]
    assert 15 < float(errors.judged.divisor) < 50
    assert float(errors.compared.divisor[0]) < 4


def test_pods_with_errors_of_their_own_have_no_larger_clumps_together() -> None:
    """The sum of pods shows about what each pod shows."""
    growth = np.random.default_rng(2).binomial(100, 0.02, (5, 240))
    errors = learned(*(pod(f"{index}", row.tolist()) for index, row in enumerate(growth)), bins=240)
    assert float(errors.by_objective["errors"].judged.divisor) < 1.35
