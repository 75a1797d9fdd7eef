"""The targets for verdicts, by policy: what was measured, on how many runs, and why a target is missed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tests.simulation.figures import (
    PROMISED,
    Counted,
    exposure_ratio,
    floor_requests,
    median_interval,
    medians_until_rollback,
    rounded_down,
)
from tests.simulation.scenarios import AT_MARGIN, BOTH_BREAK, RATES, REGRESSIONS, WATCHED_GOOD
from tests.simulation.study import (
    ARGO,
    AUTOMATIC,
    CLEARS_ACCURACY,
    CLEARS_ERRORS,
    FLAGGER,
    HEAVY,
    TIMED,
    WATCHED,
    Cell,
    Results,
)

Key = TypeVar("Key")

_TIMES_FEWER = {1: 10, 10: 40, 100: 300, 1000: 2000}  # by requests per second
_FIVE_PERCENT = "errors 0.1 → 5 %"
_USUAL = "calm, errors 0.1 %"
_BAD_PROMOTION = "a canary at the margin, or worse, is promoted"
_TRIED = (
    "Tried in runs that are not on this page: fewer latency bounds, other weights of the alternatives, other shares of "
    "the budget (0.8 / 0.15 / 0.05 was the best of them), and late beginnings with 0.2 of each weight. Without bursts "
    "in the null, 1.3 to 1.7 times fewer requests are enough, but 2 to 81 % of healthy canaries were rolled back where "
    "pods burst"
)
_TIMED_IS_SLOW = "the clock raises the weight, not the evidence, and what was not found in half an hour is promoted"


@dataclass(frozen=True)
class Target:
    """One row of the table of targets."""

    promise: str
    value: str
    policy: str
    runs: int
    measured: str
    met: bool
    reason: str  # why it is missed, if it is
    caveat: str = ""  # what a reader must know if it is met

    @property
    def state(self) -> str:
        return f"met{self.caveat}" if self.met else f"**missed**: {self.reason}"


def targets(results: Results) -> list[Target]:
    """All rows of the table."""
    kinds: tuple[Callable[[Results], Iterable[Target]], ...] = (
        _false_rollbacks,
        _bad_promotions,
        _margins_ruled_out,
        _exposed,
        _fast,
        _floor,
        _promotion,
    )
    return [target for kind in kinds for target in kind(results)]


def _false_rollbacks(results: Results) -> Iterator[Target]:
    surroundings: dict[str, Iterable[str]] = {
        TIMED: (*PROMISED, *BOTH_BREAK),
        AUTOMATIC: PROMISED,
        HEAVY: BOTH_BREAK,
        WATCHED: WATCHED_GOOD,
    }
    for policy, names in surroundings.items():
        counted = {
            (name, rate): Counted.of(results[Cell(policy, name, rate)].rolled_back) for name in names for rate in RATES
        }
        total, (name, rate), worst = _total_and_worst(counted)
        low, _ = worst.interval
        yield Target(
            "false rollback of an identical canary: at any rate, with any number of evaluations, also where stable is "
            "over its limits or bursts are shared",
            "≤ 2 % measured, 5 % by theorem",
            policy,
            total.runs,
            f"{total} over {len(counted)} cells; the worst cell has {worst}: {name}, {rate:,} req/s",
            worst.share <= 0.02,
            f"this is the worst of {len(counted)} cells, picked afterwards; its interval "
            f"{'includes 2 %' if low <= 0.02 else 'is above 2 %'}. Tried: more runs of the worst rows",
            _if_above(worst, 0.02),
        )


def _total_and_worst(counted: Mapping[Key, Counted]) -> tuple[Counted, Key, Counted]:
    """All cells together, and the cell with the largest share."""
    name = max(counted, key=lambda key: counted[key].share)
    return Counted.sum(counted.values()), name, counted[name]


def _if_above(worst: Counted, limit: float) -> str:
    _, high = worst.interval
    return f" as measured, but the interval of the worst cell ends at {100 * high:.1f} %" if high > limit else ""


def _bad_promotions(results: Results) -> Iterator[Target]:
    at_margin = {
        (name, rate): Counted.of(results[Cell(AUTOMATIC, name, rate)].promoted)
        for name in AT_MARGIN
        for rate in (100, 1000)
    }
    worse = Counted.sum(
        Counted.of(results[Cell(AUTOMATIC, name, rate)].promoted) for name in REGRESSIONS for rate in RATES
    )
    total, (name, rate), worst = _total_and_worst(at_margin)
    yield Target(
        _BAD_PROMOTION,
        "≤ 5 % by theorem, ≤ 1 % on average",
        AUTOMATIC,
        total.runs + worse.runs,
        f"exactly at the margin {total}, the worst cell {worst}: {name}, {rate:,} req/s; all ten regressions {worse}",
        worst.share <= 0.05 and worse.share <= 0.01,
        "see the section about canaries at the margin",
        _if_above(worst, 0.05),
    )


def _margins_ruled_out(results: Results) -> Iterator[Target]:
    counted = {
        name: Counted.of(
            results[Cell(CLEARS_ERRORS if name.startswith("errors") else CLEARS_ACCURACY, name, 100)].promoted
        )
        for name in AT_MARGIN
    }
    total, name, worst = _total_and_worst(counted)
    low, _ = worst.interval
    yield Target(
        _BAD_PROMOTION,
        "≤ 5 % by theorem",
        "the margin's e-value by itself, one hour without rollbacks",
        total.runs,
        f"{total}; the worst cell {worst}: {name}",
        worst.share <= 0.05,
        f"this is the worst of {len(counted)} cells, picked afterwards; its interval "
        f"{'includes 5 %' if low <= 0.05 else 'is above 5 %'}. Tried: nothing, because a stricter threshold would slow "
        "every promotion",
        _if_above(worst, 0.05),
    )


def _exposed(results: Results) -> Iterator[Target]:
    for policy in (AUTOMATIC, TIMED):
        ratios = {rate: [exposure_ratio(results, rival, policy, rate) for rival in (FLAGGER, ARGO)] for rate in RATES}
        yield Target(
            "users exposed to a bad canary in its first hour, compared with Flagger's and Argo's documented policies",
            "≥ 10 / 40 / 300 / 2,000 times fewer at 1 / 10 / 100 / 1,000 req/s",
            policy,
            _runs(results, policy, REGRESSIONS, RATES),
            "; ".join(
                f"{name} {' / '.join(f'{rounded_down(ratios[rate][index]):,.1f}' for rate in RATES)}"
                for index, name in enumerate(("Flagger", "Argo"))
            ),
            all(min(ratios[rate]) >= times for rate, times in _TIMES_FEWER.items()),
            "three objectives and their limits share one error budget, and bursts are a possible explanation. Both "
            f"cost requests. One hour is short for small regressions at low rates. {_TRIED}"
            if policy == AUTOMATIC
            else f"{_TIMED_IS_SLOW}. Tried: automatic steps",
        )


def _fast(results: Results) -> Iterator[Target]:
    for policy in (AUTOMATIC, TIMED):
        medians = {rate: medians_until_rollback(results[Cell(policy, _FIVE_PERCENT, rate)]) for rate in (100, 1000)}
        yield Target(
            "5 % errors are found at ≥ 100 req/s",
            "≤ 100 canary requests and ≤ 10 s",
            policy,
            _runs(results, policy, (_FIVE_PERCENT,), (100, 1000)),
            "; ".join(
                f"{requests:,.0f} and {seconds:.0f} s at {rate:,}" for rate, (seconds, requests) in medians.items()
            )
            + " (medians)",
            all(seconds <= 10 and requests <= 100 for seconds, requests in medians.values()),
            "half of the runs need one scrape more. Tried: the same as for exposed users"
            if policy == AUTOMATIC
            else "at 1,000 req/s its first weight sends 500 requests per scrape. Tried: automatic steps, which begin "
            "at 1 % there",
        )


def _floor(results: Results) -> Iterator[Target]:
    names = [name for name in REGRESSIONS if floor_requests(name) >= 100]
    for policy in (AUTOMATIC, TIMED):
        requests = {name: medians_until_rollback(results[Cell(policy, name, 100)])[1] for name in names}
        multiples = {name: requests[name] / floor_requests(name) for name in names}
        worst, best = max(multiples, key=multiples.__getitem__), min(multiples, key=multiples.__getitem__)
        yield Target(
            "requests needed, compared with the information floor (100 req/s, where the floor is at least 100)",
            "≤ 2 x, goal 1.3 x",
            policy,
            _runs(results, policy, names, (100,)),
            f"{multiples[best]:.1f} x ({best}) to {multiples[worst]:.1f} x ({worst}) (medians)",
            max(multiples.values()) <= 2,
            "the floor is for a test that knows the size of the regression, spends its whole budget on one objective "
            "and ignores bursts. Sluice shares its budget among three objectives and their limits. It finds small "
            "regressions at weights at which one canary request is less evidence than at 10 %. Tried: the same as for "
            "exposed users",
        )


def _promotion(results: Results) -> Iterator[Target]:
    medians, measured, upper_ends = {}, [], {}
    for rate in (1000, 100):
        healthy = results[Cell(AUTOMATIC, _USUAL, rate)]
        minutes = np.where(healthy.promoted, healthy.seconds, np.inf) / 60
        low, high = median_interval(minutes)
        medians[rate], upper_ends[rate] = float(np.median(minutes)), high
        measured.append(f"{medians[rate]:.1f} min (95 %: {low:.1f} to {high:.1f}) at {rate:,}")
    yield Target(
        "a healthy canary is promoted, with twice the errors ruled out",
        "≤ 2 min at 1,000 req/s, ≤ 10 min at 100 req/s",
        AUTOMATIC,
        _runs(results, AUTOMATIC, (_USUAL,), (100, 1000)),
        f"{', '.join(measured)} (both revisions 0.1 % errors; medians)",
        medians[1000] <= 2 and medians[100] <= 10,
        "the tolerance has 0.3 of the margin's e-value. This part does not grow where stable is at its limit itself; "
        "without errors it is much faster. Tried in 200 runs that are not on this page: 0.1 for it. This took 10.1 min "
        "instead of 10.0 at 100 req/s, and 4.4 min instead of 3.6 where there are no errors",
        " as measured, but an interval ends above the target" if upper_ends[1000] > 2 or upper_ends[100] > 10 else "",
    )


def _runs(results: Results, policy: str, names: Iterable[str], rates: Sequence[int]) -> int:
    return int(np.sum([results[Cell(policy, name, rate)].runs for name in names for rate in rates]))
