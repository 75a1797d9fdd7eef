"""What is learned from a record: a calm law from a calm one, planted bursts from one with them, little from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.bursts import PodHistory, learn
from sluice_operator.evalues.chain import LEVELS, BurstLaw

BIN = 15.0
SIX_HOURS = 6 * 240  # bins


def record(share: Floats, requests: float, seed: int) -> PodHistory:
    """Poisson counts. `share`: of bad requests in each bin."""
    random = np.random.default_rng(seed)
    total = random.poisson(requests, share.shape)
    return PodHistory(total.astype(float), random.binomial(total, share).astype(float), BIN)


def planted(factor: float, every: int, bins: int) -> Floats:
    """1 % bad requests; `factor` times as many for `bins` bins in every `every`."""
    share = np.full(SIX_HOURS, 0.01)
    for begin in range(every // 2, SIX_HOURS, every):
        share[begin : begin + bins] *= factor
    return share


def assert_sound(law: BurstLaw) -> None:
    for values in (law.starts, law.seconds, law.any_start):
        assert np.isfinite(values).all()
        assert (values > 0).all()


@pytest.mark.parametrize("requests", [20.0, 200.0, 2000.0])
def test_a_calm_record_is_calm(requests: float) -> None:
    """Little more than the prior: less than three bursts of any high level in six hours."""
    law = learn(record(np.full(SIX_HOURS, 0.01), requests, 1))
    assert_sound(law)
    high = LEVELS >= 5
    assert (law.starts[high] * 6 * 3600 < 3).all()


@pytest.mark.parametrize("factor", [5.0, 10.0, 20.0])
@pytest.mark.parametrize(("every", "bins"), [(40, 4), (240, 4), (80, 12)])
def test_planted_bursts_are_found(factor: float, every: int, bins: int) -> None:
    """How often and how long, within a factor of 1.5, at the planted level and in total."""
    law = learn(record(planted(factor, every, bins), 1000.0, 2))
    level = int(np.argmin(np.abs(LEVELS - factor)))
    assert_sound(law)
    assert float(law.any_start) == pytest.approx(1 / (every * BIN), rel=0.5)
    assert law.starts[level] == pytest.approx(1 / (every * BIN), rel=0.5)
    assert law.seconds[level] == pytest.approx(bins * BIN, rel=0.5)


def test_bursts_are_smeared_downwards_and_one_level_up() -> None:
    """Seen for less when half covered by a bin; never for twice as much."""
    law = learn(record(planted(10.0, 40, 4), 1000.0, 3))
    level = int(np.argmin(np.abs(LEVELS - 10.0)))
    assert (law.starts[: level + 2] > 1e-3).all()
    assert (law.starts[level + 2 :] < 1e-4).all()


def test_columns_are_learned_one_by_one() -> None:
    """A column with bursts leaves its neighbour calm."""
    calm, bursty = record(np.full(SIX_HOURS, 0.01), 500.0, 4), record(planted(10.0, 40, 4), 500.0, 4)
    both = learn(PodHistory(np.stack([calm.requests, bursty.requests]), np.stack([calm.bad, bursty.bad]), BIN))
    for column, alone in enumerate((learn(calm), learn(bursty))):
        np.testing.assert_allclose(both.starts[column], alone.starts)
        np.testing.assert_allclose(both.seconds[column], alone.seconds)


@pytest.mark.parametrize("bins", [0, 1, 5, 19, 20, 21])
@pytest.mark.parametrize("requests", [0.0, 300.0])
def test_a_very_short_record_allows_much(bins: int, requests: float) -> None:
    """It is a law all the same, and one under which bursts are common; so is that of no record at all."""
    law = learn(record(np.full(bins, 0.01), requests, 5))
    assert_sound(law)
    assert float(law.any_start) >= 1 / (max(bins, 1) * BIN)


def test_a_record_without_requests_is_not_calm() -> None:
    """Six hours in which nothing was asked are no evidence of six hours without a burst."""
    law = learn(record(np.full(SIX_HOURS, 0.01), 0.0, 6))
    assert_sound(law)
    assert float(law.any_start) > 3 / (6 * 3600)


def test_a_longer_calm_record_allows_less() -> None:
    """The prior is one burst over the record."""
    hours = [learn(record(np.full(h * 240, 0.01), 500.0, 7)).starts[-1] for h in (1, 3, 6, 24)]
    assert hours == sorted(hours, reverse=True)


def test_a_short_record_may_be_given_the_worth_of_a_longer_one() -> None:
    """What was not seen is then taken to be as calm."""
    short = record(np.full(40, 0.01), 500.0, 8)
    assert float(learn(short, worth=6 * 3600.0).any_start) < float(learn(short).any_start) / 10
