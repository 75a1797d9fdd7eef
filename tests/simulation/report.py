"""docs/simulation.md from the results of the full study."""

from collections.abc import Callable, Iterable

import numpy as np

from tests.simulation import scenarios
from tests.simulation.figures import Counted, alone, back, down, exposure_ratio, floor_requests, mean_promoted
from tests.simulation.plan import CALM_ALIKE, RIVALS_HEALTHY, WORST
from tests.simulation.runner import Outcomes
from tests.simulation.scenarios import HEALTHY, PROMOTED_AT, RATES
from tests.simulation.study import (
    ARGO,
    AUTOMATIC,
    CLEARS_ACCURACY,
    CLEARS_ERRORS,
    FLAGGER,
    HEAVY,
    RIVALS,
    TIMED,
    WATCHED,
    Cell,
    Results,
)
from tests.simulation.targets import targets

_USUAL, _INCIDENT, _AT_MARGIN = "calm, errors 0.1 %", next(iter(scenarios.BOTH_BREAK)), next(iter(scenarios.AT_MARGIN))

_INTRO = """\
# Simulation

Written by `make simulate` (150 runs: about half an hour on two idle cores); this page is from `python -m tests.simulation --runs {runs}`. The seeds are fixed: the same command gives the same page, with any number of processes. `make check` and `make test` assert the main lines of it with fewer runs.

**What is simulated.** Poisson traffic of 1 to 1,000 requests per second; log-normal latency, p95 120 ms; 0.1 % errors; accuracy 0.95, with a label for every request. Scrapes every 5 seconds, 6 hours of stable's record (where there are nine pods, one hour of each). A burst multiplies errors by 20 and latency by 1.8 for 30 to 90 seconds ("one an hour": for 60 seconds). Every policy sees only counts that Prometheus could give it. Sluice's limits are 0.1 % errors, p95 200 ms and an accuracy of 0.70; stable is at the first of them.

**What is the operator's own code.** The objectives are parsed as it parses them. What is tested of them, the margins of each step, the latency bounds that are compared (of the server's histogram), the burst law and the pods it allows for, all e-processes, how they are averaged, the bars of each family, the automatic steps and when an objective is needed are its functions or constants. The simulation's own are the counts (no Prometheus, no scrape that is missed, each weight live at once), the bins of the record, the clock of a step, and the comparison of each family with its bar, for many runs together. Container crashes, hanging requests and custom queries are not simulated.

**Policies.** *Sluice, 30 minutes*: 10, 20, 30, 40, 50 %, six minutes each, then promoted. *Sluice, automatic steps*: the weight rises when the evidence allows it, and the canary is promoted when twice the errors, 1.5 times the slow requests and 0.02 of accuracy are ruled out; accuracy is asked for in the last step alone, as by default. *At 80 %* and *watched* are described where they are shown. Rivals: the rules of [Flagger's and Argo Rollouts' documentation](../tests/simulation/rivals.py), the same with the limits of common guides (errors 0.1 %, p95 200 ms, p99 500 ms, accuracy 0.70), and a z-test at 95 % that is looked at with every scrape.

**How to read it.** Four numbers with strokes are 1 / 10 / 100 / 1,000 requests per second. Medians are over all runs; "-" says that less than half got there. Runs per cell of Sluice's: {cells}. Rivals: {rivals}.
"""  # noqa: E501


def page(results: Results, runs: int) -> str:
    def of(policy: str, name: str) -> int:
        return results[Cell(policy, name, 100)].runs

    cells = (
        f"healthy canaries {of(TIMED, _USUAL)} (timed ramp), {of(AUTOMATIC, _USUAL)} (automatic steps; "
        f"{of(AUTOMATIC, WORST[0])} in the rows of one-arm bursts), {of(WATCHED, _USUAL)} "
        f"(watch); an incident in both arms {of(HEAVY, _INCIDENT)}; exactly at the margin "
        f"{of(AUTOMATIC, _AT_MARGIN)}, its e-value alone {of(CLEARS_ERRORS, _AT_MARGIN)}; "
        f"all others {runs}"
    )
    intro = _INTRO.format(runs=runs, cells=cells, rivals=of(FLAGGER, _USUAL))
    sections = (
        _targets,
        _false_rollbacks,
        _detection,
        _exposure,
        _promotion,
        _watch,
        _margins,
        _surroundings,
    )
    return "\n".join([intro, *(section(results) for section in sections)])


def _targets(results: Results) -> str:
    rows = [(one.promise, one.value, one.policy, f"{one.runs:,}", one.measured, one.state) for one in targets(results)]
    return _section(
        "Targets",
        "Intervals are those of Clopper and Pearson. They take runs for independent, though a hundred of them share a "
        "record; and that of a worst cell ignores that it was picked, which makes it too high rather than too low.",
        _table(("target", "value", "policy", "runs", "measured", ""), rows),
    )


def _false_rollbacks(results: Results) -> str:
    rows = [(name, *(_by_rate(results, one, name, _taken_back) for one in (TIMED, AUTOMATIC))) for name in HEALTHY]
    rivals = [(policy, *(_by_rate(results, policy, name, _taken_back) for name in RIVALS_HEALTHY)) for policy in RIVALS]
    both = [
        (name, *(_by_rate(results, one, name, _taken_back) for one in (TIMED, HEAVY))) for name in scenarios.BOTH_BREAK
    ]
    return _section(
        "Healthy canaries taken back, %",
        _table(("canary", TIMED, AUTOMATIC), rows),
        "The last row is what no method can exclude that decides within seconds: a service that begins to burst when "
        "the run begins. In the rows of nine pods, the "
        "operator's law allows for nine canary pods, as many as there are at the last weights.",
        "An incident that hits both arms, with a good record before it (errors 3 %, p95 240 ms, accuracy 0.65: beyond "
        "all three limits), on the timed ramp, and with a single step of 80 % for half an hour.",
        _table(("incident", TIMED, HEAVY), both),
        "The rivals:",
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
            " / ".join(f"{down(exposure_ratio(results, policy, AUTOMATIC, rate)):,.1f}" for rate in RATES),
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


def _watch(results: Results) -> str:
    good = [(name, *(_returned(results, name, rate) for rate in RATES)) for name in scenarios.WATCHED_GOOD]
    bad = [
        (name, *(_returned_after(results, name, rate) for rate in RATES))
        for name in (*scenarios.WATCHED_BAD, *scenarios.OUTAGES)
    ]
    rates = tuple(f"{rate:,} req/s" for rate in RATES)
    return _section(
        "A canary that serves alone",
        "Ten minutes at 10 to 50 %, then promoted, and watched for 15 minutes. Nothing is beside it any more: it is "
        "held against what stable did until then, by the objectives' own margins. Of the runs that were promoted.",
        "Good ones that are returned, %:",
        _table(("canary", *rates), good),
        "Bad ones: returned %, and the median time after they turned. A p95 that grows by 50 % keeps its limit: it is "
        "found beside stable, and not alone, where only a share over 200 ms counts that exceeds the 5 % of the limit. "
        "The last rows are **outages that any version would have had** (errors 5 %, p95 +50 %, five minutes after the "
        "promotion): nobody sees the other arm, so one that lasts is taken for the canary's, and an innocent canary is "
        "returned.",
        _table(("canary", *rates), bad),
    )


def _returned(results: Results, name: str, rate: float) -> str:
    counted = Counted.of(alone(results[Cell(WATCHED, name, rate)]).taken_back)
    return f"{_percent(counted.share)} of {counted.runs}"


def _returned_after(results: Results, name: str, rate: float) -> str:
    outcomes = alone(results[Cell(WATCHED, name, rate)])
    turned = scenarios.EVERY[name].turns - PROMOTED_AT
    seconds, _ = back(outcomes)
    return f"{_percent(_taken_back(outcomes))} · {_seconds(seconds - turned)}"


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
