"""The fleet: a table of ModelDeployments for each namespace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import quote

from sluice_operator.api import status
from sluice_operator.api.owner import Manifest
from sluice_operator.api.revision import Revision
from sluice_operator.api.status import Status
from sluice_operator.report import status_words
from sluice_operator.report.markup import Markup, joined, tag
from sluice_operator.report.words import span
from sluice_operator.web.pages import paths
from sluice_operator.web.pages.layout import Frame, badge, page, table

_HEADING = ("Model", "Phase", "Stable", "Canary", "Weight", "Verdict", "Age", "Message")
_LIVE_SECONDS = 10
_NEEDS = {("Ready", "False"): "Not ready", ("Stalled", "True"): "Stalled", ("Paused", "True"): "Paused"}
_STYLES = {"Not ready": "Fail", "Stalled": "Fail", "Paused": "Undecided"}


@dataclass(frozen=True, slots=True)
class Models:
    """A part of a list of ModelDeployments. `after`: where the next part begins; empty if there is none. `cut`: the
    namespaces that have more, if the list is that of several.
    """

    items: tuple[Manifest, ...]
    after: str = ""
    cut: tuple[str, ...] = ()


def fleet(models: Models, now: datetime, viewer: str, *, namespace: str = "", is_first: bool = True) -> str:
    """The page. `namespace`: the only one that it is about. `is_first`: whether its list begins with this part."""
    title = f"Namespace {namespace}" if namespace else "All models"
    rows = [_Row(model, now) for model in models.items]
    more = f" There are more in {', '.join(models.cut)}: show it alone." if models.cut else ""
    summary = f"{'' if is_first else 'Further models: '}{_summary(rows)}{more}"
    frame = Frame(title, viewer, live=_LIVE_SECONDS, news=summary)
    return page(
        frame,
        tag("h1", title),
        tag("p", summary, class_="why"),
        *_tables(rows),
        _next(namespace, models.after) if models.after else "",
        choose_namespace(),
    )


def choose_namespace() -> Markup:
    """A form that leads to the models of a namespace."""
    return tag(
        "form",
        tag("label", "Show one namespace", for_="name"),
        tag("input", id="name", name="name", required="", pattern="[a-z0-9]([-a-z0-9]*[a-z0-9])?", autocomplete="off"),
        tag("button", "Show", type="submit"),
        method="get",
        action="/namespaces",
        class_="choose",
    )


class _Row:
    """One ModelDeployment. `status` is None, and `trouble` says why, if the status cannot be read."""

    def __init__(self, model: Manifest, now: datetime) -> None:
        metadata = model["metadata"]
        self.namespace, self.name = str(metadata["namespace"]), str(metadata["name"])
        self.age = age(metadata, now)
        self.status, self.trouble = read(model)

    @property
    def needs(self) -> list[str]:
        """What a person may have to look at, in a word each."""
        return needs(self.status) if self.status else ["Unreadable"]

    def cells(self) -> tuple[str, ...]:
        link = tag("a", self.name, href=paths.model(self.namespace, self.name))
        current = self.status
        if current is None:
            return link, badge("Unreadable", "Fail"), "", "", "", "", self.age, self.trouble
        verdict = badge(str(current.verdict.result)) if current.verdict else ""
        phase = joined(status_words.phase_and_step(current), " ", *badges(current))
        stable, canary = version(current.stable), version(current.canary)
        return link, phase, stable, canary, weight(current), verdict, self.age, current.message


def read(model: Manifest) -> tuple[Status | None, str]:
    """The status of a ModelDeployment; or None, and why it cannot be read."""
    try:
        return status.parse(model.get("status")), ""
    except status.UnreadableStatusError as error:
        return None, f"{error}: this page is of another version than the operator, or somebody else wrote the status"


def age(metadata: dict[str, Any], now: datetime) -> str:
    """How long the object has been there."""
    try:
        seconds = (now - datetime.fromisoformat(metadata["creationTimestamp"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return ""
    days = seconds / 86400
    return f"{days:.0f}d" if days >= 2 else span(seconds)


def needs(current: Status) -> list[str]:
    """What a person may have to look at, in a word each."""
    found = (_NEEDS.get((condition.type, condition.status)) for condition in current.conditions)
    return [words for words in found if words]


def version(revision: Revision | None) -> str:
    """The version of the model, as `kubectl get` has it."""
    return f"{revision.model.name} {revision.model.version}" if revision else ""


def weight(current: Status) -> str:
    """The share of the canary; live and desired, while these differ."""
    if current.weight is None:
        return ""
    live, desired = current.weight.live, current.weight.desired
    return f"{live} %" if live == desired else f"{live} % live, {desired} % desired"


def badges(current: Status) -> Iterator[Markup]:
    """What a person may have to look at, beside the phase, which says itself that a run is paused."""
    for words in needs(current):
        if words.lower() not in status_words.phase_and_step(current):
            yield badge(words, _STYLES[words])


def _summary(rows: Sequence[_Row]) -> str:
    if not rows:
        return "There is no ModelDeployment."
    phases = Counter(str(row.status.phase) for row in rows if row.status)
    needed = Counter(words.lower() for row in rows for words in row.needs)
    counts = ", ".join(f"{number} {phase}" for phase, number in phases.most_common())
    trouble = ", ".join(f"{number} {words}" for words, number in needed.most_common())
    models = f"{len(rows)} model{'s' if len(rows) > 1 else ''}"
    return (
        f"{models}{f': {counts}' if counts else ''}. {f'Look at: {trouble}.' if trouble else 'Nothing needs a person.'}"
    )


def _tables(rows: Sequence[_Row]) -> Iterator[Markup]:
    for namespace, group in groupby(sorted(rows, key=lambda row: (row.namespace, row.name)), lambda row: row.namespace):
        name = f"Namespace {namespace}"
        caption = tag("a", name, href=paths.namespace(namespace))
        yield table(name, _HEADING, [row.cells() for row in group], caption=caption, style="fleet")


def _next(namespace: str, after: str) -> Markup:
    path = paths.namespace(namespace) if namespace else "/"
    return tag("p", tag("a", "Next models", href=f"{path}?after={quote(after, safe='')}", rel="next"))
