"""The burst chain: how the ratio between two arms may move while neither arm is worse than the other.

A hidden Markov model. Quiet, both arms have the same rate: ratio 1. While pods of the suspected arm burst, its rate is
one of LEVELS times the other's; while pods of the other arm burst, the ratio is one of DIPS. How often and how long is
learned from the record of the stable revision (`bursts.py`); a burst lasts STAGES exponential stages in a row.

An alternative is the same chain with a quiet ratio of psi instead of 1, which keeps only the bursts above psi: leaving
states out loses probability, so its likelihood is a lower bound, and the e-value stays valid.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sluice_operator.evalues.arithmetic import Floats

LEVELS = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0])
DIPS = 1 / np.array([1.5, 3.0, 6.0, 12.0, 30.0])
RATIOS = np.concatenate([[1.0], LEVELS, DIPS])  # what an observation's likelihood is asked for
STAGES = 3

_DIP_SECONDS = 60.0  # how long a burst of the other arm lasts
_QUIET = 0
_DIPS = slice(1, 1 + len(DIPS))
_STATES = 1 + len(DIPS) + STAGES * len(LEVELS)
_RARE = 0.05  # largest chance of a burst's start in one tick that the chain admits
_FLOOR = -460.0  # log-likelihoods below the best ratio's by more than this count as this
DECIDED = 1e100  # e-values are not told apart beyond this


@dataclass(frozen=True, slots=True)
class BurstLaw:
    """How one pod bursts, per level. `starts` per second and `seconds` of a burst: shape (..., len(LEVELS)).

    `any_start`, of shape (...): starts per second of bursts of any level, which are not the sum of `starts`, because
    those are counted generously.
    """

    starts: Floats
    seconds: Floats
    any_start: Floats

    @classmethod
    def unknown(cls, record_seconds: float, shape: tuple[int, ...] = ()) -> Self:
        """The law of a record without a burst: one of a minute is expected over its length."""
        level = np.full((*shape, len(LEVELS)), 1 / (len(LEVELS) * record_seconds))
        return cls(level, np.full_like(level, 60.0), np.full(shape, 1 / record_seconds))

    def part(self, columns: int | slice) -> "BurstLaw":
        """The law of some columns alone."""
        return BurstLaw(self.starts[columns], self.seconds[columns], np.asarray(self.any_start[columns]))


@dataclass(frozen=True, slots=True)
class Pods:
    """How many pods may burst: of the arm that is suspected, and of the one it is compared with (0: none is)."""

    suspected: int
    reference: int


class BurstChain:
    """The chance of what was seen under each alternative, relative to the null's, by forward recursions.

    Of each alternative's weight, `at_start` is bet on its holding from the first tick; the rest is spread over later
    beginnings (see `begins_after`), so that an arm that turns worse later is found as well.
    """

    def __init__(
        self, law: BurstLaw, pods: Pods, tick_seconds: float, alternatives: tuple[int, ...], at_start: float
    ) -> None:
        everything = np.ones(len(LEVELS), bool)
        kept_levels = np.array([np.arange(len(LEVELS)) > psi for psi in alternatives])
        self._quiet, self._alternatives = _ratios(0), np.array([_ratios(1 + psi) for psi in alternatives])
        self._null_matrix = _transitions(law, pods, tick_seconds, everything)
        self._matrices = np.stack([_transitions(law, pods, tick_seconds, kept) for kept in kept_levels], axis=-3)
        # The states in which the alternatives begin: the null's, without the bursts that they leave out.
        stages = np.tile(kept_levels, STAGES)
        self._entered = np.concatenate([np.ones((len(stages), _DIPS.stop)), stages], -1)[:, None, :]
        begin = _start(law, pods)[..., None, :]
        # Chance of each state: (..., runs, states), sums to 1; and that of each alternative, relative to what the null
        # gave to all that was seen: (..., alternatives, runs, states).
        self._null = begin
        self._calm_before, self._calm_tick = begin[..., 0, _QUIET], self._null_matrix[..., _QUIET, _QUIET]
        self._bets = at_start * begin[..., None, :, :] * self._entered
        self._late, self._ticks = 1 - at_start, 0

    def update(self, log_likelihood: Floats) -> None:
        """One tick. `log_likelihood`: of its counts under each of RATIOS, shape (..., runs, len(RATIOS))."""
        best = log_likelihood.max(-1, keepdims=True)
        likelihood = np.exp(np.maximum(log_likelihood - best, _FLOOR))
        if self._ticks and self._late:
            fresh = self._late * begins_after(self._ticks)
            self._bets = self._bets + fresh * self._null[..., None, :, :] * self._entered
        self._ticks += 1
        null = (self._null @ self._null_matrix) * likelihood[..., self._quiet]
        chance = null.sum(-1, keepdims=True)
        self._null = null / chance
        by_state = np.moveaxis(likelihood[..., self._alternatives], -2, -3)
        bets = (self._bets @ self._matrices) * by_state / chance[..., None, :, :]
        total = bets.sum(-1, keepdims=True)
        self._bets = bets * (np.minimum(total, DECIDED) / np.maximum(total, 1e-300))

    @property
    def no_burst_chance(self) -> Floats:
        """The chance that nobody burst until now, by the law; without an axis of runs."""
        return np.asarray(self._calm_before * self._calm_tick**self._ticks)

    @property
    def log_evalue(self) -> Floats:
        """Mean over the alternatives; shape (..., runs)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._bets.sum(-1).mean(-2)))


def begins_after(ticks: int) -> float:
    """The part of all late beginnings that is bet on the one after so many ticks; all parts add up to 1."""
    return float(ticks**-0.5 - (ticks + 1) ** -0.5)


def _ratios(quiet: int) -> NDArray[np.intp]:
    """Index into RATIOS of each state, where quiet has the one of index `quiet`."""
    levels, dips = 1 + np.arange(len(LEVELS)), 1 + len(LEVELS) + np.arange(len(DIPS))
    return np.concatenate([[quiet], dips, np.tile(levels, STAGES)])


def _stage(number: int) -> slice:
    begin = _DIPS.stop + number * len(LEVELS)
    return slice(begin, begin + len(LEVELS))


def _dipped_share(law: BurstLaw, pods: Pods) -> Floats:
    """Share of quiet time in which a pod of the other arm bursts."""
    rate = pods.reference * law.any_start
    return rate / (rate + 1 / _DIP_SECONDS)


def _start(law: BurstLaw, pods: Pods) -> Floats:
    """The stationary distribution: a run may begin inside a burst."""
    bursting = pods.suspected * law.starts * law.seconds
    quiet = 1 / (1 + bursting.sum(-1))
    dipped = _dipped_share(law, pods)
    states = np.zeros((*quiet.shape, _STATES))
    states[..., _QUIET] = quiet * (1 - dipped)
    states[..., _DIPS] = (quiet * dipped / len(DIPS))[..., None]
    for number in range(STAGES):
        states[..., _stage(number)] = quiet[..., None] * bursting / STAGES
    return states


def _transitions(law: BurstLaw, pods: Pods, tick_seconds: float, kept: NDArray[np.bool_]) -> Floats:
    """Chances to go from state (row) to state (column) in one tick; rows sum to 1 when all levels are kept.

    Else they sum to less: what is left out is not added to quiet time. So an alternative does not gain where nothing
    bursts, and the null may allow for more bursts than there are.
    """
    begins = np.minimum(pods.suspected * law.starts * tick_seconds, _RARE)
    leaves = np.minimum(STAGES * tick_seconds / law.seconds, 0.9)
    dips = np.minimum(pods.reference * law.any_start * tick_seconds, 0.5)
    undips = min(tick_seconds / _DIP_SECONDS, 0.5)
    redraws = np.minimum(2 * pods.reference * law.any_start * tick_seconds, 0.5)[..., None, None]
    dipped = _dipped_share(law, pods)[..., None]
    stays_quiet = 1 - begins.sum(-1)
    begins = begins * kept

    matrix = np.zeros((*stays_quiet.shape, _STATES, _STATES))
    matrix[..., _QUIET, _QUIET] = stays_quiet * (1 - dips)
    matrix[..., _QUIET, _DIPS] = (stays_quiet * dips / len(DIPS))[..., None]
    matrix[..., _DIPS, _QUIET] = (stays_quiet * undips)[..., None]
    matrix[..., _DIPS, _DIPS] = (stays_quiet * (1 - undips))[..., None, None] * _redrawn(len(DIPS), redraws)
    matrix[..., : _DIPS.stop, _stage(0)] = begins[..., None, :]
    for number in range(STAGES):
        here = _stage(number)
        matrix[..., here, here] = (1 - leaves)[..., :, None] * _redrawn(len(LEVELS), redraws) * kept
        if number + 1 < STAGES:
            matrix[..., here, _stage(number + 1)] = leaves[..., :, None] * np.eye(len(LEVELS)) * kept
    last = _stage(STAGES - 1)
    matrix[..., last, _QUIET] = leaves * (1 - dipped)
    matrix[..., last, _DIPS] = (leaves * dipped / len(DIPS))[..., None]
    return matrix


def _redrawn(levels: int, chance: Floats) -> Floats:
    """The level stays, or is drawn anew because another pod of the other arm started or stopped to burst."""
    return (1 - chance) * np.eye(levels) + chance / levels
