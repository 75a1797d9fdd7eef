"""The ticks of a replayed run as a table: those at which something changed, or all of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sluice_operator.analysis import criteria, display
from sluice_operator.analysis.finding import Family, Finding
from sluice_operator.analysis.thresholds import Thresholds, against
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import Result
from sluice_operator.cli import text_table
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.backtest import Backtest
from sluice_operator.records.replay import Replay, ReplayedTick
from sluice_operator.records.run_record import baseline_of

_Decisions = Mapping[float, str]  # what was decided, by the end (unix seconds) of the newest tick at that time

_CHANGED = ("TIME", "AFTER", "WEIGHT", "OBJECTIVE", "CANARY", "STABLE", "COUNTED", "EVIDENCE")
_EVERY = ("TIME", "AT", "OBJECTIVE", "CANARY", "STABLE", "WORSE", "LIMIT", "FOR", "UNPAIRED", "")
_TOGETHER = "together"
_SMALL, _LARGE = 0.001, 10_000.0


def changed(replay: Replay) -> list[str]:
    """A row per objective at each tick at which something changed: its shares so far, and its evidence."""
    rows = [_CHANGED]
    thresholds = replay.thresholds
    for replayed in _changes(replay):
        at, after = replayed.tick.end, replayed.tick.end - replay.record.started
        for finding in replayed.objectives:
            in_favour = finding.in_favour(replayed.step), thresholds.non_inferior
            rows.append(
                (
                    text_table.clock(at),
                    text_table.span(after),
                    _weight(replayed),
                    finding.objective.name,
                    display.shown(finding.objective, finding.canary) or "-",
                    display.shown(finding.objective, finding.stable) or "-",
                    text_table.number(finding.canary[1]),
                    display.evidence(against(finding, thresholds), in_favour),
                )
            )
    return text_table.lines(rows)


def every(replay: Replay, backtest: Backtest | None) -> list[str]:
    """All ticks. A row per objective: the counts of both revisions in the tick (bad of all), and the e-values after it.
    Then a row for all objectives together: their e-values, the thresholds, and what was decided. `backtest`: the one
    that `replay` belongs to; None for a recorded run.
    """
    rows: list[Sequence[str]] = [_EVERY]
    decisions = _run_decisions(replay) if backtest is None else _backtest_decisions(replay, backtest)
    bounds = baseline_of(replay.record).bounds
    for replayed in replay.ticks:
        tick, weight = replayed.tick, _weight(replayed)
        at = text_table.clock(tick.end)
        for finding in replayed.objectives:
            counted = (_counted(finding.objective, bounds, tally) for tally in (tick.canary, tick.stable))
            rows.append(
                (at, weight, finding.objective.name, *counted, *_of_objective(finding, replayed, replay), "", "")
            )
        decision = f"<- {decisions[tick.end]}" if tick.end in decisions else ""
        rows.append((at, weight, _TOGETHER, "", "", *_together(replayed, replay.thresholds), decision))
    return text_table.lines(rows)


def divisors(replay: Replay) -> Iterator[str]:
    """By what the counts of each objective are divided before they are evidence: bad requests come in clumps."""
    for name, past in baseline_of(replay.record).by_objective.items():
        compared = ", ".join(f"{divisor:.6g}" for divisor in past.compared.divisor.flat)
        yield f"{name}: counts are divided by {past.judged.divisor:.6g}, in the comparison by {compared}"


def _run_decisions(replay: Replay) -> _Decisions:
    """What was decided in a recorded run: each change to the next weight, and the result of its last verdict.

    A Fail stands at the first tick at which the evidence reached a threshold.
    """
    run = replay.record.run
    next_weights = [live.weight for live in run.live_weights[1:]] + [100] * (run.promoted_at is not None)
    steps_taken = {
        _newest(replay, live.until): f"on to {weight}%"
        for live, weight in zip(run.live_weights, next_weights, strict=False)
        if live.until is not None and weight != live.weight
    }
    result, last = replay.verdict.result, replay.ticks[-1]
    if result is Result.FAIL:
        last = next((replayed for replayed in replay.ticks if replayed.has_failed(replay.thresholds)), last)
    return {**steps_taken, last.tick.end: str(result)}


def _backtest_decisions(replay: Replay, backtest: Backtest) -> _Decisions:
    """What a backtest decided: when each step would have been passed, and the result of its verdict."""
    steps = zip(replay.record.run.steps, backtest.passed, strict=False)
    passed = {at.timestamp(): f"step of weight {step.weight} passed" for step, at in steps}
    return {backtest.at.timestamp(): str(backtest.verdict.result), **passed}


def _changes(replay: Replay) -> Iterator[ReplayedTick]:
    before: object = None
    for replayed in replay.ticks:
        passed, failing = replayed.passed(replay.thresholds), replayed.has_failed(replay.thresholds)
        state = replayed.weight, replayed.step, passed, failing
        if state != before or replayed is replay.ticks[-1]:
            yield replayed
        before = state


def _newest(replay: Replay, at: datetime) -> float:
    """The end (unix seconds) of the last tick that had ended `at` this time."""
    ends = (replayed.tick.end for replayed in replay.ticks)
    return max((end for end in ends if end <= at.timestamp()), default=-math.inf)


def _weight(replayed: ReplayedTick) -> str:
    return "changes" if replayed.weight is None else f"{replayed.weight}%"


def _counted(objective: Objective, bounds: Sequence[float], tally: Tally) -> str:
    judged = criteria.counts(objective, bounds, tally).judged
    return f"{judged.bad[0]:.0f} of {judged.requests[0]:.0f}"


def _of_objective(finding: Finding, replayed: ReplayedTick, replay: Replay) -> tuple[str, str, str]:
    worse, over_limit = (finding.against(family) for family in (Family.STABLE, Family.LIMIT))
    in_favour = _of(finding.in_favour(replayed.step), replay.thresholds.non_inferior)
    return "-" if worse is None else _evalue(worse), "-" if over_limit is None else _evalue(over_limit), in_favour


def _together(replayed: ReplayedTick, thresholds: Thresholds) -> tuple[str, str, str, str]:
    worse = _of(replayed.comparison, thresholds.comparison) if thresholds.compared else "-"
    over_limit = _of(replayed.limits, thresholds.limits) if thresholds.limited else "-"
    return worse, over_limit, "", _of(replayed.unpaired, thresholds.unpaired)


def _of(log: float, threshold: float) -> str:
    return f"{_evalue(log)} of {_evalue(threshold)}"


def _evalue(log: float) -> str:
    """The e-value of a logarithm: three digits, or only the order of magnitude where it is far over any threshold."""
    if log < math.log(_SMALL):
        return f"<{_SMALL}"
    value = math.exp(min(log, 200.0))
    if value < 1000:
        return f"{value:.3g}"
    return f"{value:.0f}" if value < _LARGE else f"{value:.0e}"
