"""The report page: how the run ended and why, a table of its objectives, and its charts."""

import math
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from itertools import count

from sluice_operator.analysis import display
from sluice_operator.analysis.evaluation import query_results
from sluice_operator.analysis.finding import Finding
from sluice_operator.analysis.thresholds import against
from sluice_operator.api.run import Outcome, Run
from sluice_operator.api.spec import Objective, OnFail
from sluice_operator.api.status import ObjectiveVerdict, Result
from sluice_operator.records.replay import Replay
from sluice_operator.report import panels, series
from sluice_operator.report.chart import elapsed
from sluice_operator.report.markup import Markup, joined, tag

_ENDED = {
    Outcome.PROMOTED: "was promoted",
    Outcome.REJECTED: "was rolled back",
    Outcome.SUPERSEDED: "was replaced by a newer revision",
    Outcome.WITHDRAWN: "was withdrawn",
    Outcome.ABANDONED: "was abandoned without a verdict",
}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(replay: Replay) -> str:
    """The whole page as HTML text."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{replay.record.namespace}/{replay.record.name}: {title(replay)}"),
        tag("style", Markup(style())),
    )
    body = tag("body", tag("main", content(replay)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def title(replay: Replay) -> str:
    """How the run ended, in a few words."""
    run = replay.record.run
    return f"{run.canary.model} {_ENDED[run.outcome or Outcome.WITHDRAWN]}"


def content(replay: Replay) -> Markup:
    """What the page shows, for a page that has a head of its own. It needs the rules of `style`."""
    return joined(*_headline(replay), *_summary(replay), *_figures(replay), *_reading(replay))


def style() -> str:
    """The style sheet of the page."""
    return (resources.files(__package__) / "style.css").read_text(encoding="utf-8")


def _headline(replay: Replay) -> Iterator[Markup]:
    run = replay.record.run
    yield tag("span", str(run.outcome), class_=f"badge {run.outcome}")
    yield tag("h1", title(replay))
    yield tag("p", _why(replay), class_="why")
    if differences := list(replay.differences()):
        words = "; ".join(differences)
        yield tag("p", f"Judged again, the verdict is another one than was recorded: {words}", class_="notice")
    if replay.incomparable:
        yield tag("p", f"Not compared with what was recorded: {replay.incomparable}.", class_="notice")
    yield tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in _details(replay, run)))


def _why(replay: Replay) -> str:
    run = replay.record.run
    if run.outcome is Outcome.PROMOTED and run.reason == "Promoted":
        watch = "no evidence against the canary came up during the watch"
        if not run.steps:
            after = f"and {watch}" if run.rollout.watch_after_promotion else "and nothing was watched"
            return f"All requests moved at once, without evidence before, {after}."
        return f"Each objective that was needed ruled out its margin{f', and {watch}' if run.promoted_at else ''}."
    return run.message


def _details(replay: Replay, run: Run) -> Iterator[tuple[str, str]]:
    record, last = replay.record, replay.ticks[-1]
    yield "ModelDeployment", f"{record.namespace}/{record.name}"
    yield "Canary", f"{run.canary.model}, revision {run.canary.revision}"
    yield "Compared with", f"{run.stable.model}, revision {run.stable.revision}" if run.stable else "nothing"
    yield "First traffic", _moment(run.traffic_started_at)
    yield "End", _moment(run.ended_at)
    yield "Time with traffic", elapsed(series.seconds(replay))
    canary = sum(replayed.tick.canary.finished for replayed in replay.ticks)
    stable = sum(replayed.tick.stable.finished for replayed in replay.ticks)
    yield "Requests", f"{canary:,} of the canary, {stable:,} of stable"
    if run.steps:
        yield "Reached", f"step {last.step + 1} of {len(run.steps)} (weight {run.steps[last.step].weight}%)"


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _summary(replay: Replay) -> Iterator[Markup]:
    names = ("Objective", "Canary", "Stable", "Limit or margin", "Counted", "Against it", "For its step", "At the end")
    rows = [_row(replay, index, finding) for index, finding in enumerate(replay.ticks[-1].objectives)]
    results = query_results(replay.record.run.objectives, replay.verdict)
    rows += [_query_row(objective, verdict) for objective, verdict in results]
    yield tag("h2", "Objectives")
    if not rows:
        yield tag("p", "The run had no objectives: its steps needed only requests and time.")
        return
    of_numbers = ("Canary", "Stable", "Counted")
    cells = (tag("th", name, scope="col", class_="number" if name in of_numbers else "") for name in names)
    table = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_="objectives")
    yield tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Objectives")


def _row(replay: Replay, index: int, finding: Finding) -> Markup:
    last, thresholds, name = replay.ticks[-1], replay.thresholds, finding.objective.name
    failed = any(verdict.name == name and verdict.result is Result.FAIL for verdict in replay.verdict.objectives)
    result = Result.FAIL if failed else Result.PASS if last.passed(thresholds)[index] else Result.UNDECIDED
    return tag(
        "tr",
        tag("td", *_name(finding.objective)),
        tag("td", display.shown(finding.objective, finding.canary) or "none", class_="number"),
        tag("td", display.shown(finding.objective, finding.stable) or "none", class_="number"),
        tag("td", display.limit(finding.objective)),
        tag("td", f"{finding.canary[1]:,} / {finding.stable[1]:,}", class_="number"),
        tag("td", *_meter(*against(finding, thresholds), "against")),
        tag("td", *_meter(finding.in_favour(last.step), thresholds.non_inferior, "for")),
        tag("td", tag("b", str(result), class_=str(result))),
    )


def _query_row(objective: Objective, verdict: ObjectiveVerdict) -> Markup:
    """A query objective has a plain count of measurements instead of evidence."""
    return tag(
        "tr",
        tag("td", *_name(objective)),
        tag("td", verdict.canary or "none", class_="number"),
        tag("td"),
        tag("td", verdict.limit),
        tag("td", f"{verdict.requests:,}", class_="number"),
        tag("td", verdict.evidence, colspan="2"),
        tag("td", tag("b", str(verdict.result), class_=str(verdict.result))),
    )


def _name(objective: Objective) -> Iterator[Markup]:
    yield tag("b", objective.name)
    if objective.dry_run:
        yield joined(" (dry run)")
    elif objective.does(OnFail.HOLD):
        yield joined(" (holds)")


def _meter(log: float, threshold: float, style: str) -> Iterator[Markup]:
    """An e-value and its threshold, as numbers and as a bar."""
    part = max(0.0, min(1.0, log / threshold))
    yield joined(f"{_evalue(log)} of {_evalue(threshold)}")
    bar = tag("rect", class_=style, width=f"{part:.0%}", height="100%")
    yield tag("svg", bar, class_="meter", aria_hidden="true")


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
        yield tag("h2", f"{objective.name}: {display.limit(objective)}")
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
        f"most a sixth of the time. Evidence is drawn as e-values, in powers of ten. 1 is no evidence. A line that "
        f"leaves the frame goes on outside of it. The thresholds follow from what the run allows: a good canary is "
        f"rolled back in at most {false_rollback} of all runs, and one that is worse than a margin is promoted in at "
        f"most {bad_promotion}. Objectives share the thresholds against the canary: those shown are for one objective "
        f"while the others show nothing. A step before the last one must rule out a margin that is twice as wide as "
        f"that of the step after it, so evidence in favour falls when a step begins.",
        class_="quiet",
    )
