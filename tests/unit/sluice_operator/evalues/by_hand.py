"""The run of docs/by-hand.md in plain arithmetic: every e-value of docs/statistics.md, computed a second time.

There are no arrays here, and nothing is imported from the code that it checks: only sums over the states of the chain,
tick by tick. A § in a docstring is a section of docs/statistics.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

LEVELS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0)
DIP_RATIOS = (1 / 1.5, 1 / 3, 1 / 6, 1 / 12, 1 / 30)
TICK = 5.0  # seconds
# The baseline in seconds. It has no burst, so the burst law is the prior: one burst of a minute over the baseline.
BASELINE = 21_600.0
# The probabilities of the table in §5, with one pod of each revision.
BURST_STARTS = TICK / (9 * BASELINE)  # at one level
SIGMA = TICK / BASELINE
DIP_ENDS = TICK / 60
STAGE_ENDS = 3 * TICK / 60


class State(NamedTuple):
    """A state of the chain. Stage 0 is the first."""

    kind: str
    ratio: float
    stage: int = 0


class Tick(NamedTuple):
    """Requests and bad requests, of the canary and of stable."""

    n_c: int
    y_c: int
    n_s: int
    y_s: int


Chances = Mapping[State, float]
Likelihood = Callable[[float], float]  # L_r of a tick, by r
QUIET = State("quiet", 1.0)


def start(sigma: float = SIGMA) -> dict[State, float]:
    """The stationary distribution, because a run may begin inside a burst."""
    level = 60 / (9 * BASELINE)  # starts of a burst per second, times its seconds
    no_burst, dip_share = 1 / (1 + 9 * level), sigma / (sigma + DIP_ENDS)
    dips = {State("dip", ratio): no_burst * dip_share / 5 for ratio in DIP_RATIOS}
    bursts = {State("burst", ratio, stage): no_burst * level / 3 for ratio in LEVELS for stage in range(3)}
    return {QUIET: no_burst * (1 - dip_share), **dips, **bursts}


def transitions(now: State, levels: Sequence[float], sigma: float) -> Iterator[tuple[State, float]]:
    """The table of §5: where a state goes in one tick. `levels`: of the bursts that are not left out."""
    dip_share = sigma / (sigma + DIP_ENDS)
    if now.kind == "burst":
        for ratio in levels:
            yield (
                State("burst", ratio, now.stage),
                (1 - STAGE_ENDS) * ((1 - 2 * sigma) * (ratio == now.ratio) + 2 * sigma / 9),
            )
        if now.stage < 2:
            yield now._replace(stage=now.stage + 1), STAGE_ENDS
            return
        no_burst, into_quiet, into_dips = STAGE_ENDS, 1 - dip_share, dip_share
    else:
        yield from ((State("burst", ratio), BURST_STARTS) for ratio in levels)
        no_burst = 1 - BURST_STARTS * len(LEVELS)  # also where some are left out
        into_quiet, into_dips = (1 - sigma, sigma) if now == QUIET else (DIP_ENDS, (1 - DIP_ENDS) * 2 * sigma)
        if now.kind == "dip":
            yield now, no_burst * (1 - DIP_ENDS) * (1 - 2 * sigma)
    yield QUIET, no_burst * into_quiet
    yield from ((State("dip", ratio), no_burst * into_dips / 5) for ratio in DIP_RATIOS)


def after_tick(before: Chances, likelihood: Likelihood, quiet: float, levels: Sequence[float], sigma: float) -> Chances:
    """One step of the forward recursion, where the quiet state has the ratio `quiet`."""
    after: dict[State, float] = defaultdict(float)
    for now, weight in before.items():
        for then, chance in transitions(now, levels, sigma):
            after[then] += weight * chance * likelihood(quiet if then == QUIET else then.ratio)
    return after


def start_weight(k: int, at_start: float) -> float:
    """w_k: the weight of an alternative that begins after k ticks."""
    return at_start if k == 0 else (1 - at_start) * (k**-0.5 - (k + 1) ** -0.5)


def chain(
    likelihoods: Sequence[Likelihood], *, sigma: float = SIGMA, psis: Sequence[float] = LEVELS, at_start: float = 0.8
) -> Iterator[tuple[float, float]]:
    """A and B of §5 after each tick. A is the mean over psi of all alternatives that have begun."""
    null: Chances = start(sigma)
    alternatives: dict[float, Chances] = {psi: {} for psi in psis}
    for k, likelihood in enumerate(likelihoods):
        for psi in psis:
            above = [level for level in LEVELS if level > psi]
            weights = {
                state: alternatives[psi].get(state, 0.0) + start_weight(k, at_start) * weight
                for state, weight in null.items()
                if state.kind != "burst" or state.ratio in above
            }
            alternatives[psi] = after_tick(weights, likelihood, psi, above, sigma)
        null = after_tick(null, likelihood, 1.0, LEVELS, sigma)
        yield sum(sum(weights.values()) for weights in alternatives.values()) / len(psis), sum(null.values())


def ratio_of_tick(n_c: float, y_c: int, n_s: float, y_s: int) -> Likelihood:
    """L_r of §4."""
    f = n_c / (n_c + n_s)
    return lambda r: r**y_c * (1 + f * (r - 1)) ** -(y_c + y_s)


def comparison(ticks: Sequence[Tick]) -> list[float]:
    """§5, against "no worse than stable"."""
    return [a / b for a, b in chain([ratio_of_tick(*tick) for tick in ticks])]


def wald(share: float, n: int, y: int) -> Likelihood:
    """L_r of §6."""
    return lambda r: r**y * (1 + share * (r - 1)) ** -n


def over_limit(share: float, counts: Sequence[tuple[int, int]]) -> list[float]:
    """§6, against "at most `share`", from the requests and bad requests of each tick."""
    return [a / b for a, b in chain([wald(share, *count) for count in counts], sigma=0.0)]


def log_below_limit(limit: float, n: int, y: int) -> float:
    """§6, against "at least `limit`", from totals. A logarithm, because the totals of a baseline make it large."""
    parts = ((0.0, 4 / 8), (0.1, 1 / 8), (0.25, 1 / 8), (0.5, 1 / 8), (0.8, 1 / 8))
    logs = [
        math.log(weight) + (y * math.log(q) if y else 0.0) + (n - y) * math.log((1 - q * limit) / (1 - limit))
        for q, weight in parts
        if q or not y
    ]
    return max(logs) + math.log(sum(math.exp(log - max(logs)) for log in logs))


def margin(ratio: float, ticks: Sequence[Tick]) -> list[float]:
    """§7, against "at least `ratio` times stable's": exchanged revisions, with an exposure of ratio * n_c."""
    swapped = [ratio_of_tick(tick.n_s, tick.y_s, ratio * tick.n_c, tick.y_c) for tick in ticks]
    return [a / b for a, b in chain(swapped, psis=(ratio,), at_start=1.0)]


def silence(weight: float, ticks: Sequence[Tick]) -> list[float]:
    """§9, against "each request is the canary's with a probability of at least weight / 2"."""
    tolerated, alternatives, evalues = weight / 2, dict.fromkeys((0.0, 0.02, 0.2), 0.0), []
    for k, tick in enumerate(ticks):
        for part in alternatives:
            factor = part**tick.n_c * ((1 - part * tolerated) / (1 - tolerated)) ** tick.n_s
            alternatives[part] = (alternatives[part] + start_weight(k, 0.8)) * factor
        evalues.append(sum(alternatives.values()) / 3)
    return evalues


def without_bursts(likelihoods: Sequence[Likelihood]) -> list[dict[float, float]]:
    """A by psi after each tick, if no pod ever bursts. B would be 1."""
    sums, by_tick = dict.fromkeys(LEVELS, 0.0), []
    for k, likelihood in enumerate(likelihoods):
        sums = {psi: (before + start_weight(k, 0.8)) * likelihood(psi) for psi, before in sums.items()}
        by_tick.append(sums)
    return by_tick


def burst_lasts(ticks: int, stages: int = 3) -> float:
    """The probability that a burst goes on for so many more ticks, with so many stages left."""
    return sum(
        math.comb(ticks, ended) * STAGE_ENDS**ended * (1 - STAGE_ENDS) ** (ticks - ended) for ended in range(stages)
    )
