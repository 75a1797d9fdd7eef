"""The page: how the run ended and why, a table of its objectives, and its figures."""

import math
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from itertools import count

from sluice_operator.analysis import wording
from sluice_operator.analysis.evaluation import query_results
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.thresholds import against
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict, Outcome, Result, Run
from sluice_operator.records.replay import Replay
from sluice_operator.report import panels, series
from sluice_operator.report.chart import elapsed
from sluice_operator.report.markup import Markup, joined, tag

_ENDED = {
    Outcome.PROMOTED: "was promoted",
    Outcome.REJECTED: "was rolled back",
    Outcome.SUPERSEDED: "was replaced by a newer revision",
    Outcome.WITHDRAWN: "was withdrawn",
}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(replay: Replay) -> str:
    """The whole page, as text."""
    run = replay.record.run
    title = f"{run.canary.model if run.canary else replay.record.name} {_ENDED[run.outcome or Outcome.WITHDRAWN]}"
    style = (resources.files(__package__) / "style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{replay.record.namespace}/{replay.record.name}: {title}"),
        tag("style", Markup(style)),
    )
    body = tag("body", *_headline(replay, title), *_summary(replay), *_figures(replay), *_reading(replay))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _headline(replay: Replay, title: str) -> Iterator[Markup]:
    run = replay.record.run
    yield tag("span", str(run.outcome), class_=f"badge {run.outcome}")
    yield tag("h1", title)
    yield tag("p", _why(replay), class_="why")
    if differences := list(replay.differences()):
        words = "; ".join(differences)
        yield tag("p", f"Judged again, the verdict is another one than was recorded: {words}", class_="notice")
    if replay.incomparable:
        yield tag("p", f"Not compared with what was recorded: {replay.incomparable}.", class_="notice")
    yield tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in _facts(replay, run)))


def _why(replay: Replay) -> str:
    run = replay.record.run
    if run.outcome is Outcome.PROMOTED and run.reason == "Promoted":
        watched = ", and nothing spoke against it while it was watched" if replay.record.run.promoted_at else ""
        return f"Each objective that was asked for ruled out its margin{watched}."
    return run.message


def _facts(replay: Replay, run: Run) -> Iterator[tuple[str, str]]:
    record, last = replay.record, replay.ticks[-1]
    yield "ModelDeployment", f"{record.namespace}/{record.name}"
    if run.canary is not None:
        yield "Canary", f"{run.canary.model}, revision {run.canary.revision}"
    yield "Compared with", f"{run.stable.model}, revision {run.stable.revision}" if run.stable else "nothing"
    yield "First traffic", _moment(run.traffic_started_at)
    yield "End", _moment(run.ended_at)
    yield "Time with traffic", elapsed(series.seconds(replay))
    finished = [sum(getattr(one.tick, arm).finished for one in replay.ticks) for arm in ("canary", "stable")]
    yield "Requests", f"{finished[0]:,} of the canary, {finished[1]:,} of stable"
    yield "Reached", f"step {last.step + 1} of {len(run.steps)} (weight {run.steps[last.step].weight}%)"


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _summary(replay: Replay) -> Iterator[Markup]:
    names = ("Objective", "Canary", "Stable", "Held against", "Counted", "Against it", "For its step", "At the end")
    rows = [_row(replay, index, one) for index, one in enumerate(replay.ticks[-1].objectives)]
    rows += [_measured(*one) for one in query_results(replay.record.run.objectives, replay.verdict)]
    yield tag("h2", "Objectives")
    if not rows:
        yield tag("p", "The run had no objectives: requests and time alone passed its steps.")
        return
    heading = tag(
        "tr", *(tag("th", name, class_="number" if name in ("Canary", "Stable", "Counted") else "") for name in names)
    )
    yield tag("div", tag("table", tag("thead", heading), tag("tbody", *rows)), class_="scroll")


def _row(replay: Replay, index: int, one: Finding) -> Markup:
    last, thresholds = replay.ticks[-1], replay.thresholds
    failed = any(each.name == one.objective.name and each.result is Result.FAIL for each in replay.verdict.objectives)
    result = Result.FAIL if failed else Result.PASS if last.passed(thresholds)[index] else Result.UNDECIDED
    return tag(
        "tr",
        tag("td", *_name(one.objective)),
        tag("td", wording.shown(one.objective, one.canary) or "none", class_="number"),
        tag("td", wording.shown(one.objective, one.stable) or "none", class_="number"),
        tag("td", wording.limit(one.objective)),
        tag("td", f"{one.canary[1]:,} / {one.stable[1]:,}", class_="number"),
        tag("td", *_meter(*against(one, thresholds), "against")),
        tag("td", *_meter(one.non_inferior[last.step], thresholds.non_inferior, "for")),
        tag("td", tag("b", str(result), class_=str(result))),
    )


def _measured(objective: Objective, said: ObjectiveVerdict) -> Markup:
    """A query of the user's own: no evidence, a plain rule."""
    return tag(
        "tr",
        tag("td", *_name(objective)),
        tag("td", said.canary or "none", class_="number"),
        tag("td"),
        tag("td", said.limit),
        tag("td", f"{said.requests:,}", class_="number"),
        tag("td", said.evidence, colspan="2"),
        tag("td", tag("b", str(said.result), class_=str(said.result))),
    )


def _name(objective: Objective) -> Iterator[Markup]:
    yield tag("b", objective.name)
    if objective.dry_run:
        yield joined(" (dry run)")


def _meter(log: float, bar: float, look: str) -> Iterator[Markup]:
    part = max(0.0, min(1.0, log / bar))
    yield joined(f"{_evalue(log)} of {_evalue(bar)}")
    yield tag("div", tag("div", class_=look, style=f"width:{part:.0%}"), class_="meter")


def _evalue(log: float) -> str:
    decades = log / math.log(10)
    return f"{math.exp(log):.3g}" if -3 <= decades < 4 else f"10{f'{decades:.0f}'.translate(_RAISED)}"


def _figures(replay: Replay) -> Iterator[Markup]:
    numbers = count()
    yield tag("h2", "Weight")
    yield panels.weight(replay, next(numbers))
    yield tag("h2", "Requests per second")
    yield panels.requests(replay, next(numbers))
    if replay.record.run.reason == "RequestsMissing":
        yield tag("h2", "Requests that go missing")
        yield panels.silence(replay, next(numbers))
    for index, objective in enumerate(replay.record.run.judged):
        yield tag("h2", f"{objective.name}: {wording.limit(objective)}")
        yield panels.shares(replay, objective, next(numbers))
        yield panels.evidence(replay, index, next(numbers))
        next(numbers)


def _reading(replay: Replay) -> Iterator[Markup]:
    false_rollback, bad_promotion = (
        replay.record.run.confidence.false_rollback,
        replay.record.run.confidence.bad_promotion,
    )
    yield tag("h2", "How to read this")
    yield tag(
        "p",
        f"Times are counted from the first traffic. A dotted vertical line is a change of the live weight. A share is "
        f"that of the last twelfth of a revision's requests or labels: at least {series.LEAST_COUNTED} of them, and at "
        f"most a sixth of the time. Evidence is drawn as e-values, in powers of ten. 1 says nothing. A line that "
        f"leaves the frame goes on outside of it. The thresholds follow from what the run allows: a good canary is "
        f"rolled back in at most {false_rollback} of all runs, and one that is worse than a margin is promoted in at "
        f"most {bad_promotion}. Objectives share the thresholds against the canary: those shown are for one objective "
        f"while the others show nothing. Each step before the last must rule out only twice as much as the one after "
        f"it, so evidence in favour falls when a step begins.",
        class_="quiet",
    )
