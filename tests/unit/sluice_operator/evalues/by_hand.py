"""The run of docs/by-hand.md in plain arithmetic: every e-value of docs/verdicts.md, written a second time.

No arrays, and nothing of the code that it checks: sums over the states of the chain, tick by tick.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

LEVELS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0)
DIPS = (1 / 1.5, 1 / 3, 1 / 6, 1 / 12, 1 / 30)
TICK, RECORD = (
    5.0,
    21_600.0,
)  # seconds; of a record without a burst, whose law is the prior: a burst of a minute over it
E, SIGMA, ENDS, NEXT = TICK / (9 * RECORD), TICK / RECORD, TICK / 60, 3 * TICK / 60  # the chances of §5, a pod per arm


class State(NamedTuple):
    """Of the chain. Stage 0 is the first."""

    kind: str
    ratio: float
    stage: int = 0


class Tick(NamedTuple):
    """Requests and bad ones, of the canary and of stable."""

    n_c: int
    y_c: int
    n_s: int
    y_s: int


Chances = Mapping[State, float]
Likelihood = Callable[[float], float]  # L_r of a tick, by r
QUIET = State("quiet", 1.0)


def start(sigma: float = SIGMA) -> dict[State, float]:
    """The stationary law: a run may begin inside a burst."""
    level = 60 / (9 * RECORD)  # starts of a burst per second, times its seconds
    calm, dipped = 1 / (1 + 9 * level), sigma / (sigma + ENDS)
    dips = {State("dip", ratio): calm * dipped / 5 for ratio in DIPS}
    bursts = {State("burst", ratio, stage): calm * level / 3 for ratio in LEVELS for stage in range(3)}
    return {QUIET: calm * (1 - dipped), **dips, **bursts}


def moves(now: State, levels: Sequence[float], sigma: float) -> Iterator[tuple[State, float]]:
    """The table of §5: where a state goes in one tick. `levels`: of the bursts that are not left out."""
    dipped = sigma / (sigma + ENDS)
    if now.kind == "burst":
        for ratio in levels:
            yield (
                State("burst", ratio, now.stage),
                (1 - NEXT) * ((1 - 2 * sigma) * (ratio == now.ratio) + 2 * sigma / 9),
            )
        if now.stage < 2:
            yield now._replace(stage=now.stage + 1), NEXT
            return
        calm, into_quiet, into_dips = NEXT, 1 - dipped, dipped
    else:
        yield from ((State("burst", ratio), E) for ratio in levels)
        calm = 1 - E * len(LEVELS)  # also where some are left out
        into_quiet, into_dips = (1 - sigma, sigma) if now == QUIET else (ENDS, (1 - ENDS) * 2 * sigma)
        if now.kind == "dip":
            yield now, calm * (1 - ENDS) * (1 - 2 * sigma)
    yield QUIET, calm * into_quiet
    yield from ((State("dip", ratio), calm * into_dips / 5) for ratio in DIPS)


def after_tick(before: Chances, seen: Likelihood, quiet: float, levels: Sequence[float], sigma: float) -> Chances:
    """One step of the forward recursion, where quiet has the ratio `quiet`."""
    after: dict[State, float] = defaultdict(float)
    for now, weight in before.items():
        for then, chance in moves(now, levels, sigma):
            after[then] += weight * chance * seen(quiet if then == QUIET else then.ratio)
    return after


def begins(k: int, at_start: float) -> float:
    """w_k: what is bet on an alternative that begins after k ticks."""
    return at_start if k == 0 else (1 - at_start) * (k**-0.5 - (k + 1) ** -0.5)


def chain(
    ticks: Sequence[Likelihood], *, sigma: float = SIGMA, psis: Sequence[float] = LEVELS, at_start: float = 0.8
) -> Iterator[tuple[float, float]]:
    """A and B of §5 after each tick: of A the mean over psi of all that have begun."""
    null: Chances = start(sigma)
    bets: dict[float, Chances] = {psi: {} for psi in psis}
    for k, seen in enumerate(ticks):
        for psi in psis:
            above = [level for level in LEVELS if level > psi]
            entered = {
                state: bets[psi].get(state, 0.0) + begins(k, at_start) * weight
                for state, weight in null.items()
                if state.kind != "burst" or state.ratio in above
            }
            bets[psi] = after_tick(entered, seen, psi, above, sigma)
        null = after_tick(null, seen, 1.0, LEVELS, sigma)
        yield sum(sum(bet.values()) for bet in bets.values()) / len(psis), sum(null.values())


def ratio_of_tick(n_c: float, y_c: int, n_s: float, y_s: int) -> Likelihood:
    """L_r of §4."""
    f = n_c / (n_c + n_s)
    return lambda r: r**y_c * (1 + f * (r - 1)) ** -(y_c + y_s)


def comparison(ticks: Sequence[Tick]) -> list[float]:
    """Against "no worse than stable"."""
    return [a / b for a, b in chain([ratio_of_tick(*tick) for tick in ticks])]


def wald(share: float, n: int, y: int) -> Likelihood:
    """L_r of §6."""
    return lambda r: r**y * (1 + share * (r - 1)) ** -n


def over_limit(share: float, counts: Sequence[tuple[int, int]]) -> list[float]:
    """§6, against "at most `share`", from (requests, bad ones) by tick."""
    return [a / b for a, b in chain([wald(share, *count) for count in counts], sigma=0.0)]


def log_below_limit(limit: float, n: int, y: int) -> float:
    """§6, against "at least `limit`", from totals; a logarithm, because a record makes it large."""
    parts = ((0.0, 4 / 8), (0.1, 1 / 8), (0.25, 1 / 8), (0.5, 1 / 8), (0.8, 1 / 8))
    logs = [
        math.log(weight) + (y * math.log(q) if y else 0.0) + (n - y) * math.log((1 - q * limit) / (1 - limit))
        for q, weight in parts
        if q or not y
    ]
    return max(logs) + math.log(sum(math.exp(log - max(logs)) for log in logs))


def margin(ratio: float, ticks: Sequence[Tick]) -> list[float]:
    """§7, against "at least `ratio` times stable's": the arms exchanged, with an exposure of ratio * n_c."""
    swapped = [ratio_of_tick(tick.n_s, tick.y_s, ratio * tick.n_c, tick.y_c) for tick in ticks]
    return [a / b for a, b in chain(swapped, psis=(ratio,), at_start=1.0)]


def silence(weight: float, ticks: Sequence[Tick]) -> list[float]:
    """§9, against "each request is the canary's with a chance of at least weight / 2"."""
    least, bets, found = weight / 2, dict.fromkeys((0.0, 0.02, 0.2), 0.0), []
    for k, tick in enumerate(ticks):
        for part in bets:
            factor = part**tick.n_c * ((1 - part * least) / (1 - least)) ** tick.n_s
            bets[part] = (bets[part] + begins(k, 0.8)) * factor
        found.append(sum(bets.values()) / 3)
    return found


def without_bursts(ticks: Sequence[Likelihood]) -> list[dict[float, float]]:
    """A by psi after each tick, if nothing ever burst; B would be 1."""
    sums, found = dict.fromkeys(LEVELS, 0.0), []
    for k, seen in enumerate(ticks):
        sums = {psi: (known + begins(k, 0.8)) * seen(psi) for psi, known in sums.items()}
        found.append(sums)
    return found


def lasts(more: int, stages: int = 3) -> float:
    """The chance that a burst with so many stages before it goes on for `more` ticks."""
    return sum(math.comb(more, ended) * NEXT**ended * (1 - NEXT) ** (more - ended) for ended in range(stages))
