"""Learning the burst law: a calm baseline gives a calm law, planted bursts are found, a short baseline allows much."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.bursts import learn
from sluice_operator.evalues.chain import LEVELS, BurstLaw
from sluice_operator.evalues.counts import BinnedCounts

BIN = 15.0
SIX_HOURS = 6 * 240  # bins


def baseline(share: Floats, requests: float, seed: int) -> BinnedCounts:
    """Poisson counts with `requests` per bin on average. `share`: of bad requests in each bin."""
    random = np.random.default_rng(seed)
    total = random.poisson(requests, share.shape)
    return BinnedCounts(total.astype(float), random.binomial(total, share).astype(float), BIN)


def planted(factor: float, every: int, bins: int) -> Floats:
    """Shares of bad requests: 1 %, and `factor` times as much in `bins` bins of every `every` bins."""
    share = np.full(SIX_HOURS, 0.01)
    for begin in range(every // 2, SIX_HOURS, every):
        share[begin : begin + bins] *= factor
    return share


def assert_finite_and_positive(law: BurstLaw) -> None:
    for values in (law.starts, law.seconds, law.any_start):
        assert np.isfinite(values).all()
        assert (values > 0).all()


@pytest.mark.parametrize("requests", [20.0, 200.0, 2000.0])
def test_a_calm_baseline_gives_a_calm_law(requests: float) -> None:
    """Little more than the prior: at each high level, fewer than three bursts in six hours."""
    law = learn(baseline(np.full(SIX_HOURS, 0.01), requests, 1))
    assert_finite_and_positive(law)
    high = LEVELS >= 5
    assert (law.starts[high] * 6 * 3600 < 3).all()


@pytest.mark.parametrize("factor", [5.0, 10.0, 20.0])
@pytest.mark.parametrize(("every", "bins"), [(40, 4), (240, 4), (80, 12)])
def test_planted_bursts_are_found(factor: float, every: int, bins: int) -> None:
    """How often at the planted level and in total, and how long: each within 50 % of what was planted."""
    law = learn(baseline(planted(factor, every, bins), 1000.0, 2))
    level = int(np.argmin(np.abs(LEVELS - factor)))
    assert_finite_and_positive(law)
    assert float(law.any_start) == pytest.approx(1 / (every * BIN), rel=0.5)
    assert law.starts[level] == pytest.approx(1 / (every * BIN), rel=0.5)
    assert law.seconds[level] == pytest.approx(bins * BIN, rel=0.5)


def test_a_burst_counts_for_all_lower_levels_and_the_next_higher_one() -> None:
    """A burst looks weaker when a bin covers only half of it; it never looks twice as strong."""
    law = learn(baseline(planted(10.0, 40, 4), 1000.0, 3))
    level = int(np.argmin(np.abs(LEVELS - 10.0)))
    assert (law.starts[: level + 2] > 1e-3).all()
    assert (law.starts[level + 2 :] < 1e-4).all()


def test_columns_are_learned_one_by_one() -> None:
    """A column with bursts does not change the law of another column."""
    calm, bursty = baseline(np.full(SIX_HOURS, 0.01), 500.0, 4), baseline(planted(10.0, 40, 4), 500.0, 4)
    both = learn(BinnedCounts(np.stack([calm.requests, bursty.requests]), np.stack([calm.bad, bursty.bad]), BIN))
    for column, law in enumerate((learn(calm), learn(bursty))):
        np.testing.assert_allclose(both.starts[column], law.starts)
        np.testing.assert_allclose(both.seconds[column], law.seconds)


@pytest.mark.parametrize("bins", [0, 1, 5, 19, 20, 21])
@pytest.mark.parametrize("requests", [0.0, 300.0])
def test_a_very_short_baseline_allows_many_bursts(bins: int, requests: float) -> None:
    """Bursts are common under its law, which is finite and positive, even where there is no bin at all."""
    law = learn(baseline(np.full(bins, 0.01), requests, 5))
    assert_finite_and_positive(law)
    assert float(law.any_start) >= 1 / (max(bins, 1) * BIN)


def test_a_baseline_without_requests_is_not_calm() -> None:
    """Six hours without a request do not show that there was no burst."""
    law = learn(baseline(np.full(SIX_HOURS, 0.01), 0.0, 6))
    assert_finite_and_positive(law)
    assert float(law.any_start) > 3 / (6 * 3600)


def test_a_longer_calm_baseline_allows_fewer_bursts() -> None:
    """The prior is one burst over the whole baseline."""
    hours = [learn(baseline(np.full(h * 240, 0.01), 500.0, 7)).starts[-1] for h in (1, 3, 6, 24)]
    assert hours == sorted(hours, reverse=True)


def test_a_short_baseline_may_count_as_a_longer_one() -> None:
    """The time that is missing is then treated as calm."""
    short = baseline(np.full(40, 0.01), 500.0, 8)
    assert float(learn(short, minimum_seconds=6 * 3600.0).any_start) < float(learn(short).any_start) / 10


@pytest.mark.parametrize(("factor", "every"), [(1.0, 240), (10.0, 240), (20.0, 40)])
def test_a_past_of_many_pods_has_the_law_of_few(factor: float, every: int) -> None:
    """Counts that are cut into parts, because one long recursion takes long, give nearly the same law."""
    pods = 12
    share = np.concatenate([planted(factor, every, 4)] * pods)
    cut = learn(baseline(share, 1000.0, 5))
    parts = [baseline(planted(factor, every, 4), 1000.0, seed) for seed in range(8)]
    requests, bad = (np.concatenate([part[row] for part in parts]) for row in (0, 1))
    whole = learn(BinnedCounts(requests, bad, BIN))
    assert_finite_and_positive(cut)
    assert float(cut.any_start) == pytest.approx(float(whole.any_start), rel=0.25)
    assert cut.starts == pytest.approx(whole.starts, rel=0.5, abs=1 / (SIX_HOURS * BIN))


def test_columns_are_cut_alike() -> None:
    """A column has the same law with others beside it as alone."""
    counted = baseline(np.concatenate([planted(10.0, 80, 4)] * 10), 500.0, 7)
    requests, bad = (np.stack([numbers, numbers[::-1]]) for numbers in (counted.requests, counted.bad))
    two = BinnedCounts(requests, bad, BIN)
    alone, first = learn(counted), learn(two).part(0)
    for law, other in (
        (alone.starts, first.starts),
        (alone.seconds, first.seconds),
        (alone.any_start, first.any_start),
    ):
        assert law == pytest.approx(other)
