"""The promises about verdicts, by policy: what was measured on how many runs and, where it is missed, why."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tests.simulation.figures import PROMISED, Counted, back, down, exposure_ratio, floor_requests, median_interval
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

_FEWER = {1: 10, 10: 40, 100: 300, 1000: 2000}
_FIVE_PERCENT = "errors 0.1 → 5 %"
_USUAL = "calm, errors 0.1 %"
_TRIED = (
    "Tried in runs that are not on this page: fewer latency bounds, other weights of the alternatives, other shares of "
    "the budget (0.8 / 0.15 / 0.05 was the best of them), and late beginnings with 0.2 of each weight. Without bursts "
    "in the null, 1.3 to 1.7 times fewer requests are enough, but 2 to 81 % of healthy canaries were rolled back where "
    "pods burst"
)
_TIMED_IS_SLOW = "the clock raises the weight, not the evidence, and what was not found in half an hour is promoted"


@dataclass(frozen=True)
class Target:
    promise: str
    value: str
    policy: str
    runs: int
    measured: str
    met: bool
    reason: str  # that holds where it is missed
    but: str = ""  # that belongs to it where it is met

    @property
    def state(self) -> str:
        return f"met{self.but}" if self.met else f"**missed**: {self.reason}"


def targets(results: Results) -> list[Target]:
    rules: tuple[Callable[[Results], Iterable[Target]], ...] = (
        _false_rollbacks,
        _margins,
        _exposed,
        _fast,
        _floor,
        _promotion,
    )
    return [target for rule in rules for target in rule(results)]


def _false_rollbacks(results: Results) -> Iterator[Target]:
    surroundings: dict[str, Iterable[str]] = {
        TIMED: (*PROMISED, *BOTH_BREAK),
        AUTOMATIC: PROMISED,
        HEAVY: BOTH_BREAK,
        WATCHED: WATCHED_GOOD,
    }
    for policy, names in surroundings.items():
        counted = {
            (name, rate): Counted.of(results[Cell(policy, name, rate)].taken_back) for name in names for rate in RATES
        }
        all_, (name, rate), worst = _worst(counted)
        low, _ = worst.interval
        yield Target(
            "false rollback of an identical canary: at any rate, with any number of evaluations, also where stable is "
            "over its limits or bursts are shared",
            "≤ 2 % measured, 5 % by theorem",
            policy,
            all_.runs,
            f"{all_} over {len(counted)} cells; the worst cell has {worst}: {name}, {rate:,} req/s",
            worst.share <= 0.02,
            f"this is the worst of {len(counted)} cells, picked afterwards; its interval "
            f"{'includes 2 %' if low <= 0.02 else 'is above 2 %'}. Tried: more runs of the worst rows",
            _if_above(worst, 0.02),
        )


def _worst(counted: Mapping[Key, Counted]) -> tuple[Counted, Key, Counted]:
    """All together, and the largest share."""
    name = max(counted, key=lambda key: counted[key].share)
    return Counted.sum(counted.values()), name, counted[name]


def _if_above(worst: Counted, limit: float) -> str:
    _, high = worst.interval
    return f" as measured, but the interval of the worst cell ends at {100 * high:.1f} %" if high > limit else ""


def _margins(results: Results) -> Iterator[Target]:
    promise, value = "a canary at the margin, or worse, is promoted", "≤ 5 % by theorem, ≤ 1 % on average"
    at = {
        (name, rate): Counted.of(results[Cell(AUTOMATIC, name, rate)].promoted)
        for name in AT_MARGIN
        for rate in (100, 1000)
    }
    beyond = Counted.sum(
        Counted.of(results[Cell(AUTOMATIC, name, rate)].promoted) for name in REGRESSIONS for rate in RATES
    )
    all_, (name, rate), worst = _worst(at)
    yield Target(
        promise,
        value,
        AUTOMATIC,
        all_.runs + beyond.runs,
        f"exactly at the margin {all_}, the worst cell {worst}: {name}, {rate:,} req/s; all ten regressions {beyond}",
        worst.share <= 0.05 and beyond.share <= 0.01,
        "see the section about canaries at the margin",
        _if_above(worst, 0.05),
    )
    alone = {
        name: Counted.of(
            results[Cell(CLEARS_ERRORS if name.startswith("errors") else CLEARS_ACCURACY, name, 100)].promoted
        )
        for name in AT_MARGIN
    }
    all_, name, worst = _worst(alone)
    low, _ = worst.interval
    yield Target(
        promise,
        "≤ 5 % by theorem",
        "the margin's e-value by itself, one hour without rollbacks",
        all_.runs,
        f"{all_}; the worst cell {worst}: {name}",
        worst.share <= 0.05,
        f"this is the worst of {len(alone)} cells, picked afterwards; its interval "
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
                f"{name} {' / '.join(f'{down(ratios[rate][index]):,.1f}' for rate in RATES)}"
                for index, name in enumerate(("Flagger", "Argo"))
            ),
            all(min(ratios[rate]) >= least for rate, least in _FEWER.items()),
            "three objectives and their limits share one error budget, and bursts are a possible explanation. Both "
            f"cost requests. One hour is short for small regressions at low rates. {_TRIED}"
            if policy == AUTOMATIC
            else f"{_TIMED_IS_SLOW}. Tried: automatic steps",
        )


def _fast(results: Results) -> Iterator[Target]:
    for policy in (AUTOMATIC, TIMED):
        found = {rate: back(results[Cell(policy, _FIVE_PERCENT, rate)]) for rate in (100, 1000)}
        yield Target(
            "5 % errors are found at ≥ 100 req/s",
            "≤ 100 canary requests and ≤ 10 s",
            policy,
            _runs(results, policy, (_FIVE_PERCENT,), (100, 1000)),
            "; ".join(f"{requests:,.0f} and {seconds:.0f} s at {rate:,}" for rate, (seconds, requests) in found.items())
            + " (medians)",
            all(seconds <= 10 and requests <= 100 for seconds, requests in found.values()),
            "half of the runs need one scrape more. Tried: the same as for exposed users"
            if policy == AUTOMATIC
            else "at 1,000 req/s its first weight sends 500 requests per scrape. Tried: automatic steps, which begin "
            "at 1 % there",
        )


def _floor(results: Results) -> Iterator[Target]:
    worth = [name for name in REGRESSIONS if floor_requests(name) >= 100]
    for policy in (AUTOMATIC, TIMED):
        multiples = {name: back(results[Cell(policy, name, 100)])[1] / floor_requests(name) for name in worth}
        worst, best = max(multiples, key=multiples.__getitem__), min(multiples, key=multiples.__getitem__)
        yield Target(
            "requests needed, compared with the information floor (100 req/s, where the floor is at least 100)",
            "≤ 2 x, goal 1.3 x",
            policy,
            _runs(results, policy, worth, (100,)),
            f"{multiples[best]:.1f} x ({best}) to {multiples[worst]:.1f} x ({worst}) (medians)",
            max(multiples.values()) <= 2,
            "the floor is for a test that knows the size of the regression, spends its whole budget on one objective "
            "and ignores bursts. Sluice shares its budget among three objectives and their limits. It finds small "
            "regressions at weights at which one canary request says less than at 10 %. Tried: the same as for exposed "
            "users",
        )


def _promotion(results: Results) -> Iterator[Target]:
    medians, measured, highest = {}, [], {}
    for rate in (1000, 100):
        healthy = results[Cell(AUTOMATIC, _USUAL, rate)]
        minutes = np.where(healthy.promoted, healthy.seconds, np.inf) / 60
        low, high = median_interval(minutes)
        medians[rate], highest[rate] = float(np.median(minutes)), high
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
        " as measured, but an interval ends above the target" if highest[1000] > 2 or highest[100] > 10 else "",
    )


def _runs(results: Results, policy: str, names: Iterable[str], rates: Sequence[int]) -> int:
    return int(np.sum([results[Cell(policy, name, rate)].runs for name in names for rate in rates]))
