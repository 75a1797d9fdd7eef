"""One ModelDeployment live: what its rollout does, why, at which step, and the runs before."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sluice_operator.api.owner import Manifest
from sluice_operator.api.rollout_spec import Step
from sluice_operator.api.run import Run
from sluice_operator.api.status import Condition, HistoryEntry, Status, Verdict, Weight
from sluice_operator.report import status_words
from sluice_operator.report.markup import Markup, tag
from sluice_operator.web.pages import fleet, paths
from sluice_operator.web.pages.layout import Frame, badge, details, moment, page, section, table

_LIVE_SECONDS = 5
_STEPS = ("Step", "Weight", "Requests at least", "Time at least", "Pause after it", "State")
_OBJECTIVES = (*status_words.OBJECTIVE, "counted", "evidence")
_HISTORY = (*status_words.HISTORY, "report")
_CONDITIONS = ("Condition", "Status", "Reason", "Message", "Since")


def model(body: Manifest, now: datetime, viewer: str) -> str:
    """The page."""
    metadata = body["metadata"]
    namespace, name = str(metadata["namespace"]), str(metadata["name"])
    current, trouble = fleet.read(body)
    way = ((paths.namespace(namespace), namespace),)
    news = f"{name}: {status_words.headline(current)}. {current.message}" if current else trouble
    frame = Frame(name, viewer, way, _LIVE_SECONDS, news)
    if current is None:
        return page(frame, tag("h1", name), tag("p", trouble, class_="notice"))
    return page(
        frame,
        tag("h1", name),
        *_now(current, body, now),
        *_why(current),
        *_steps(current.run),
        *_commands(current),
        *_runs(current.history, namespace, name),
        *_rejected(current),
        *_conditions(current.conditions),
    )


def _now(current: Status, body: Manifest, now: datetime) -> Iterator[Markup]:
    yield tag("p", tag("b", status_words.phase_since(current, now)), " ", *fleet.badges(current), class_="why")
    if current.message:
        yield tag("p", current.message, class_="notice" if fleet.needs(current) else "message")
    if current.weight:
        yield _weight(current.weight)
    yield details(
        ("Stable", status_words.with_pods(current.stable)),
        ("Canary", status_words.with_pods(current.canary)),
        ("Follows", _uri(body.get("spec"))),
        ("Address", current.url or "none yet"),
        ("Age", fleet.age(body["metadata"], now)),
    )


def _uri(spec: Any) -> str:
    try:
        return str(spec["model"]["uri"])
    except (KeyError, TypeError):
        return ""


def _weight(weight: Weight) -> Markup:
    shares = (("live", weight.live), ("desired", weight.desired))
    return tag("div", *(_share(words, percent) for words, percent in shares), class_="weights")


def _share(words: str, percent: int) -> Markup:
    label = tag("span", f"Weight of the canary, {words}: {percent} %", id=f"weight-{words}")
    return tag("div", label, tag("meter", min=0, max=100, value=percent, aria_labelledby=f"weight-{words}"))


def _why(current: Status) -> Iterator[Markup]:
    verdict = current.verdict
    if verdict is None:
        return
    said = (verdict.message, verdict.forecast, verdict.unreachable, verdict.baseline)
    yield section(
        "Why: the verdict",
        tag("p", badge(str(verdict.result)), " ", tag("b", verdict.reason)),
        *(tag("p", sentence) for sentence in said if sentence and sentence not in current.message),
        *_objectives(verdict),
    )


def _objectives(verdict: Verdict) -> Iterator[Markup]:
    if not verdict.objectives:
        return
    rows = []
    for objective in verdict.objectives:
        name, result, *numbers = status_words.objective(objective)
        rows.append((name, badge(result), *numbers, f"{objective.requests:,}", objective.evidence))
    yield table("Objectives: evidence, and the threshold that it must reach", _OBJECTIVES, rows)
    yield tag(
        "p",
        "Evidence is in e-values: 1 is no evidence. An objective fails when the evidence against the canary reaches "
        "its threshold, and passes when that in its favour does.",
        class_="quiet",
    )


def _steps(run: Run | None) -> Iterator[Markup]:
    if run is None:
        return
    rows = [_step(run, index, step) for index, step in enumerate(run.steps)]
    steps = [table("Steps", _STEPS, rows)] if rows else []
    yield section("Steps of the run" if rows else "The run", *_moments(run), *steps)


def _moments(run: Run) -> Iterator[Markup]:
    pause = run.pause
    yield details(
        ("Run", run.id),
        ("Started", moment(run.started_at)),
        ("First traffic", moment(run.traffic_started_at)),
        ("Ended", moment(run.ended_at)) if run.ended_at else ("Deadline", moment(run.deadline_at)),
    )
    if pause is not None and run.ended_at is None:
        until = tag("span", " until ", moment(pause.until)) if pause.until else ""
        yield tag("p", tag("b", "Paused"), until, f": {pause.message}")


def _step(run: Run, index: int, step: Step) -> Sequence[str]:
    pause = "none" if step.pause is None else str(step.pause.duration or "until a person resumes")
    least = str(step.min_requests), str(step.min_duration)
    return str(index + 1), f"{step.weight} %", *least, pause, _state(run, index)


def _state(run: Run, index: int) -> str:
    if index > run.step:
        return "not reached" if run.ended_at else "to come"
    if index == run.step and run.promoted_at is None:
        return "the last one reached" if run.ended_at else "now"
    return "left without a Pass" if 0 <= run.left_step <= index else "passed"


def _commands(current: Status) -> Iterator[Markup]:
    if current.last_command:
        yield section("Last command", tag("p", status_words.command(current.last_command)))


def _conditions(conditions: Sequence[Condition]) -> Iterator[Markup]:
    if conditions:
        rows = [
            (each.type, each.status, each.reason, each.message, moment(each.last_transition_time))
            for each in conditions
        ]
        yield section("Conditions", table("Conditions", _CONDITIONS, rows))


def _rejected(current: Status) -> Iterator[Markup]:
    if current.rejected:
        rows = [(each.model, each.revision, each.reason, each.message, moment(each.at)) for each in current.rejected]
        heading = ("Model", "Revision", "Reason", "Message", "At")
        yield section("Rejected, and not tried again", table("Rejected revisions", heading, rows))


def _runs(history: Sequence[HistoryEntry], namespace: str, name: str) -> Iterator[Markup]:
    if not history:
        yield section("Runs before", tag("p", "No run has ended yet."))
        return
    rows = []
    for entry in history:
        ended, uri, outcome, *others = status_words.history(entry)
        link = tag("a", f"Report of {ended}", href=paths.run(namespace, name, entry.record)) if entry.record else "none"
        rows.append((ended, uri, badge(outcome), *others, link))
    yield section("Runs before", table("Runs that have ended", _HISTORY, rows))
