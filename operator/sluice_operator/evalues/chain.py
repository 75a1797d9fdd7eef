"""The burst chain: how the ratio of two revisions' rates of bad requests may move while neither is worse.

It is a hidden Markov model with three kinds of states (docs/statistics.md, section 5). Quiet: both revisions have the
same rate, so the ratio is 1. Burst: pods of the suspected revision have more bad requests, and the ratio is one of
LEVELS. Dip: pods of the reference revision burst, and the ratio is one of REFERENCE_BURST_RATIOS. How often and how
long pods burst is learned from the baseline (`bursts.py`). A burst goes through STAGES stages, one after the other.

An alternative is the same chain with a quiet ratio of psi instead of 1, and without bursts of level psi or below. What
is left out only lowers its likelihood. So the e-value stays valid.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sluice_operator.evalues.arithmetic import Floats

LEVELS = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0])
REFERENCE_BURST_RATIOS = 1 / np.array([1.5, 3.0, 6.0, 12.0, 30.0])
RATIOS = np.concatenate([[1.0], LEVELS, REFERENCE_BURST_RATIOS])  # all ratios for which a tick needs a likelihood
STAGES = 3
MAX_EVALUE = 1e100  # larger e-values are stored as this one

_DIP_SECONDS = 60.0  # the mean length of a dip
_QUIET = 0
_DIPS = slice(1, 1 + len(REFERENCE_BURST_RATIOS))
_STATES = 1 + len(REFERENCE_BURST_RATIOS) + STAGES * len(LEVELS)
_MAX_START_CHANCE = 0.05  # upper limit for the probability that a burst of one level starts in one tick
_MIN_LOG_LIKELIHOOD = -460.0  # lower limit for a log-likelihood, relative to that of the best ratio


@dataclass(frozen=True, slots=True)
class BurstLaw:
    """How one pod bursts, by level: `starts` per second and `seconds` of a burst, of shape (..., len(LEVELS)).

    `any_start`, of shape (...), is the number of starts per second at any level. It may be smaller than the sum of
    `starts`, because there a burst may count for several levels. `divisor`, of shape (...), says how many
    requests count as one, because bad ones come in clumps (`clumps.py`). The chain gets its counts divided by it.
    """

    starts: Floats
    seconds: Floats
    any_start: Floats
    divisor: Floats = field(default_factory=lambda: np.asarray(1.0))

    @classmethod
    def unknown(cls, baseline_seconds: float, shape: tuple[int, ...] = (), divisor: float = 1.0) -> Self:
        """The law after a baseline of this length without a burst: one burst of a minute in the same time."""
        level = np.full((*shape, len(LEVELS)), 1 / (len(LEVELS) * baseline_seconds))
        return cls(level, np.full_like(level, 60.0), np.full(shape, 1 / baseline_seconds), np.full(shape, divisor))

    def part(self, columns: int | slice) -> "BurstLaw":
        """The law of some of the columns."""
        return BurstLaw(
            self.starts[columns],
            self.seconds[columns],
            np.asarray(self.any_start[columns]),
            np.asarray(self.divisor[columns]),
        )


@dataclass(frozen=True, slots=True)
class Pods:
    """How many pods may burst: of the revision that is suspected to be worse, and of the reference (0: no pod)."""

    suspected: int
    reference: int


class BurstChain:
    """The likelihood of the counts so far under each alternative, relative to the null, by forward recursions.

    A part `at_start` of each alternative's weight is for one that holds from the first tick. The rest is for later
    beginnings (`late_start_weight`), so that a revision that becomes worse later is found too.
    """

    def __init__(
        self, law: BurstLaw, pods: Pods, tick_seconds: float, alternatives: tuple[int, ...], at_start: float
    ) -> None:
        every_level = np.ones(len(LEVELS), bool)
        levels_above = np.array([np.arange(len(LEVELS)) > psi for psi in alternatives])
        self._quiet, self._alternatives = _ratios(0), np.array([_ratios(1 + psi) for psi in alternatives])
        self._null_matrix = _transitions(law, pods, tick_seconds, every_level)
        self._matrices = np.stack([_transitions(law, pods, tick_seconds, levels) for levels in levels_above], axis=-3)
        # The states in which an alternative may begin: those of the null, without the bursts that it leaves out.
        stages = np.tile(levels_above, STAGES)
        self._possible = np.concatenate([np.ones((len(stages), _DIPS.stop)), stages], -1)[:, None, :]
        start = _start(law, pods)[..., None, :]
        # The probability of each state under the null: (..., runs, states), sums to 1. And the weight of each state of
        # an alternative, relative to what the null gives to all counts so far: (..., alternatives, runs, states).
        self._null = start
        self._quiet_at_start, self._quiet_in_tick = start[..., 0, _QUIET], self._null_matrix[..., _QUIET, _QUIET]
        self._alternative_weights = at_start * start[..., None, :, :] * self._possible
        self._late, self._ticks = 1 - at_start, 0

    def update(self, log_likelihood: Floats) -> None:
        """The next tick: the log-likelihood of its counts under each of RATIOS, of shape (..., runs, len(RATIOS))."""
        best = log_likelihood.max(-1, keepdims=True)
        likelihood = np.exp(np.maximum(log_likelihood - best, _MIN_LOG_LIKELIHOOD))
        if self._ticks and self._late:
            beginning = self._late * late_start_weight(self._ticks)
            self._alternative_weights = (
                self._alternative_weights + beginning * self._null[..., None, :, :] * self._possible
            )
        self._ticks += 1
        null = (self._null @ self._null_matrix) * likelihood[..., self._quiet]
        chance = null.sum(-1, keepdims=True)
        self._null = null / chance
        by_state = np.moveaxis(likelihood[..., self._alternatives], -2, -3)
        weights = (self._alternative_weights @ self._matrices) * by_state / chance[..., None, :, :]
        total = weights.sum(-1, keepdims=True)
        self._alternative_weights = weights * (np.minimum(total, MAX_EVALUE) / np.maximum(total, 1e-300))

    @property
    def no_burst_probability(self) -> Floats:
        """The probability of the burst law that no pod has burst until now. It has no axis of runs."""
        return np.asarray(self._quiet_at_start * self._quiet_in_tick**self._ticks)

    @property
    def log_evalue(self) -> Floats:
        """The logarithm of the mean over the alternatives; shape (..., runs)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._alternative_weights.sum(-1).mean(-2)))


def late_start_weight(ticks: int) -> float:
    """The part of the weight of all late beginnings that is for a beginning after `ticks` ticks. All parts sum to 1."""
    return float(ticks**-0.5 - (ticks + 1) ** -0.5)


def _ratios(quiet: int) -> NDArray[np.intp]:
    """The index into RATIOS of each state, where the quiet state has the index `quiet`."""
    levels, dips = 1 + np.arange(len(LEVELS)), 1 + len(LEVELS) + np.arange(len(REFERENCE_BURST_RATIOS))
    return np.concatenate([[quiet], dips, np.tile(levels, STAGES)])


def _stage(number: int) -> slice:
    """The states of all levels in this stage; 0 is the first stage."""
    begin = _DIPS.stop + number * len(LEVELS)
    return slice(begin, begin + len(LEVELS))


def _dip_share(law: BurstLaw, pods: Pods) -> Floats:
    """The share of the time without a burst in which a pod of the reference bursts."""
    rate = pods.reference * law.any_start
    return rate / (rate + 1 / _DIP_SECONDS)


def _start(law: BurstLaw, pods: Pods) -> Floats:
    """The stationary distribution over the states, because a run may begin inside a burst."""
    bursting = pods.suspected * law.starts * law.seconds
    quiet = 1 / (1 + bursting.sum(-1))
    dip_share = _dip_share(law, pods)
    states = np.zeros((*quiet.shape, _STATES))
    states[..., _QUIET] = quiet * (1 - dip_share)
    states[..., _DIPS] = (quiet * dip_share / len(REFERENCE_BURST_RATIOS))[..., None]
    for number in range(STAGES):
        states[..., _stage(number)] = quiet[..., None] * bursting / STAGES
    return states


def _transitions(law: BurstLaw, pods: Pods, tick_seconds: float, levels: NDArray[np.bool_]) -> Floats:
    """The probabilities to go from a state (row) to a state (column) in one tick, with bursts of these `levels` only.

    With all levels, rows sum to 1. Otherwise they sum to less: the probability of a level that is left out is not added
    to the quiet state. So quiet time is no evidence for an alternative, even where the law has more bursts than there
    are.
    """
    starts = np.minimum(pods.suspected * law.starts * tick_seconds, _MAX_START_CHANCE)
    stage_ends = np.minimum(STAGES * tick_seconds / law.seconds, 0.9)
    dip_starts = np.minimum(pods.reference * law.any_start * tick_seconds, 0.5)
    dip_ends = min(tick_seconds / _DIP_SECONDS, 0.5)
    redraws = np.minimum(2 * pods.reference * law.any_start * tick_seconds, 0.5)[..., None, None]
    dip_share = _dip_share(law, pods)[..., None]
    no_start = 1 - starts.sum(-1)
    starts = starts * levels
    dips = len(REFERENCE_BURST_RATIOS)

    matrix = np.zeros((*no_start.shape, _STATES, _STATES))
    matrix[..., _QUIET, _QUIET] = no_start * (1 - dip_starts)
    matrix[..., _QUIET, _DIPS] = (no_start * dip_starts / dips)[..., None]
    matrix[..., _DIPS, _QUIET] = (no_start * dip_ends)[..., None]
    matrix[..., _DIPS, _DIPS] = (no_start * (1 - dip_ends))[..., None, None] * _redrawn(dips, redraws)
    matrix[..., : _DIPS.stop, _stage(0)] = starts[..., None, :]
    for number in range(STAGES):
        stage = _stage(number)
        matrix[..., stage, stage] = (1 - stage_ends)[..., :, None] * _redrawn(len(LEVELS), redraws) * levels
        if number + 1 < STAGES:
            matrix[..., stage, _stage(number + 1)] = stage_ends[..., :, None] * np.eye(len(LEVELS)) * levels
    last_stage = _stage(STAGES - 1)
    matrix[..., last_stage, _QUIET] = stage_ends * (1 - dip_share)
    matrix[..., last_stage, _DIPS] = (stage_ends * dip_share / dips)[..., None]
    return matrix


def _redrawn(levels: int, chance: Floats) -> Floats:
    """The level stays, or is drawn anew: another pod of the reference has begun or ended a burst."""
    return (1 - chance) * np.eye(levels) + chance / levels
