"""Bad requests that come in clumps: no test errs more often for them, and their size is learned from the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.bursts import learn
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.clumps import LARGEST_DIVISOR, UNKNOWN_DIVISOR
from sluice_operator.evalues.counts import BinnedCounts, Counts
from sluice_operator.evalues.objective import Criterion, Margin, ObjectiveBaseline, ObjectiveCounts, ObjectiveEProcesses

EPS = 1e-9
NO_BURSTS = BurstLaw.unknown(1e12)
OFTEN = BurstLaw(np.full(9, 2e-4), np.full(9, 60.0), np.asarray(1.7e-3))

Shares = tuple[float, float]  # of bad requests, of the canary and of stable
Outcomes = list[tuple[int, int, float]]  # of a group: bad requests of the canary and of stable, and the probability
GROUPS = ((2, 0), (1, 1), (0, 2))  # the requests of the canary and of stable in each group of a tick
LIMIT, RATIO, DROP = 0.25, 2.0, 0.2


def together(canary: int, stable: int, shares: Shares) -> Outcomes:
    """All requests are bad for one cause, or those of one revision are."""
    p_c, p_s = shares
    both = min(shares)
    return [(canary, stable, both), (canary, 0, p_c - both), (0, stable, p_s - both), (0, 0, 1 - max(shares))]


def excluding(canary: int, stable: int, shares: Shares) -> Outcomes:
    """As far as possible, only one of the two requests is bad."""
    requests = [0] * canary + [1] * stable
    p, q = (shares[revision] for revision in requests)
    both = max(0.0, p + q - 1)
    only = [(1 - revision, revision, share - both) for revision, share in zip(requests, (p, q), strict=True)]
    return [(canary, stable, both), *only, (0, 0, 1 - p - q + both)]


Kind = Callable[[int, int, Shares], Outcomes]


def chances(kind: Kind, shares: Shares) -> Floats:
    """The probability of each outcome of a tick: groups are independent."""
    tables = product(*(kind(*group, shares) for group in GROUPS))
    return np.array([np.prod([chance for *_, chance in table]) for table in tables])


def after_two_ticks(kind: Kind, law: BurstLaw, margin: Margin, divisor: float = 2.0) -> ObjectiveEProcesses:
    """The e-processes of an objective for every pair of outcomes of the two ticks."""
    tables = list(product(*(kind(*group, (0.5, 0.5)) for group in GROUPS)))
    bad = np.array([[sum(group[revision] for group in table) for revision in (0, 1)] for table in tables], float)
    criterion = Criterion(True, LIMIT, compares_judged=True, margins=(margin,))
    tested = ObjectiveEProcesses(criterion, baseline(law, divisor), Pods(1, 1), 5.0)
    for outcome in np.indices((len(tables), len(tables))).reshape(2, -1):
        canary, stable = (
            Counts(np.full(len(outcome), float(requests)), bad[outcome, revision])
            for revision, requests in enumerate(np.sum(GROUPS, 0))
        )
        tested.update(with_one_column(canary), with_one_column(stable), proven=True)
    return tested


def baseline(law: BurstLaw, divisor: float) -> ObjectiveBaseline:
    """With one column that is compared."""
    judged = replace(law, divisor=np.asarray(divisor))
    column = BurstLaw(law.starts[None], law.seconds[None], law.any_start[None], np.array([divisor]))
    return ObjectiveBaseline(column, judged)


def with_one_column(judged: Counts) -> ObjectiveCounts:
    return ObjectiveCounts(judged, Counts(judged.requests[None], judged.bad[None]))


def worst_mean(log_evalue: Floats, kind: Kind, shares: Sequence[Shares]) -> float:
    """The largest mean if each of the two ticks may have any pair of `shares`."""
    by_pair = np.array([chances(kind, pair) for pair in shares])
    return float((by_pair @ np.exp(log_evalue).reshape(by_pair.shape[1], -1) @ by_pair.T).max())


def pairs(allowed: Callable[[float, float], bool]) -> list[Shares]:
    grid = (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
    return [(c, s) for c, s in product(grid, repeat=2) if allowed(c, s)]


NO_WORSE = pairs(lambda c, s: c <= s)


@pytest.mark.parametrize("kind", [together, excluding])
@pytest.mark.parametrize("law", [NO_BURSTS, OFTEN], ids=["no bursts", "often"])
def test_groups_of_dependent_requests_may_be_as_large_as_a_clump(kind: Kind, law: BurstLaw) -> None:
    """Whatever happens inside a group, and also if it is of both revisions: the mean of each e-value is at most 1."""
    ratio = after_two_ticks(kind, law, Margin(ratio=RATIO, tolerance=LIMIT))
    assert worst_mean(ratio.log_worse, kind, NO_WORSE) <= 1 + EPS
    assert worst_mean(ratio.log_over_limit, kind, pairs(lambda c, _: c <= LIMIT)) <= 1 + EPS
    worse = pairs(lambda c, s: c >= RATIO * s and c >= LIMIT)
    assert worst_mean(ratio.log_non_inferior(0), kind, worse) <= 1 + EPS
    drop = after_two_ticks(kind, law, Margin(drop=DROP))
    assert worst_mean(drop.log_non_inferior(0), kind, pairs(lambda c, s: c >= s + DROP - EPS)) <= 1 + EPS


def test_smaller_clumps_than_the_groups_are_not_enough() -> None:
    """Counted one by one, requests that are bad together are evidence against a canary that keeps its limit."""
    one_by_one = after_two_ticks(together, NO_BURSTS, Margin(ratio=RATIO), divisor=1.0)
    assert worst_mean(one_by_one.log_over_limit, together, pairs(lambda c, _: c <= LIMIT)) > 1.1


def in_geometric_clumps(mean_bad: float, size: float, most: int) -> Floats:
    """The probabilities of 0 to `most` bad requests in a Poisson number of clumps of geometric sizes."""
    number, bad = np.arange(1, 60)[:, None], np.arange(most + 1)
    of_sizes = nbinom.pmf(bad - number, number, 1 / size)
    chance = (poisson.pmf(number, mean_bad / size) * of_sizes).sum(0)
    chance[0] += poisson.pmf(0, mean_bad / size)
    return np.asarray(chance)


@pytest.mark.parametrize("weight", [0.15, 0.5])
@pytest.mark.parametrize("size", [2.0, 5.0])
def test_geometric_clumps_are_covered_although_some_are_larger(weight: float, size: float) -> None:
    """A random bad request is in a clump of 2 * size - 1. Counts are divided by 1.5 times what this is over 1."""
    most, mean_bad = int(60 * size), 6.0
    canary, stable = (in_geometric_clumps(mean_bad * share, size, most) for share in (weight, 1 - weight))
    tables = np.indices((most + 1, most + 1)).reshape(2, -1).astype(float)
    criterion = Criterion(True, None, compares_judged=True, margins=())
    tested = ObjectiveEProcesses(criterion, baseline(NO_BURSTS, 1 + 1.5 * (2 * size - 2)), Pods(1, 1), 5.0)
    requests = (weight * 1e6, (1 - weight) * 1e6)
    of_each = (Counts(np.full_like(bad, n), bad) for n, bad in zip(requests, tables, strict=True))
    tested.update(*map(with_one_column, of_each), proven=True)
    assert (np.outer(canary, stable).ravel() * np.exp(tested.log_worse)).sum() <= 1 + EPS


BIN, SIX_HOURS = 15.0, 6 * 240  # seconds, and bins


def planted(share: Floats, size: int, seed: int = 1, requests: float = 1000.0) -> BinnedCounts:
    """A Poisson number of clumps in each bin, each of so many bad requests. `share`: of bad requests, by bin."""
    random = np.random.default_rng(seed)
    bad = size * random.poisson(requests * share / size)
    return BinnedCounts(np.full(share.shape, requests), bad.astype(float), BIN)


@pytest.mark.parametrize("size", [2, 5, 20])
@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_size_of_clumps_is_learned(size: int, share: float) -> None:
    """With a margin for larger ones: by how much 1 is exceeded is 1.3 to 2.2 times what was planted."""
    learned = float(learn(planted(np.full(SIX_HOURS, share), size)).divisor)
    expected = size / (1 - share)  # a Poisson number of clumps varies more than a fixed number of requests
    assert 1.3 * (expected - 1) < learned - 1 < 2.2 * (expected - 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("requests", [20.0, 200.0, 20_000.0])
def test_independent_requests_hardly_look_like_clumps(requests: float, seed: int) -> None:
    """A verdict takes at most 1.35 times as many requests after six hours of them, and 1.15 times on average."""
    random = np.random.default_rng(seed)
    columns = [random.binomial(int(requests), share, SIX_HOURS) for share in (0.002, 0.02, 0.2)]
    bad = np.array(columns, float)
    divisor = learn(BinnedCounts(np.full_like(bad, requests), bad, BIN)).divisor
    assert (divisor <= 1.35).all()
    assert divisor.mean() <= 1.15


def test_a_share_that_changes_slowly_is_no_clump() -> None:
    """Twice as many at noon as at midnight."""
    share = 0.015 - 0.005 * np.cos(np.linspace(0, np.pi, SIX_HOURS))
    assert learn(planted(share, 1, requests=20_000.0)).divisor <= 1.35


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("factor", [3.0, 20.0])
def test_bursts_are_no_clumps_and_clumps_are_no_bursts(factor: float, size: int) -> None:
    """A burst lasts for several bins. Each of both is found as if the other were not there."""
    share = np.full(SIX_HOURS, 0.01)
    for begin in range(30, SIX_HOURS, 60):
        share[begin : begin + 4] *= factor
    law = learn(planted(share, size, requests=5000.0))
    assert float(law.any_start) == pytest.approx(1 / (60 * BIN), rel=0.5)
    assert float(law.divisor) == pytest.approx(float(learn(planted(np.full(SIX_HOURS, 0.01), size)).divisor), rel=0.3)


def test_clumps_alone_are_no_bursts() -> None:
    """Clumps of 20 in half of the bins; little more than the prior, which is one burst, is taken for a burst."""
    assert float(learn(planted(np.full(SIX_HOURS, 0.01), 20)).any_start) * SIX_HOURS * BIN < 6


@pytest.mark.parametrize("bins", [0, 1, 2, 20])
def test_a_missing_past_counts_as_one_with_small_clumps(bins: int) -> None:
    """Of three hours nearly nothing is known; bad requests without any pattern do not change that."""
    law = learn(planted(np.full(bins, 0.01), 1), minimum_seconds=3 * 3600.0)
    assert float(law.divisor) == pytest.approx(UNKNOWN_DIVISOR, rel=0.1)


def test_large_clumps_are_seen_in_a_short_past() -> None:
    """Twenty minutes are enough, where there are many."""
    assert float(learn(planted(np.full(80, 0.1), 20), minimum_seconds=3 * 3600.0).divisor) > 10


@pytest.mark.parametrize("bad", [0, 1, 5])
def test_nearly_without_a_bad_request_nothing_is_known(bad: int) -> None:
    """Six hours are a long past, but they do not show how bad requests come."""
    counted = planted(np.zeros(SIX_HOURS), 1)
    counted.bad[: 100 * bad : 100] = 1
    assert float(learn(counted, minimum_seconds=3 * 3600.0).divisor) == pytest.approx(UNKNOWN_DIVISOR, abs=0.1)


def geometric(share: float, size: float, requests: float, seed: int) -> BinnedCounts:
    """Six hours with clumps of geometric sizes."""
    random = np.random.default_rng(seed)
    clumps = random.poisson(np.full(SIX_HOURS, requests * share / size))
    bad = np.where(clumps > 0, clumps + random.negative_binomial(np.maximum(clumps, 1), 1 / size), 0)
    return BinnedCounts(np.full(SIX_HOURS, requests), np.minimum(bad, requests).astype(float), BIN)


@pytest.mark.parametrize(
    ("share", "requests", "least"), [(0.001, 150.0, 0.4), (0.001, 1500.0, 0.75), (0.01, 1500.0, 0.95)]
)
@pytest.mark.parametrize("size", [5.0, 20.0])
def test_sizes_that_differ_are_learned_from_few_clumps(
    size: float, share: float, requests: float, least: float
) -> None:
    """The median of 11 pasts, as a part of the mean size of a random bad request's clump, 2 * size - 1. The first has
    11 or 43 clumps in six hours."""
    learned = [float(learn(geometric(share, size, requests, seed)).divisor) for seed in range(11)]
    assert least < np.median(learned) / (2 * size - 1) < 1.8


@pytest.mark.parametrize(("every", "group", "least", "most"), [(40, 1, 1.0, 1.5), (40, 20, 10, 60), (4, 20, 20, 60)])
def test_labels_that_a_job_posts_now_and_then_show_their_clumps(
    every: int, group: int, least: float, most: float
) -> None:
    """A thousand every ten minutes, or every minute, right or wrong in groups. Bins without labels part nothing."""
    random = np.random.default_rng(1)
    requests, bad = np.zeros(SIX_HOURS), np.zeros(SIX_HOURS)
    requests[::every] = 1000
    bad[::every] = group * random.binomial(1000 // group, 0.05, SIX_HOURS // every)
    law = learn(BinnedCounts(requests, bad, BIN), minimum_seconds=3 * 3600.0)
    assert least <= float(law.divisor) <= most
    assert float(law.any_start) * SIX_HOURS * BIN < (40 if every == 40 else 8)


@pytest.mark.parametrize("background", [0.0, 1e-5, 1e-3])
def test_a_single_incident_is_no_clump_whichever_bins_it_is_in(background: float) -> None:
    """300 errors that move over the edge of a bin in small steps, or that last for up to two minutes."""
    bad = np.random.default_rng(2).binomial(1500, background, (11 + 7, SIX_HOURS)).astype(float)
    bad[:] = bad[:1]
    alone = float(learn(BinnedCounts(np.full(SIX_HOURS, 1500.0), bad[0], BIN)).divisor)
    for step in range(11):
        bad[step, 700:702] += 300 - 30 * step, 30 * step
    for bins in range(2, 9):
        bad[11 + bins - 2, 700 : 700 + bins] += 300 // bins
    divisors = learn(BinnedCounts(np.full_like(bad, 1500.0), bad, BIN)).divisor
    assert divisors == pytest.approx(alone, abs=0.2)


def test_counts_are_never_divided_by_more_than_the_largest_divisor() -> None:
    """Two incidents of the same size look like clumps; what they cost has a limit."""
    bad = np.zeros(SIX_HOURS)
    bad[[300, 900]] = 300
    assert float(learn(BinnedCounts(np.full(SIX_HOURS, 1500.0), bad, BIN)).divisor) <= LARGEST_DIVISOR
