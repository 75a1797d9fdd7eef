"""A run that has ended: its report, or what its record says without counts."""

from collections.abc import Mapping

import msgspec

from sluice_operator.report.markup import Markup, tag
from sluice_operator.web.pages import paths
from sluice_operator.web.pages.layout import Frame, badge, details, page

Place = tuple[str, str, str]  # namespace, ModelDeployment, record
MOST_BYTES = 2 * 1024 * 1024  # of a report as JSON; a line in a chart has a few hundred points, however long a run is


class Report(msgspec.Struct, frozen=True):
    """A report as HTML, which `sluice_operator.report` has made; or, in `trouble`, why there is none."""

    title: str = ""
    content: str = ""
    trouble: str = ""


def report(place: Place, viewer: str, made: Report) -> str:
    """The page with the report."""
    return page(_frame(made.title, place, viewer), Markup(made.content))


def without_report(place: Place, viewer: str, data: Mapping[str, str], why: str) -> str:
    """The page of a record that there is no report of. `data`: that of its ConfigMap."""
    title = f"{data.get('model', 'A run')}: {data.get('outcome', 'ended')}"
    return page(
        _frame(title, place, viewer),
        badge(data.get("outcome", "")),
        tag("h1", title),
        tag("p", data.get("message", ""), class_="why"),
        tag("p", why, class_="notice"),
        details(
            ("Reason", data.get("reason", "")),
            ("Compared with", data.get("stable", "") or "nothing"),
            ("Started", data.get("startedAt", "")),
            ("Ended", data.get("endedAt", "")),
        ),
        *(tag("p", line) for line in data.get("commands", "").splitlines()),
    )


def _frame(title: str, place: Place, viewer: str) -> Frame:
    namespace, name, _ = place
    return Frame(title, viewer, ((paths.namespace(namespace), namespace), (paths.model(namespace, name), name)))
