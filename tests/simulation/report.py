"""docs/simulation.md from the results of the full study."""

from collections.abc import Callable, Iterable

import numpy as np

from tests.simulation import scenarios
from tests.simulation.figures import back, exposure_ratio, floor_requests, mean_promoted
from tests.simulation.plan import CALM_ALIKE, RIVALS_HEALTHY
from tests.simulation.runner import Outcomes
from tests.simulation.scenarios import HEALTHY, RATES
from tests.simulation.study import (
    ARGO,
    AUTOMATIC,
    CLEARS_ACCURACY,
    CLEARS_ERRORS,
    FLAGGER,
    RIVALS,
    TIMED,
    Cell,
    Results,
)
from tests.simulation.targets import targets

_INTRO = """\
# Simulation

Written by `make simulate` (about half an hour on two cores); this page is from `python -m tests.simulation --runs {runs}`. The seeds are fixed: the same command gives the same page, with any number of processes. `make check` and `make test` assert the main lines of it with fewer runs.

**What is simulated.** Poisson traffic of 1 to 1,000 requests per second; log-normal latency, p95 120 ms; 0.1 % errors; accuracy 0.95, with a label for every request. Scrapes every 5 seconds, 6 hours of stable's record. A burst multiplies errors by 20 and latency by 1.8 for 30 to 90 seconds ("one an hour": for 60 seconds). Every policy sees only counts that Prometheus could give it. Sluice's limits are 0.1 % errors, p95 200 ms and an accuracy of 0.70; stable is at the first of them.

**Policies.** *Sluice, 30 minutes*: 10, 20, 30, 40, 50 %, six minutes each, then promoted. *Sluice, automatic steps*: the weight rises when the evidence allows it, and the canary is promoted when twice the errors, 1.5 times the slow requests and 0.02 of accuracy are ruled out. Rivals: the rules of [Flagger's and Argo Rollouts' documentation](../tests/simulation/rivals.py), the same with the limits of common guides (errors 0.1 %, p95 200 ms, p99 500 ms, accuracy 0.70), and a z-test at 95 % that is looked at with every scrape.

**How to read it.** Four numbers with strokes are 1 / 10 / 100 / 1,000 requests per second. Medians are over all runs; "-" says that less than half got there. Runs per cell: {healthy} (healthy canaries on the timed ramp; a share of 1 % is then known to ±{error:.1f} points), {runs} (other cells of Sluice's), {rivals} or more (rivals and margins).
"""  # noqa: E501


def page(results: Results, runs: int) -> str:
    error = 100 * (0.01 * 0.99 / (4 * runs)) ** 0.5
    intro = _INTRO.format(runs=runs, healthy=4 * runs, rivals=2 * runs, error=error)
    sections = (_targets, _false_rollbacks, _detection, _exposure, _promotion, _margins, _surroundings)
    return "\n".join([intro, *(section(results) for section in sections)])


def _targets(results: Results) -> str:
    rows = [(one.promise, one.value, one.measured, one.state) for one in targets(results)]
    return _section("Targets", _table(("target", "value", "measured", ""), rows))


def _false_rollbacks(results: Results) -> str:
    rows = [(name, *(_by_rate(results, one, name, _taken_back) for one in (TIMED, AUTOMATIC))) for name in HEALTHY]
    rivals = [(policy, *(_by_rate(results, policy, name, _taken_back) for name in RIVALS_HEALTHY)) for policy in RIVALS]
    return _section(
        "Healthy canaries taken back, %",
        _table(("canary", TIMED, AUTOMATIC), rows),
        "The last row is what no method can exclude that decides within seconds: a service that begins to burst when "
        "the run begins.",
        _table(("rival", *RIVALS_HEALTHY), rivals),
    )


def _detection(results: Results) -> str:
    rows = [
        (name, f"{rate:,}", *(_found(results, policy, name, rate) for policy in (AUTOMATIC, TIMED, FLAGGER, ARGO)))
        for name in (*scenarios.REGRESSIONS, *scenarios.SILENT)
        for rate in RATES
        if (AUTOMATIC, name, rate) in results
    ]
    return _section(
        "Bad canaries",
        "Taken back %, median time, median canary requests until then; 'p' is the share promoted.",
        _table(("regression", "req/s", AUTOMATIC, TIMED, FLAGGER, ARGO), rows),
    )


def _exposure(results: Results) -> str:
    rows = [
        (
            policy,
            " / ".join(f"{exposure_ratio(results, policy, AUTOMATIC, rate):,.1f}" for rate in RATES),
            " / ".join(_percent(mean_promoted(results, policy, rate)) for rate in RATES),
        )
        for policy in (AUTOMATIC, TIMED, *RIVALS)
    ]
    floors = [
        (name, f"{floor_requests(name):,.0f}", *(_over_floor(results, policy, name) for policy in (AUTOMATIC, TIMED)))
        for name in scenarios.REGRESSIONS
    ]
    return _section(
        "Requests exposed to a bad canary",
        f"In its first hour, as a multiple of those under {AUTOMATIC}: geometric mean over the ten regressions.",
        _table(("policy", "times as many", "promoted, mean %"), rows),
        "Against the information floor, at 100 requests per second: what the best test of exactly this regression "
        "needs, at a weight of 10 % and a level of 5 %, when all else is known and nothing bursts.",
        _table(("regression", "floor", AUTOMATIC, TIMED), floors),
    )


def _promotion(results: Results) -> str:
    rows = [
        (
            name,
            " / ".join(_seconds(_promoted_after(results[Cell(AUTOMATIC, name, rate)])) for rate in RATES),
            _by_rate(results, AUTOMATIC, name, lambda one: float(one.promoted.mean())),
        )
        for name in HEALTHY
    ]
    requests = [
        (name, _requests(cleared.median_exposed(cleared.promoted)), _percent(float(cleared.promoted.mean())))
        for name in CALM_ALIKE
        for cleared in (results[Cell(CLEARS_ERRORS, name, 100)],)
    ]
    return _section(
        "Healthy canaries promoted by automatic steps",
        _table(("canary", "median time", "promoted within the hour, %"), rows),
        "Canary requests until twice stable's errors, and at least 0.1 %, are ruled out (weight 10 %, errors alone):",
        _table(("both arms", "median", "cleared within the hour, %"), requests),
    )


def _margins(results: Results) -> str:
    rows = []
    for name in scenarios.AT_MARGIN:
        alone = results[Cell(CLEARS_ERRORS if name.startswith("errors") else CLEARS_ACCURACY, name, 100)]
        automatic = [results[Cell(AUTOMATIC, name, rate)] for rate in (100, 1000)]
        rows.append(
            (
                name,
                _percent(float(alone.promoted.mean())),
                " / ".join(_percent(float(one.promoted.mean())) for one in automatic),
                " / ".join(_percent(float(one.taken_back.mean())) for one in automatic),
            )
        )
    return _section(
        "A canary exactly at the margin",
        "Promoting it must stay under 5 %. Left: the margin's e-value alone, an hour at a weight of 10 % and 100 "
        "requests per second. Right: automatic steps, at 100 / 1,000 requests per second.",
        _table(("canary", "cleared, %", "promoted, %", "taken back, %"), rows),
    )


def _surroundings(results: Results) -> str:
    hidden = [(name, _found(results, TIMED, name, 100)) for name in scenarios.HIDDEN]
    turning = [(name, *(_found(results, TIMED, name, rate) for rate in (10, 100, 1000))) for name in scenarios.TURNING]
    return _section(
        "Bad canaries that are hard to tell",
        f"Where both arms burst by themselves ({TIMED}, 100 requests per second), a regression that looks like a burst "
        "is found when it has lasted longer than stable's bursts do.",
        _table(("regression", TIMED), hidden),
        f"A canary that turns bad after ten minutes looks like a burst that begins. {TIMED}; times are since the run's "
        "begin.",
        _table(("regression", "10 req/s", "100 req/s", "1,000 req/s"), turning),
    )


def _taken_back(outcomes: Outcomes) -> float:
    return float(outcomes.taken_back.mean())


def _promoted_after(outcomes: Outcomes) -> float:
    return outcomes.median_seconds(outcomes.promoted)


def _by_rate(results: Results, policy: str, name: str, share: Callable[[Outcomes], float]) -> str:
    return " / ".join(_percent(share(results[Cell(policy, name, rate)])) for rate in RATES)


def _found(results: Results, policy: str, name: str, rate: float) -> str:
    outcomes = results.get(Cell(policy, name, rate))
    if outcomes is None:
        return ""
    seconds, exposed = back(outcomes)
    promoted = float(outcomes.promoted.mean())
    texts = [_percent(_taken_back(outcomes)), _seconds(seconds), _requests(exposed)]
    return " · ".join([*texts, *([f"p {_percent(promoted)}"] if promoted else [])])


def _over_floor(results: Results, policy: str, name: str) -> str:
    _, exposed = back(results[Cell(policy, name, 100)])
    return f"{exposed / floor_requests(name):.1f} x" if np.isfinite(exposed) else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.0995 else f"{100 * share:.0f}"


def _seconds(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "-"
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.1f} min"


def _requests(requests: float) -> str:
    return f"{requests:,.0f}" if np.isfinite(requests) else "-"


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
