"""What stable's past says: how its pods burst, and where its latencies are best compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from sluice_operator.analysis import baseline
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.latency_buckets import LATENCY_BOUNDS
from sluice_operator.evalues import bursts
from sluice_operator.evalues.chain import BurstLaw
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
    moments = range(len(growth) + 1)
    values = {"200": [100 * k - sum(growth[:k]) for k in moments], "500": [sum(growth[:k]) for k in moments]}
    labels = {"__name__": "ml_requests_total", "pod_uid": name, "revision": revision}
    return [
        ({**labels, "code": code}, [(BIN * (first + k), float(counts[k])) for k in moments])
        for code, counts in values.items()
    ]


def learned(*pods: list[tuple[dict[str, str], list[tuple[float, float]]]], bins: int) -> baseline.Baseline:
    counters = Counters()
    for one in pods:
        counters.add(one)
    return baseline.learn(ERRORS, (), counters, "old", edges(bins))


def same(left: ObjectiveBaseline, right: ObjectiveBaseline) -> bool:
    """Whether both know the same, law for law."""
    laws = [(left.compared, right.compared), (left.judged, right.judged)]
    fields = ("starts", "seconds", "any_start")
    equal = all(np.allclose(getattr(one, name), getattr(other, name)) for one, other in laws for name in fields)
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
        ([(20, 5)] * 50 + [(20, 15)] * 10, {0.2: 400, math.inf: 1200}),  # ten minutes tell too little
        ([(99, 0)] * 3 + [(99, 98)] * 2, {0.2: 196, math.inf: 495}),  # a pod that is five minutes old
    ],
)
def test_what_stable_did_lately_counts(minutes: list[tuple[int, int]], within: dict[float, int]) -> None:
    """Ten minutes, if they had a thousand requests; else up to an hour."""
    counters = buckets(minutes)
    assert baseline.recent_latencies(counters, "old", 60.0 * len(minutes)) == within
    assert not any(baseline.recent_latencies(counters, "another", 60.0 * len(minutes)).values())


def test_latencies_are_compared_where_stable_has_a_fair_share_of_slow_requests() -> None:
    """Between a quarter and two in a thousand; of more than five such bounds, five that are spread over them."""
    tails = dict(zip(LATENCY_BOUNDS, np.geomspace(0.9, 1e-5, len(LATENCY_BOUNDS)), strict=True))
    chosen = baseline.comparison_bounds(
        OBJECTIVES, {**{bound: 1000 * (1 - tail) for bound, tail in tails.items()}, math.inf: 1000}
    )
    fair = [bound for bound, tail in tails.items() if 0.002 <= tail <= 0.25]
    assert len(chosen) == 5
    assert (chosen[0], chosen[-1]) == (fair[0], fair[-1])
    assert set(chosen) <= set(fair)
    assert list(chosen) == sorted(chosen)


def test_few_fair_bounds_are_all_compared() -> None:
    """Each once, in order, whatever the order in which they come."""
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
    """No requests yet, no total, nothing slow at all, or no numbers."""
    assert baseline.comparison_bounds(OBJECTIVES, totals) == (0.2,)
    assert baseline.comparison_bounds(ERRORS, totals) == ()


@pytest.mark.parametrize("bins", [[], edges(0), edges(20)])
def test_an_empty_record_is_worth_three_hours_without_a_burst(bins: list[float]) -> None:
    """Its law allows one burst in them; in each column of what is compared."""
    found = baseline.learn(OBJECTIVES, (0.1, 0.2), Counters(), "old", bins)
    unknown = BurstLaw.unknown(UNKNOWN_SECONDS)
    assert (found.pod_seconds, found.bounds) == (0, (0.1, 0.2))
    for name, columns in (("errors", 1), ("p95", 2), ("accuracy", 1)):
        assert same(found.by_objective[name], ObjectiveBaseline(BurstLaw.unknown(UNKNOWN_SECONDS, (columns,)), unknown))
        assert found.by_objective[name].compared.starts.shape == (columns, len(unknown.starts))


def test_pods_are_taken_one_after_the_other() -> None:
    """Two calm pods for an hour are one calm pod for two."""
    first, second = [0, 1] * 20, [1, 0] * 20
    apart, in_a_row = learned(pod("a", first), pod("b", second), bins=40), learned(pod("a", first + second), bins=80)
    assert same(apart.by_objective["errors"], in_a_row.by_objective["errors"])
    assert apart.pod_seconds == in_a_row.pod_seconds == 80 * BIN
    assert (apart.by_objective["errors"].requests, apart.by_objective["errors"].bad) == (8000, 40)


def test_a_pod_counts_for_the_time_that_it_was_scraped_for() -> None:
    """Bins before its first scrape and after its last are no calm time; those of another revision are not stable's."""
    part = learned(pod("a", [0, 2, 0], first=5), pod("new", [9] * 10, revision="new"), bins=10)
    whole = learned(pod("a", [0, 2, 0]), bins=3)
    assert part.pod_seconds == 3 * BIN
    assert same(part.by_objective["errors"], whole.by_objective["errors"])


def test_the_law_is_that_of_the_bins() -> None:
    """Requests and bad ones of each, in order, of a record that is worth three hours at least."""
    growth = [1] * 30 + [40] * 4 + [1] * 30
    found = learned(pod("a", growth), bins=64).by_objective["errors"]
    bins = bursts.PodHistory(np.full(64, 100.0), np.array(growth, float), BIN)
    assert same(
        found,
        ObjectiveBaseline(
            bursts.learn(_columns(bins), UNKNOWN_SECONDS), bursts.learn(bins, UNKNOWN_SECONDS), 6400, 220
        ),
    )
    assert found.judged.any_start > learned(pod("a", [1] * 64), bins=64).by_objective["errors"].judged.any_start


def _columns(bins: bursts.PodHistory) -> bursts.PodHistory:
    return bursts.PodHistory(bins.requests[None], bins.bad[None], bins.bin_seconds)


@pytest.mark.parametrize(("every", "often"), [(0, 0.0), (40, 6.0), (120, 2.0)])
def test_how_often_stable_bursts_is_told(every: int, often: float) -> None:
    """To ten times its rate, for a minute, in six hours of one pod: about what was planted, per pod and hour."""
    growth = [20 if every and k % every < 4 else 2 for k in range(1440)]
    name, found = learned(pod("a", growth), bins=1440).most_bursts
    assert name == "errors"
    assert found == pytest.approx(often, abs=0.2, rel=0.2)


@pytest.mark.parametrize(
    ("within", "longest"),
    [
        ({}, 0.0),
        ({0.1: 0.0, math.inf: 0.0}, 0.0),
        ({0.1: 994.0, 0.2: 995.0, 60.0: 1000.0, math.inf: 1000.0}, 0.2),
        ({0.1: 0.0, 60.0: 900.0, math.inf: 1000.0}, 60.0),
    ],
)
def test_how_long_requests_take_is_known_from_the_histogram(within: dict[float, float], longest: float) -> None:
    """All but a few of them; beyond the last bound nothing is known."""
    assert baseline.nearly_all_within(within) == longest
