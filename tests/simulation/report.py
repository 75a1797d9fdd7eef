"""Writes docs/simulation.md from the results of the full study."""

from collections.abc import Iterable

from tests.simulation import scenarios
from tests.simulation.cells import by_rate, found, over_floor, promoted_after, rolled_back, ruled_out
from tests.simulation.figures import (
    Counted,
    exposure_ratio,
    floor_requests,
    in_watch,
    mean_promoted,
    medians_until_rollback,
    rounded_down,
)
from tests.simulation.markdown import count, duration, percent, section, table
from tests.simulation.plan import EQUAL_AND_CALM, MOST_ROLLBACKS, RIVALS_HEALTHY
from tests.simulation.scenarios import HEALTHY, PROMOTED_AT, RATES
from tests.simulation.study import (
    ARGO,
    AUTOMATIC,
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

`make simulate` writes this page. It takes 150 runs of each regression, about half an hour on two idle cores. The page that you see is from `python -m tests.simulation --runs {runs}`. The seeds are fixed: the same command gives the same page, with any number of processes. `make check` and `make test` assert the main results with fewer runs.

**What is simulated.** The traffic is a Poisson process with 1 to 1,000 requests per second. Latencies are log-normal with a p95 of 120 ms. 0.1 % of the requests are errors. The accuracy is 0.95, and every request gets a label. Prometheus scrapes every 5 seconds. The baseline has 6 hours of stable (where there are nine pods, one hour of each). A burst multiplies errors by 20 and latency by 1.8, for 30 to 90 seconds (in the rows with "one an hour" or "one burst an hour": for 60 seconds). Every policy sees only counts that Prometheus could give it. The limits of Sluice's objectives are 0.1 % errors, a p95 of 200 ms and an accuracy of 0.70. Stable is exactly at the first of them.

**What is the operator's own code.** The simulation calls the operator's functions, or uses its constants, for these parts: parsing the objectives, and what is tested of them; the margins of each step; the latency bounds that are compared (of the server's histogram); the burst law, and the number of pods that it allows for; all e-processes and their means; the threshold of each family of tests; the automatic steps; when an objective is needed. The simulation has its own code for these parts: the counts (there is no Prometheus, no scrape is missed, and each weight is live at once); the bins of the baseline; the clock of a step; the comparison of each family with its threshold, for many runs together. Container crashes, hanging requests and query objectives are not simulated. Nor are refusals on this page, which every run compares too: `test_quick.py` next to the simulation has what they cost.

**Policies.** *Sluice, 30 minutes*: weights of 10, 20, 30, 40 and 50 %, six minutes each, then the promotion. *Sluice, automatic steps*: the weight rises when the evidence allows it. The canary is promoted when three things are ruled out: twice the errors, 1.5 times the slow requests, and an accuracy that is 0.02 lower. Accuracy is only needed in the last step, as by default. *Sluice, at 80 %* and *Sluice, watched* are described in their sections. The rivals are: the rules of [Flagger's and Argo Rollouts' documentation](../tests/simulation/rivals.py); the same rules with the limits of common guides (errors 0.1 %, p95 200 ms, p99 500 ms, accuracy 0.70); and a z-test at 95 % that is evaluated at every scrape.

**How to read it.** Four numbers with slashes are for 1 / 10 / 100 / 1,000 requests per second. Medians are over all runs. "-" means that fewer than half of the runs got there. *Calm* means without bursts. Runs per cell, for Sluice: {cells}. For the rivals: {rivals}.
"""  # noqa: E501


def page(results: Results, runs: int) -> str:
    """The whole page. `runs`: the runs of each regression in the study."""

    def runs_of(policy: str, name: str) -> int:
        return results[Cell(policy, name, 100)].runs

    cells = (
        f"healthy canaries {runs_of(TIMED, _USUAL)} (30 minutes), {runs_of(AUTOMATIC, _USUAL)} (automatic steps; "
        f"{runs_of(AUTOMATIC, MOST_ROLLBACKS[0])} in the rows with bursts of one revision at a time), "
        f"{runs_of(WATCHED, _USUAL)} (watched); an incident in both revisions {runs_of(HEAVY, _INCIDENT)}; exactly at "
        f"the margin {runs_of(AUTOMATIC, _AT_MARGIN)}, the margin's e-value by itself "
        f"{runs_of(CLEARS_ERRORS, _AT_MARGIN)}; all others {runs}"
    )
    intro = _INTRO.format(runs=runs, cells=cells, rivals=runs_of(FLAGGER, _USUAL))
    parts = (
        _targets,
        _false_rollbacks,
        _detection,
        _exposure,
        _promotion,
        _watch,
        _margins,
        _clumps,
        _surroundings,
    )
    return "\n".join([intro, *(part(results) for part in parts)])


def _targets(results: Results) -> str:
    rows = [
        (target.promise, target.value, target.policy, f"{target.runs:,}", target.measured, target.state)
        for target in targets(results)
    ]
    return section(
        "Targets",
        "Intervals are those of Clopper and Pearson, at 95 %. They treat all runs as independent, although a hundred "
        "runs share one baseline. The interval of a worst cell ignores that this cell was picked. This makes the "
        "interval too high rather than too low.",
        table(("target", "value", "policy", "runs", "measured", "result"), rows),
    )


def _false_rollbacks(results: Results) -> str:
    def row(name: str, policies: Iterable[str]) -> tuple[str, ...]:
        return name, *(by_rate(results, policy, name, rolled_back) for policy in policies)

    rows = [row(name, (TIMED, AUTOMATIC)) for name in HEALTHY]
    incidents = [row(name, (TIMED, HEAVY)) for name in scenarios.BOTH_BREAK]
    rivals = [(policy, *(by_rate(results, policy, name, rolled_back) for name in RIVALS_HEALTHY)) for policy in RIVALS]
    return section(
        "Healthy canaries that are rolled back, %",
        table(("canary", TIMED, AUTOMATIC), rows),
        "The last row shows what no method can exclude if it decides within seconds: a service that begins to burst "
        "when the run begins. In the rows with nine pods, the operator's burst law allows for nine canary pods, as "
        "many as there are at the last weights.",
        "The next table has an incident that hits both revisions after a good baseline. It takes both over all three "
        f"limits (errors 3 %, p95 240 ms, accuracy 0.65). *{HEAVY}* is a single step of 80 % for half an hour.",
        table(("incident", TIMED, HEAVY), incidents),
        "The rivals:",
        table(("rival", *RIVALS_HEALTHY), rivals),
    )


def _detection(results: Results) -> str:
    rows = [
        (name, f"{rate:,}", *(found(results, policy, name, rate) for policy in (AUTOMATIC, TIMED, FLAGGER, ARGO)))
        for name in (*scenarios.REGRESSIONS, *scenarios.SILENT)
        for rate in RATES
        if (AUTOMATIC, name, rate) in results
    ]
    return section(
        "Bad canaries",
        "Each cell has the share rolled back in %, the median time, and the median of the canary's requests until "
        "then. 'p' is the share promoted in %.",
        table(("regression", "req/s", AUTOMATIC, TIMED, FLAGGER, ARGO), rows),
    )


def _exposure(results: Results) -> str:
    rows = [
        (
            policy,
            " / ".join(f"{rounded_down(exposure_ratio(results, policy, AUTOMATIC, rate)):,.1f}" for rate in RATES),
            " / ".join(percent(mean_promoted(results, policy, rate)) for rate in RATES),
        )
        for policy in (AUTOMATIC, TIMED, *RIVALS)
    ]
    floors = [
        (name, f"{floor_requests(name):,.0f}", *(over_floor(results, policy, name) for policy in (AUTOMATIC, TIMED)))
        for name in scenarios.REGRESSIONS
    ]
    return section(
        "Requests exposed to a bad canary",
        f"Requests in the first hour, as a multiple of those with *{AUTOMATIC}*: the geometric mean over the ten "
        "regressions.",
        table(("policy", "times as many", "promoted, mean %"), rows),
        "Requests compared with the information floor, at 100 requests per second. The floor is what the best test for "
        "exactly this regression needs, at a weight of 10 % and a level of 5 %, if everything else is known and "
        "nothing bursts.",
        table(("regression", "floor", AUTOMATIC, TIMED), floors),
    )


def _promotion(results: Results) -> str:
    rows = [
        (
            name,
            " / ".join(duration(promoted_after(results[Cell(AUTOMATIC, name, rate)])) for rate in RATES),
            by_rate(results, AUTOMATIC, name, lambda outcomes: float(outcomes.promoted.mean())),
        )
        for name in HEALTHY
    ]
    ruled_out = [
        (name, count(outcomes.median_exposed(outcomes.promoted)), percent(float(outcomes.promoted.mean())))
        for name in EQUAL_AND_CALM
        for outcomes in (results[Cell(CLEARS_ERRORS, name, 100)],)
    ]
    return section(
        "Healthy canaries promoted by automatic steps",
        table(("canary", "median time", "promoted within the hour, %"), rows),
        "The next table has the canary's requests until this is ruled out: at least twice stable's errors, and at "
        "least 0.1 % (weight 10 %, only the objective for errors).",
        table(("both revisions", "median", "ruled out within the hour, %"), ruled_out),
    )


def _watch(results: Results) -> str:
    good = [(name, *(_watch_rollbacks(results, name, rate) for rate in RATES)) for name in scenarios.WATCHED_GOOD]
    bad = [
        (name, *(_watch_rollback_time(results, name, rate) for rate in RATES))
        for name in (*scenarios.WATCHED_BAD, *scenarios.OUTAGES)
    ]
    rates = tuple(f"{rate:,} req/s" for rate in RATES)
    return section(
        "A canary in the watch after its promotion",
        f"*{WATCHED}*: ten minutes at 10 to 50 %, then the promotion, then a watch of 15 minutes. No other revision "
        "serves at the same time. The canary is compared with what stable did until then, by the margins of the "
        "objectives. The tables count only runs that were promoted.",
        "Good canaries that are rolled back, %:",
        table(("canary", *rates), good),
        "Bad canaries: the share rolled back in %, and the median time after they turned bad. A p95 that grows by 50 % "
        "keeps its limit. The comparison with stable finds it, and the watch does not: in the watch it counts only if "
        "more than the 5 % of the limit take longer than 200 ms. The last rows are **outages that any version would "
        "have had** (errors 5 %, p95 +50 %, five minutes after the promotion). No other revision serves at the same "
        "time. So an outage that lasts counts against the canary, and an innocent canary is rolled back.",
        table(("canary", *rates), bad),
    )


def _watch_rollbacks(results: Results, name: str, rate: float) -> str:
    counted = Counted.of(in_watch(results[Cell(WATCHED, name, rate)]).rolled_back)
    return f"{percent(counted.share)} of {counted.runs}"


def _watch_rollback_time(results: Results, name: str, rate: float) -> str:
    outcomes = in_watch(results[Cell(WATCHED, name, rate)])
    turned_at = scenarios.SCENARIOS[name].turns - PROMOTED_AT
    seconds, _ = medians_until_rollback(outcomes)
    return f"{percent(rolled_back(outcomes))} · {duration(seconds - turned_at)}"


def _margins(results: Results) -> str:
    rows = []
    for name in scenarios.AT_MARGIN:
        automatic = [results[Cell(AUTOMATIC, name, rate)] for rate in (100, 1000)]
        rows.append(
            (
                name,
                ruled_out(results, name),
                " / ".join(percent(float(outcomes.promoted.mean())) for outcomes in automatic),
                " / ".join(percent(rolled_back(outcomes)) for outcomes in automatic),
            )
        )
    return section(
        "A canary exactly at the margin",
        "At most 5 % of these canaries may be promoted. 'Ruled out' is the margin's e-value by itself, in one hour at "
        "a weight of 10 % and 100 requests per second. The other two columns are automatic steps, at 100 / 1,000 "
        "requests per second.",
        table(("canary", "ruled out, %", "promoted, %", "rolled back, %"), rows),
    )


def _clumps(results: Results) -> str:
    healthy = [(name, by_rate(results, TIMED, name, rolled_back)) for name in scenarios.CLUMPED]
    at_margin = [(name, ruled_out(results, name)) for name in scenarios.CLUMPED_AT_MARGIN]
    worse = [
        (clumped, *(found(results, AUTOMATIC, row, 100) for row in (clumped, name)))
        for name, clumped in zip(scenarios.REGRESSIONS, scenarios.CLUMPED_WORSE, strict=True)
    ]
    return section(
        "Bad requests that come in clumps",
        "One cause makes several requests bad: a clump. The number is the mean size, and sizes are geometric where the "
        "row does not say otherwise. The baseline has the same clumps. Healthy canaries that are rolled back, %:",
        table(("canary", TIMED), healthy),
        "No method that decides within seconds can exclude the last row: clumps that begin with the run. The margin's "
        "e-value by itself, for canaries exactly at the margin (100 requests per second; at most 5 % are allowed):",
        table(("canary", "ruled out, %"), at_margin),
        "Bad canaries with clumps and without, at 100 requests per second:",
        table(("regression", "in clumps", "each request by itself"), worse),
    )


def _surroundings(results: Results) -> str:
    hidden = [(name, found(results, TIMED, name, 100)) for name in scenarios.HIDDEN]
    turning = [(name, *(found(results, TIMED, name, rate) for rate in (10, 100, 1000))) for name in scenarios.TURNING]
    return section(
        "Bad canaries that are hard to find",
        "Here each revision has its own bursts, at 100 requests per second. A regression that looks like a burst is "
        "found when it has lasted longer than stable's bursts do.",
        table(("regression", TIMED), hidden),
        f"A canary that turns bad after ten minutes looks like the start of a burst. The policy is *{TIMED}*; times "
        "are since the start of the run.",
        table(("regression", "10 req/s", "100 req/s", "1,000 req/s"), turning),
    )
