"""The frame of a dashboard: its datasource, its variables, its links to the others, and marks in time."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from dev.dashboards.panels import DATASOURCE, Panel

TAG = "sluice"


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the dashboard, with panels from left to right. The widths of a line of panels make 24."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Mark(Builder[dashboard.AnnotationQuery]):
    """A mark for each time in which `expr` has a series. `text`: with labels as `{{label}}`."""

    name: str
    color: str
    expr: str
    text: str

    def build(self) -> dashboard.AnnotationQuery:
        return _PrometheusMark(self)


class _PrometheusMark(dashboard.AnnotationQuery):
    """With the fields that Grafana's datasource for Prometheus reads and the SDK does not know."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark.name, DATASOURCE, icon_color=mark.color, expr=mark.expr)
        self._text = mark.text

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "step": "60s", "titleFormat": self.name, "textFormat": self._text}


@dataclass(frozen=True, slots=True)
class Variable:
    """What a person chooses; the choices come from Prometheus: `label_values(SERIES, LABEL)`."""

    name: str
    label: str
    values: str
    several: bool = False

    def built(self) -> build.QueryVariable:
        chosen = build.QueryVariable(self.name).label(self.label).datasource(DATASOURCE).query(self.values)
        chosen.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        chosen.sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        if self.several:
            every = dashboard.VariableOption(selected=True, text="All", value="$__all")
            chosen.multi(True).include_all(True).all_value(".*").current(every)
        return chosen


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. `uid`: its name in links, and that of its file; `since`: where the time begins that it shows."""

    uid: str
    title: str
    about: str
    parts: Sequence[Part]
    variables: Sequence[Variable] = ()
    marks: Sequence[Mark] = ()
    since: str = "now-6h"
    refresh: str = "30s"

    def built(self) -> dashboard.Dashboard:
        made = build.Dashboard(self.title).uid(self.uid).description(self.about).tags([TAG])
        made.time(self.since, "now").refresh(self.refresh).tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        made.with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        for chosen in self.variables:
            made.with_variable(chosen.built())
        for mark in self.marks:
            made.annotation(mark)
        others = build.DashboardLink("Sluice").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
        made.link(others.keep_time(True).include_vars(True))
        for part in self.parts:
            made.with_row(build.Row(part.title))
            for panel in part.panels:
                made.with_panel(panel.built())
        finished = made.build()
        for number, placed in enumerate(finished.panels or (), start=1):
            placed.id_val = number
        return finished
