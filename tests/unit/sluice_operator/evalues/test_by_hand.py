"""docs/by-hand.md: its numbers are the code's, and those of a second computation in plain arithmetic."""

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
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.evaluation import EndedRun, Evaluation
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.analysis.verdict import judge
from sluice_operator.api.quantities import Duration
from sluice_operator.api.spec import Step
from sluice_operator.api.status import Outcome, Result
from sluice_operator.cli import main
from sluice_operator.counting.ticks import Tally
from sluice_operator.counting.ticks import Tick as Seen
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
REQUESTS, BAD = 432_000, 1_728  # of stable's record
USUAL = (BAD + 0.5) / (REQUESTS + 1)
ARITHMETIC = {"__builtins__": {}, "lg": math.log10}


def section(heading: str) -> list[str]:
    """Its lines on the page."""
    lines = iter(PAGE.splitlines())
    assert f"## {heading}" in lines  # and they go on after it
    return list(takewhile(lambda line: not line.startswith("## "), lines))


def rows(heading: str) -> list[list[str]]:
    """The table of a section, without its heading. Bold type is taken off."""
    lines = [line.replace("*", "")[1:-1].split("|") for line in section(heading) if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in lines[2:]]


def shown(*values: float) -> list[str]:
    """As numbers are written on the page."""
    return [f"{value:.4g}" for value in values]


*COUNTED, BARS = rows("1. The run")
TICKS = [Tick(*map(int, row[2:6])) for row in COUNTED]
PROVEN = [TICKS[0]._replace(n_c=0, y_c=0), *TICKS[1:]]  # in the canary's favour: the weight was seen live in tick 1
RATIOS = [by_hand.ratio_of_tick(*tick) for tick in TICKS]


@cache
def the_run() -> Replay:
    """The counts of the page, judged by the code, and its record judged again."""
    known = ObjectiveBaseline(BurstLaw.unknown(by_hand.RECORD, (1,)), BurstLaw.unknown(by_hand.RECORD), REQUESTS, BAD)
    step = Step(weight=WEIGHT, min_requests=50, min_duration=Duration.parse("5s"))
    run = a_run(
        weights=(WEIGHT,), objectives=a_spec(objectives=[OBJECTIVE]).objectives, steps=(step,), step_seconds=300.0
    )
    trial = RunEvidence(run.judged, 1, Baseline({"errors": known}, (), by_hand.RECORD, REQUESTS), Pods(1, 1), TICK)
    for number, tick in enumerate(TICKS):
        start = BEGAN.timestamp() + TICK * number
        canary, stable = Tally(tick.n_c, tick.n_c, tick.y_c), Tally(tick.n_s, tick.n_s, tick.y_s)
        trial.update(Seen(start, start + TICK, canary, stable), run)
        now = BEGAN + timedelta(seconds=TICK * (number + 1))
        findings = trial.findings(run, now.timestamp(), PATIENCE)
        verdict = judge(findings, run.confidence, Stage.of(run, now), 0)
        assert (verdict.result is Result.FAIL) == (tick is TICKS[-1])
    run = replace(run, ended_at=now, outcome=Outcome.REJECTED, reason=verdict.reason, message=verdict.message)
    return replayed(run_record.of_run("models", "iris", run, EndedRun(trial, Evaluation(verdict, now), PATIENCE)))


def arms(tick: Tick) -> tuple[Counts, Counts]:
    n_c, y_c, n_s, y_s = (np.array([float(count)]) for count in tick)
    return Counts(n_c, y_c), Counts(n_s, y_s)


def by_the_code() -> list[list[str]]:
    """Of each tick: E_t, E beyond the usual share, their minimum, then limits, silence and what is cleared."""
    again, law = the_run(), BurstLaw.unknown(by_hand.RECORD)
    compared, unusual = Comparison(law, Pods(1, 1), TICK), LimitTest(law, 1, TICK, np.asarray(USUAL))
    found = []
    for tick, moment in zip(TICKS, again.ticks, strict=True):
        canary, stable = arms(tick)
        compared.update(canary, stable)
        unusual.update(canary)
        alone = (compared.log_evalue[0], unusual.log_evalue[0])
        cleared = moment.objectives[0].non_inferior[0]
        logs = (*alone, moment.comparison, moment.limits, moment.silent, cleared)
        found.append(shown(*map(math.exp, logs)))
    return found


def by_plain_arithmetic() -> list[list[str]]:
    """The same, computed a second time."""
    of_canary = [(tick.n_c, tick.y_c) for tick in TICKS]
    compared, unusual, beyond = (
        by_hand.comparison(TICKS),
        *(by_hand.over_limit(one, of_canary) for one in (USUAL, LIMIT)),
    )
    ratio = by_hand.margin(RATIO, PROVEN)
    silent = [0.8, 0.8, *by_hand.silence(WEIGHT / 100, TICKS[2:])]
    found = []
    for t in range(len(TICKS)):
        n, y = (sum(counts) for counts in zip(*((tick.n_c, tick.y_c) for tick in PROVEN[: t + 1]), strict=True))
        cleared = 0.7 * ratio[t] + 0.3 * math.exp(by_hand.log_below_limit(LIMIT, n, y))
        limits = min(beyond[t], compared[t])
        found.append(shown(compared[t], unusual[t], min(compared[t], unusual[t]), limits, silent[t], cleared))
    return found


@pytest.mark.parametrize("computed", [by_the_code, by_plain_arithmetic])
def test_the_evalues_of_each_tick(computed: Callable[[], list[list[str]]]) -> None:
    """By the code, and by a second computation that has nothing of it."""
    assert [row[6:] for row in COUNTED] == computed()


def test_the_bars_are_those_of_the_run() -> None:
    """And the run fails in its last tick, in the comparison alone."""
    again = the_run()
    thresholds = again.thresholds
    assert BARS[8:] == shown(
        *map(math.exp, (thresholds.comparison, thresholds.limits, thresholds.unpaired, thresholds.non_inferior))
    )
    assert [one.failing(thresholds) for one in again.ticks] == [False] * (len(TICKS) - 1) + [True]
    assert again.ticks[-1].comparison >= thresholds.comparison
    assert again.ticks[-1].limits < thresholds.limits


def test_the_likelihood_ratios_of_each_tick() -> None:
    """By level; their product, and the sum over beginnings."""
    sums = by_hand.without_bursts(RATIOS)[-1]
    assert rows("3. The likelihood ratio of a tick") == [
        [f"{r:g}", *shown(*(RATIOS[t](r) for t in (1, 2, 3, 5, 6)), math.prod(one(r) for one in RATIOS), sums[r])]
        for r in LEVELS
    ]


def test_the_second_tick_with_all_its_states() -> None:
    """Chances are still those of the start, because the first tick had no bad request."""
    chances: dict[tuple[str, float], float] = defaultdict(float)
    for state, chance in by_hand.start().items():
        chances[state.kind, state.ratio] += chance
    seen, bet = RATIOS[1], by_hand.begins(0, 0.8) + by_hand.begins(1, 0.8)
    weights = {state: chance * seen(state[1]) for state, chance in chances.items()}
    calm = sum(weight for (kind, _), weight in weights.items() if kind == "dip")
    alternatives = {
        psi: bet
        * (
            chances["quiet", 1.0] * seen(psi)
            + calm
            + sum(weight for (kind, level), weight in weights.items() if kind == "burst" and level > psi)
        )
        for psi in LEVELS
    }
    found = [
        shown(r, chance, seen(r), weights[kind, r]) + (shown(alternatives[r]) if kind == "burst" else [""])
        for (kind, r), chance in chances.items()
    ]
    total, mean = sum(weights.values()), sum(alternatives.values()) / 9
    *states, last = rows("4. Bursts: the second tick in full")
    assert [row[1:] for row in states] == found
    assert last[1:] == ["", *shown(1.0), "", *shown(total, mean)]
    assert mean / total == pytest.approx(by_hand.comparison(TICKS)[1], rel=1e-3)


def paths(level: float) -> list[tuple[float, float, float]]:
    """Of a burst that goes on to the end, by its first tick (0: earlier): chance to begin, to last, and likelihood."""
    last, calm = len(TICKS), 1 / (1 + 60 / by_hand.RECORD)
    before = calm * 60 / (9 * by_hand.RECORD), sum(by_hand.lasts(last, stages) for stages in (1, 2, 3)) / 3
    begun = [(calm * by_hand.E, by_hand.lasts(last - first)) for first in range(1, last + 1)]
    seen = [math.prod(one(level) for one in RATIOS[max(0, first - 1) :]) for first in range(last + 1)]
    return [(*chances, likelihood) for chances, likelihood in zip([before, *begun], seen, strict=True)]


def test_what_a_burst_of_one_level_explains() -> None:
    """By the tick in which it began."""
    *begun, last = rows("5. Bursts: the last tick")
    assert [row[1:] for row in begun] == [shown(*one, math.prod(one)) for one in paths(20.0)]
    assert last[-1:] == shown(sum(map(math.prod, paths(20.0))))


def test_what_bursts_take_away() -> None:
    """All levels together explain nearly all that lies between the e-value without bursts and the real one."""
    by_level = [sum(map(math.prod, paths(level))) for level in LEVELS]
    without, (*_, (bets, null)) = sum(by_hand.without_bursts(RATIOS)[-1].values()) / 9, by_hand.chain(RATIOS)
    assert without / (1 + sum(by_level)) == pytest.approx(bets / null, rel=0.01)
    lines = section("5. Bursts: the last tick")
    assert f"    {' + '.join(shown(*by_level))} = {shown(sum(by_level))[0]}" in lines
    assert f"    {bets:.5g} / {null:.5g} = {shown(bets / null)[0]}" in lines
    longer = by_hand.comparison([*TICKS, *4 * [TICKS[-1]]])[-4:]
    assert f"becomes less likely: {', '.join(shown(*longer))} after" in " ".join(lines)


def test_the_same_without_bursts() -> None:
    """Of all three chains, by tick; beside the e-values of the first table."""
    of_usual, of_limit = ([by_hand.wald(share, tick.n_c, tick.y_c) for tick in TICKS] for share in (USUAL, LIMIT))
    columns = [
        [sum(sums.values()) / 9 for sums in by_hand.without_bursts(ratios)] for ratios in (RATIOS, of_usual, of_limit)
    ]
    assert rows("6. The baseline, and the limit") == [
        [str(t + 1), shown(a)[0], row[6], shown(b)[0], row[7], shown(c)[0], row[9]]
        for t, (row, a, b, c) in enumerate(zip(COUNTED, *columns, strict=True))
    ]


def test_the_margin_by_a_ratio() -> None:
    """After the tick that is done by hand, and at the end."""
    ratio = by_hand.margin(RATIO, PROVEN)
    lines = section("7. Silence, and evidence in favour")
    assert f"and {ratio[1]:.4g} with bursts." in " ".join(lines)
    assert any(line.startswith(f"    0.7 * {ratio[-1]:.5g} + 0.3 * ") for line in lines)


def test_each_line_of_arithmetic_is_right() -> None:
    """As a calculator gives it, to the digits that are shown."""
    lines = re.findall(r"^    (.+?) = (\S+)(?:  .*)?$", PAGE, re.MULTILINE)
    assert len(lines) > 20
    for text, result in lines:
        value = eval(text.replace("^", "**"), ARITHMETIC)
        digits = len(re.sub(r"e.*", "", result).replace(".", "").lstrip("0"))
        assert f"{value:.{digits}g}" == f"{float(result):.{digits}g}", text


def test_the_page_shows_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the run's record: each tick, the decision, and that the verdict is the recorded one."""
    path = tmp_path / "record"
    path.write_bytes(run_record.encoded(the_run().record))
    assert main(["replay", "--record", str(path), "--ticks"]) == 0
    assert f"```text\n{capsys.readouterr().out}```" in PAGE
