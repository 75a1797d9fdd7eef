"""The burst chain, compared with a second one written from docs/statistics.md: same rows, same sums over all paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sluice_operator.evalues.arithmetic import Floats
from sluice_operator.evalues.chain import (
    LEVELS,
    RATIOS,
    REFERENCE_BURST_RATIOS,
    STAGES,
    BurstLaw,
    Pods,
    _start,
    _transitions,
)
from sluice_operator.evalues.comparison import EVERY_LEVEL, Comparison
from sluice_operator.evalues.counts import Counts

DIPS = len(REFERENCE_BURST_RATIOS)
State = tuple[str, int, int]  # quiet, dip or burst; its level; its stage
QUIET: State = ("quiet", 0, 0)
STATES: list[State] = [
    QUIET,
    *(("dip", level, 0) for level in range(DIPS)),
    *(("burst", level, stage) for stage in range(STAGES) for level in range(len(LEVELS))),
]
LIVELY = BurstLaw(np.linspace(1e-4, 9e-4, len(LEVELS)), np.linspace(20.0, 180.0, len(LEVELS)), np.asarray(2e-3))
PODS = Pods(suspected=2, reference=3)
TICK = 5.0


class SecondChain:
    """The table of docs/statistics.md, section 5: the probability to go from one state to another in one tick."""

    def __init__(self, law: BurstLaw, pods: Pods, tick: float, above: int = -1) -> None:
        self._burst_starts = [float(pods.suspected * start * tick) for start in law.starts]
        self._stage_ends = [float(STAGES * tick / seconds) for seconds in law.seconds]
        self._dip_starts = pods.reference * float(law.any_start) * tick
        self._redraws = 2 * self._dip_starts
        self._dip_ends = tick / 60.0
        self._dip_share = self._dip_starts / (self._dip_starts + self._dip_ends)
        self._above = above  # bursts of this level and below are left out

    def chance(self, now: State, then: State) -> float:
        if "burst" in (now[0], then[0]) and self._left_out(now, then):
            return 0.0
        return self._from_burst(now, then) if now[0] == "burst" else self._from_quiet_or_dip(now, then)

    def _left_out(self, *states: State) -> bool:
        return any(kind == "burst" and level <= self._above for kind, level, _ in states)

    def _from_quiet_or_dip(self, now: State, then: State) -> float:
        if then[0] == "burst":
            return self._burst_starts[then[1]] if then[2] == 0 else 0.0
        no_start = 1 - sum(self._burst_starts)  # also where some are left out
        if now == QUIET:
            return no_start * ((1 - self._dip_starts) if then == QUIET else self._dip_starts / DIPS)
        if then == QUIET:
            return no_start * self._dip_ends
        return no_start * (1 - self._dip_ends) * ((1 - self._redraws) * (now == then) + self._redraws / DIPS)

    def _from_burst(self, now: State, then: State) -> float:
        _, level, stage = now
        stage_ends = self._stage_ends[level]
        if then[0] == "burst" and then[2] == stage:
            return (1 - stage_ends) * ((1 - self._redraws) * (now == then) + self._redraws / len(LEVELS))
        if stage + 1 < STAGES:
            return stage_ends * (then == ("burst", level, stage + 1))
        if then[0] == "burst":
            return 0.0
        return stage_ends * ((1 - self._dip_share) if then == QUIET else self._dip_share / DIPS)

    def matrix(self) -> Floats:
        return np.array([[self.chance(now, then) for then in STATES] for now in STATES])


def ratio(state: State, quiet: float) -> float:
    kind, level, _ = state
    if kind == "quiet":
        return quiet
    return float((REFERENCE_BURST_RATIOS if kind == "dip" else LEVELS)[level])


@pytest.mark.parametrize(
    "law", [LIVELY, BurstLaw.unknown(6 * 3600.0), BurstLaw.unknown(60.0)], ids=["lively", "calm", "a minute"]
)
@pytest.mark.parametrize("pods", [PODS, Pods(1, 0), Pods(50, 50)], ids=["few", "no reference", "many"])
@pytest.mark.parametrize("tick", [1.0, 5.0, 60.0])
def test_the_null_is_a_probability_law(law: BurstLaw, pods: Pods, tick: float) -> None:
    """Each row of the null's matrix and its start sum to 1 without a negative value, also for many bursts per tick."""
    matrix, start = _transitions(law, pods, tick, np.ones(len(LEVELS), bool)), _start(law, pods)
    assert matrix.min() >= 0
    assert start.min() >= 0
    np.testing.assert_allclose(matrix.sum(-1), 1, rtol=1e-12)
    assert start.sum() == pytest.approx(1)


@pytest.mark.parametrize("psi", EVERY_LEVEL)
def test_the_rows_of_an_alternative_sum_to_at_most_1(psi: int) -> None:
    """An alternative leaves states out, which only loses probability."""
    matrix = _transitions(LIVELY, PODS, TICK, np.arange(len(LEVELS)) > psi)
    assert matrix.min() >= 0
    assert matrix.sum(-1).max() <= 1 + 1e-12


def test_the_start_is_stationary() -> None:
    """So a run may begin inside a burst. The distribution stays the same up to the order of one tick's changes."""
    start = _start(LIVELY, Pods(2, 0))
    after = start @ _transitions(LIVELY, Pods(2, 0), 0.01, np.ones(len(LEVELS), bool))
    np.testing.assert_allclose(after, start, atol=2e-6)


@pytest.mark.parametrize("above", [-1, 0, 4, 8])
def test_the_matrices_are_those_of_the_documentation(above: int) -> None:
    """Wherever a state can be reached, its row is the same as that of the second chain."""
    matrix = _transitions(LIVELY, PODS, TICK, np.arange(len(LEVELS)) > above)
    reached = [not (kind == "burst" and level <= above) for kind, level, _ in STATES]
    np.testing.assert_allclose(matrix[reached], SecondChain(LIVELY, PODS, TICK, above).matrix()[reached], rtol=1e-12)
    assert not matrix[reached][:, np.logical_not(reached)].any()


Tick = tuple[float, float, float, float]  # requests and bad requests of the suspected revision, then of the reference
TICKS: list[Tick] = [(20, 3, 80, 2), (30, 1, 70, 6), (25, 5, 75, 1)]


def evalue(ticks: list[Tick], alternatives: tuple[int, ...], at_start: float = 0.7) -> float:
    comparison = Comparison(LIVELY, PODS, TICK, alternatives, at_start)
    for tick in ticks:
        n_c, y_c, n_s, y_s = (np.array([float(count)]) for count in tick)
        comparison.update(Counts(n_c, y_c), Counts(n_s, y_s))
    return float(np.exp(comparison.log_evalue[0]))


def weight_of_paths(ticks: list[Tick], psi: int | None, begins: int) -> float:
    """The sum over all paths of states: the probability of the path times the likelihood of the counts, which is
    relative to a ratio of 1.

    Up to tick `begins` (0: the first) the path follows the null; then, if `psi` is given, its alternative.
    """
    null = SecondChain(LIVELY, PODS, TICK).matrix()
    worse = null if psi is None else SecondChain(LIVELY, PODS, TICK, psi).matrix()
    possible = [psi is None or not (kind == "burst" and level <= psi) for kind, level, _ in STATES]
    states = np.indices((len(STATES),) * (len(ticks) + 1))  # of each path, before the first tick and after each
    weight = _start(LIVELY, PODS)[states[0]]
    for number, (n_c, y_c, n_s, y_s) in enumerate(ticks):
        if number == begins:
            weight = weight * np.array(possible)[states[number]]
        begun = number >= begins and psi is not None
        quiet = float(LEVELS[psi]) if begun and psi is not None else 1.0
        ratios = np.array([ratio(state, quiet) for state in STATES])
        share = n_c / (n_c + n_s)
        likelihood = ratios**y_c / (1 + share * (ratios - 1)) ** (y_c + y_s)
        matrix = worse if begun else null
        weight = weight * matrix[states[number], states[number + 1]] * likelihood[states[number + 1]]
    return float(weight.sum())


def beginnings(ticks: int, at_start: float) -> Iterator[tuple[int, float]]:
    """After how many ticks an alternative may begin, and the part of its weight for this beginning."""
    yield 0, at_start
    yield from ((k, (1 - at_start) * (k**-0.5 - (k + 1) ** -0.5)) for k in range(1, ticks))


@pytest.mark.parametrize("ticks", [1, 2, 3])
@pytest.mark.parametrize("psi", [1, 5])
def test_the_recursion_is_the_sum_over_all_paths(ticks: int, psi: int) -> None:
    """The e-value is the alternative's sum over all paths of hidden states, divided by the null's."""
    counted = TICKS[:ticks]
    alternative = sum(share * weight_of_paths(counted, psi, begins) for begins, share in beginnings(ticks, 0.7))
    assert evalue(counted, (psi,)) == pytest.approx(alternative / weight_of_paths(counted, None, 0), rel=1e-9)


def test_alternatives_are_averaged() -> None:
    """The e-value for two alternatives is the mean of those for each of them."""
    assert evalue(TICKS, (2, 6)) == pytest.approx((evalue(TICKS, (2,)) + evalue(TICKS, (6,))) / 2)


def test_the_ratios_are_those_of_the_states() -> None:
    """RATIOS has each ratio once: that of the quiet state, of each level and of each dip."""
    assert sorted({ratio(state, 1.0) for state in STATES}) == sorted(RATIOS)
