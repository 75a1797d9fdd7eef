"""docs/by-hand.md: the code gives its numbers, and so does a second computation in plain arithmetic (by_hand.py)."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.evaluation import EndedRun, Evaluation, evaluate
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.analysis.verdict import Part
from sluice_operator.api.quantities import Duration
from sluice_operator.api.rollout_spec import Step
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import Result
from sluice_operator.cli.__main__ import main
from sluice_operator.counting.ticks import Tally
from sluice_operator.counting.ticks import Tick as CountedTick
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest
from sluice_operator.evalues.objective import ObjectiveBaseline
from sluice_operator.records import run_record
from sluice_operator.records.replay import Replay, replayed
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.evalues import by_hand
from tests.unit.sluice_operator.evalues.by_hand import LEVELS, TICK, Tick
from tests.unit.sluice_operator.recorded import BEGAN, PATIENCE, a_run

PAGE = (Path(__file__).parents[4] / "docs" / "by-hand.md").read_text(encoding="utf-8")
OBJECTIVE = {"name": "errors", "errorRate": {"max": "1%", "maxRatio": "2"}}
WEIGHT, LIMIT, RATIO = 10, 0.01, 2.0
REQUESTS, BAD = 432_000, 1_728  # of the baseline
BASELINE_SHARE = (BAD + 0.5) / (REQUESTS + 1)
ARITHMETIC = {"__builtins__": {}, "lg": math.log10}


def section(heading: str) -> list[str]:
    """The lines of a section of the page."""
    lines = iter(PAGE.splitlines())
    assert f"## {heading}" in lines  # this also moves the iterator to the line after the heading
    return list(takewhile(lambda line: not line.startswith("## "), lines))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table of a section, without its heading and without the marks of bold type."""
    lines = [line.replace("*", "")[1:-1].split("|") for line in section(heading) if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in lines[2:]]


def shown(*values: float) -> list[str]:
    """Numbers as they are written on the page."""
    return [f"{value:.4g}" for value in values]


*COUNTED, THRESHOLDS = rows("1. The run")
TICKS = [Tick(*map(int, row[2:6])) for row in COUNTED]
# What counts in the canary's favour: the weight was seen live only in tick 1.
PROVEN = [TICKS[0]._replace(n_c=0, y_c=0), *TICKS[1:]]
RATIOS = [by_hand.ratio_of_tick(*tick) for tick in TICKS]


@cache
def the_run() -> Replay:
    """The counts of the page, judged by the code and recorded; then the run record is replayed."""
    law, column = BurstLaw.unknown(by_hand.BASELINE), BurstLaw.unknown(by_hand.BASELINE, (1,))
    baseline = Baseline({"errors": ObjectiveBaseline(column, law, REQUESTS, BAD)}, (), by_hand.BASELINE, REQUESTS)
    step = Step(weight=WEIGHT, min_requests=50, min_duration=Duration.parse("5s"))
    run = a_run(
        weights=(WEIGHT,), objectives=a_spec(objectives=[OBJECTIVE]).objectives, steps=(step,), step_seconds=300.0
    )
    evidence = RunEvidence(run.judged, 1, baseline, Pods(1, 1), TICK)
    for number, tick in enumerate(TICKS):
        start = BEGAN.timestamp() + TICK * number
        canary, stable = Tally(tick.n_c, tick.n_c, tick.y_c), Tally(tick.n_s, tick.n_s, tick.y_s)
        evidence.update(CountedTick(start, start + TICK, canary, stable), run)
        now = BEGAN + timedelta(seconds=TICK * (number + 1))
        findings = evidence.findings(run, now.timestamp(), PATIENCE)
        verdict = evaluate(findings, run.confidence, Part.of(run, now))
        assert (verdict.result is Result.FAIL) == (tick is TICKS[-1])
    run = replace(run, ended_at=now, outcome=Outcome.REJECTED, reason=verdict.reason, message=verdict.message)
    return replayed(run_record.of_run("models", "iris", run, EndedRun(evidence, Evaluation(verdict, now), PATIENCE)))


def both_counts(tick: Tick) -> tuple[Counts, Counts]:
    """Of the canary and of stable."""
    n_c, y_c, n_s, y_s = (np.array([float(count)]) for count in tick)
    return Counts(n_c, y_c), Counts(n_s, y_s)


def by_the_code() -> list[list[str]]:
    """For each tick: E_t, E over the share of the baseline, their minimum; then limits, silence and the margin."""
    law = BurstLaw.unknown(by_hand.BASELINE)
    compared, over_baseline = Comparison(law, Pods(1, 1), TICK), LimitTest(law, 1, TICK, np.asarray(BASELINE_SHARE))
    table = []
    for tick, replayed_tick in zip(TICKS, the_run().ticks, strict=True):
        canary, stable = both_counts(tick)
        compared.update(canary, stable)
        over_baseline.update(canary)
        halves = (compared.log_evalue[0], over_baseline.log_evalue[0])
        cleared = replayed_tick.objectives[0].non_inferior[0]
        logs = (*halves, replayed_tick.comparison, replayed_tick.limits, replayed_tick.silent, cleared)
        table.append(shown(*map(math.exp, logs)))
    return table


def by_plain_arithmetic() -> list[list[str]]:
    """The same numbers, computed a second time."""
    of_canary = [(tick.n_c, tick.y_c) for tick in TICKS]
    compared = by_hand.comparison(TICKS)
    over_baseline, over_limit = (by_hand.over_limit(share, of_canary) for share in (BASELINE_SHARE, LIMIT))
    ratio = by_hand.margin(RATIO, PROVEN)
    silent = [0.8, 0.8, *by_hand.silence(WEIGHT / 100, TICKS[2:])]
    table = []
    for t in range(len(TICKS)):
        n, y = (sum(counts) for counts in zip(*((tick.n_c, tick.y_c) for tick in PROVEN[: t + 1]), strict=True))
        cleared = 0.7 * ratio[t] + 0.3 * math.exp(by_hand.log_below_limit(LIMIT, n, y))
        worse, limits = min(compared[t], over_baseline[t]), min(over_limit[t], compared[t])
        table.append(shown(compared[t], over_baseline[t], worse, limits, silent[t], cleared))
    return table


@pytest.mark.parametrize("computed", [by_the_code, by_plain_arithmetic])
def test_the_evalues_of_each_tick(computed: Callable[[], list[list[str]]]) -> None:
    """The code and the second computation both give the numbers of the page."""
    assert [row[6:] for row in COUNTED] == computed()


def test_the_thresholds_are_those_of_the_run() -> None:
    """The run fails in its last tick, and only in the comparison."""
    run = the_run()
    thresholds = run.thresholds
    assert THRESHOLDS[8:] == shown(
        *map(math.exp, (thresholds.comparison, thresholds.limits, thresholds.unpaired, thresholds.non_inferior))
    )
    assert [tick.has_failed(thresholds) for tick in run.ticks] == [False] * (len(TICKS) - 1) + [True]
    assert run.ticks[-1].comparison >= thresholds.comparison
    assert run.ticks[-1].limits < thresholds.limits


def test_the_likelihood_ratios_of_each_tick() -> None:
    """By level: the ratios of ticks with a bad request, their product, and the sum over all beginnings."""
    sums = by_hand.without_bursts(RATIOS)[-1]
    assert rows("3. The likelihood ratio of a tick") == [
        [f"{r:g}", *shown(*(RATIOS[t](r) for t in (1, 2, 3, 5, 6)), math.prod(ratio(r) for ratio in RATIOS), sums[r])]
        for r in LEVELS
    ]


def test_the_second_tick_with_all_its_states() -> None:
    """The probabilities are still those of the start, because the first tick had no bad request."""
    chances: dict[tuple[str, float], float] = defaultdict(float)
    for state, chance in by_hand.start().items():
        chances[state.kind, state.ratio] += chance
    likelihood, begun = RATIOS[1], by_hand.start_weight(0, 0.8) + by_hand.start_weight(1, 0.8)
    weights = {state: chance * likelihood(state[1]) for state, chance in chances.items()}
    dips = sum(weight for (kind, _), weight in weights.items() if kind == "dip")
    alternatives = {
        psi: begun
        * (
            chances["quiet", 1.0] * likelihood(psi)
            + dips
            + sum(weight for (kind, level), weight in weights.items() if kind == "burst" and level > psi)
        )
        for psi in LEVELS
    }
    table = [
        shown(r, chance, likelihood(r), weights[kind, r]) + (shown(alternatives[r]) if kind == "burst" else [""])
        for (kind, r), chance in chances.items()
    ]
    total, mean = sum(weights.values()), sum(alternatives.values()) / 9
    *states, last = rows("4. Bursts: the second tick in full")
    assert [row[1:] for row in states] == table
    assert last[1:] == ["", *shown(1.0), "", *shown(total, mean)]
    assert mean / total == pytest.approx(by_hand.comparison(TICKS)[1], rel=1e-3)


def paths(level: float) -> list[tuple[float, float, float]]:
    """A burst that goes on to the last tick, by its first tick (0: before the run): the probability that it begins, the
    probability that it lasts, and the likelihood."""
    last, no_burst = len(TICKS), 1 / (1 + 60 / by_hand.BASELINE)
    inside = no_burst * 60 / (9 * by_hand.BASELINE), sum(by_hand.burst_lasts(last, stages) for stages in (1, 2, 3)) / 3
    begun = [(no_burst * by_hand.BURST_STARTS, by_hand.burst_lasts(last - first)) for first in range(1, last + 1)]
    likelihoods = [math.prod(ratio(level) for ratio in RATIOS[max(0, first - 1) :]) for first in range(last + 1)]
    return [(*chances, likelihood) for chances, likelihood in zip([inside, *begun], likelihoods, strict=True)]


def test_what_a_burst_of_one_level_explains() -> None:
    """The table goes by the tick in which the burst began."""
    *begun, last = rows("5. Bursts: the last tick")
    assert [row[1:] for row in begun] == [shown(*factors, math.prod(factors)) for factors in paths(20.0)]
    assert last[-1:] == shown(sum(map(math.prod, paths(20.0))))


def test_by_how_much_bursts_lower_the_evalue() -> None:
    """All levels together explain nearly all of the difference between the e-value without bursts and the real one."""
    by_level = [sum(map(math.prod, paths(level))) for level in LEVELS]
    without, (*_, (alternative, null)) = sum(by_hand.without_bursts(RATIOS)[-1].values()) / 9, by_hand.chain(RATIOS)
    assert without / (1 + sum(by_level)) == pytest.approx(alternative / null, rel=0.01)
    lines = section("5. Bursts: the last tick")
    assert f"    {' + '.join(shown(*by_level))} = {shown(sum(by_level))[0]}" in lines
    assert f"    {alternative:.5g} / {null:.5g} = {shown(alternative / null)[0]}" in lines
    longer = by_hand.comparison([*TICKS, *4 * [TICKS[-1]]])[-4:]
    assert f"becomes less likely: {', '.join(shown(*longer))} after" in " ".join(lines)


def test_the_same_without_bursts() -> None:
    """All three chains by tick, next to the e-values of the first table."""
    of_baseline, of_limit = (
        [by_hand.wald(share, tick.n_c, tick.y_c) for tick in TICKS] for share in (BASELINE_SHARE, LIMIT)
    )
    columns = [
        [sum(sums.values()) / 9 for sums in by_hand.without_bursts(likelihoods)]
        for likelihoods in (RATIOS, of_baseline, of_limit)
    ]
    assert rows("6. The baseline, and the limit") == [
        [str(t + 1), shown(a)[0], row[6], shown(b)[0], row[7], shown(c)[0], row[9]]
        for t, (row, a, b, c) in enumerate(zip(COUNTED, *columns, strict=True))
    ]


def test_the_margin_by_a_ratio() -> None:
    """After the tick that the page computes step by step, and at the end."""
    ratio = by_hand.margin(RATIO, PROVEN)
    lines = section("7. Silence, and evidence in favour")
    assert f"and {ratio[1]:.4g} with bursts." in " ".join(lines)
    assert any(line.startswith(f"    0.7 * {ratio[-1]:.5g} + 0.3 * ") for line in lines)


def test_each_line_of_arithmetic_is_right() -> None:
    """A calculator gives the same result, to the digits that the page has."""
    lines = re.findall(r"^    (.+?) = (\S+)(?:  .*)?$", PAGE, re.MULTILINE)
    assert len(lines) > 20
    for text, result in lines:
        value = eval(text.replace("^", "**"), ARITHMETIC)
        digits = len(re.sub(r"e.*", "", result).replace(".", "").lstrip("0"))
        assert f"{value:.{digits}g}" == f"{float(result):.{digits}g}", text


def test_the_page_shows_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The replay of the run record: each tick, the decision, and that the verdict is the recorded one."""
    path = tmp_path / "record"
    path.write_bytes(run_record.encoded(the_run().record))
    assert main(["replay", "--record", str(path), "--ticks"]) == 0
    assert f"```text\n{capsys.readouterr().out}```" in PAGE
