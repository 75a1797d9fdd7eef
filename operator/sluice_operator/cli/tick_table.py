"""The ticks of a run that is judged again, as a table: those at which something changed, or every one of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sluice_operator.analysis import criteria, wording
from sluice_operator.analysis.verdict import against, to_blame
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import Result
from sluice_operator.cli import text_table
from sluice_operator.counting.ticks import Tally
from sluice_operator.records.backtest import Rehearsal
from sluice_operator.records.replay import Moment, Replay
from sluice_operator.records.run_record import past_of

Decisions = Mapping[float, str]  # what was decided, by the end (unix seconds) of the newest tick that was known

_CHANGED = ("TIME", "AFTER", "WEIGHT", "OBJECTIVE", "CANARY", "STABLE", "COUNTED", "EVIDENCE")
_EVERY = ("TIME", "AT", "OBJECTIVE", "CANARY", "STABLE", "WORSE", "LIMIT", "FOR", "ALONE", "")
_TOGETHER = "together"
_SMALL, _LARGE = 0.001, 10_000.0


def changed(again: Replay) -> list[str]:
    """A row per objective at each tick at which something changed: its shares so far, and the evidence."""
    rows = [_CHANGED]
    for moment in _changes(again):
        after = text_table.span(moment.tick.end - again.record.began)
        for one in moment.objectives:
            evidence = wording.evidence(against(one, again.bars), (one.cleared[moment.step], again.bars.cleared))
            canary, stable = (wording.shown(one.objective, share) or "-" for share in (one.canary, one.stable))
            counted = text_table.number(one.canary[1])
            at = text_table.clock(moment.tick.end)
            rows.append((at, after, _weight(moment), one.objective.name, canary, stable, counted, evidence))
    return text_table.lines(rows)


def every(again: Replay, decisions: Decisions) -> list[str]:
    """All ticks. By objective what each arm counted in the tick (bad ones of all) and the e-values after it; then those
    of all objectives together beside what they must reach, and what was decided.
    """
    rows: list[Sequence[str]] = [_EVERY]
    bounds = past_of(again.record).bounds
    for moment in again.moments:
        at, weight = text_table.clock(moment.tick.end), _weight(moment)
        for index, one in enumerate(moment.objectives):
            arms = (_counted(one.objective, bounds, arm) for arm in (moment.tick.canary, moment.tick.stable))
            rows.append((at, weight, one.objective.name, *arms, *_alone(moment, index, again), "", ""))
        decided = f"<- {decisions[moment.tick.end]}" if moment.tick.end in decisions else ""
        rows.append((at, weight, _TOGETHER, "", "", *_together(moment, again), decided))
    return text_table.lines(rows)


def decided(again: Replay) -> Decisions:
    """Of a run that was: where it went on to its next weight, and its end; a Fail when a family reached its bar."""
    run = again.record.run
    after = [one.weight for one in run.live[1:]] + [100] * (run.promoted_at is not None)
    went_on = {
        _newest(again, one.until): f"on to {weight}%"
        for one, weight in zip(run.live, after, strict=False)
        if one.until is not None and weight != one.weight
    }
    result, ends = again.verdict.result, again.moments[-1:]
    if result is Result.FAIL:
        ends = (*(one for one in again.moments if one.failing(again.bars)), *ends)
    return {**went_on, ends[0].tick.end: str(result)}


def imagined(again: Replay, tried: Rehearsal) -> Decisions:
    """Of a run that never was: where each of its steps would have been passed, and its verdict."""
    steps = zip(again.record.run.steps, tried.passed, strict=False)
    passed = {at.timestamp(): f"step of weight {step.weight} passed" for step, at in steps}
    return {tried.at.timestamp(): str(tried.verdict.result), **passed}


def _changes(again: Replay) -> Iterator[Moment]:
    before: object = None
    for moment in again.moments:
        state = moment.weight, moment.step, moment.passed(again.bars), moment.failing(again.bars)
        if state != before or moment is again.moments[-1]:
            yield moment
        before = state


def _newest(again: Replay, at: datetime) -> float:
    """The end of the last tick that was over."""
    return max((one.tick.end for one in again.moments if one.tick.end <= at.timestamp()), default=-math.inf)


def _weight(moment: Moment) -> str:
    return "changes" if moment.weight is None else f"{moment.weight}%"


def _counted(objective: Objective, bounds: Sequence[float], arm: Tally) -> str:
    judged = criteria.counts(objective, bounds, arm).judged
    return f"{judged.bad[0]:.0f} of {judged.requests[0]:.0f}"


def _alone(moment: Moment, index: int, again: Replay) -> tuple[str, str, str]:
    one = moment.objectives[index]
    worse = "-" if one.worse is None else _evalue(one.worse)
    beyond = "-" if one.beyond is None else _evalue(to_blame(one))
    return worse, beyond, _of(one.cleared[moment.step], again.bars.cleared)


def _together(moment: Moment, again: Replay) -> tuple[str, str, str, str]:
    bars = again.bars
    worse = _of(moment.comparison, bars.comparison) if bars.compared else "-"
    beyond = _of(moment.limits, bars.limits) if bars.limited else "-"
    return worse, beyond, "", _of(moment.alone, bars.alone)


def _of(log: float, bar: float) -> str:
    return f"{_evalue(log)} of {_evalue(bar)}"


def _evalue(log: float) -> str:
    """Three digits of what a bar may ask for; the order of magnitude of what is far beyond any."""
    if log < math.log(_SMALL):
        return f"<{_SMALL}"
    value = math.exp(min(log, 200.0))
    if value < 1000:
        return f"{value:.3g}"
    return f"{value:.0f}" if value < _LARGE else f"{value:.0e}"
