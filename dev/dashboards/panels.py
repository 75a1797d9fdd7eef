"""The few kinds of panels that all dashboards are made of: numbers, lines, tables and times.

Each has a text for whoever looks at it: what it shows, what to do when it looks bad, and the page that says more.
They are values; `built` makes of one what Grafana's SDK knows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common as looks
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
LETTERS = "ABCDEFGHIJ"
Built = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel


@dataclass(frozen=True, slots=True)
class About:
    """What a panel is about. `page`: the page of docs/ with its heading. `unit`: as Grafana names it."""

    title: str
    unit: str
    shows: str
    when_bad: str
    page: str

    @property
    def text(self) -> str:
        return f"{self.shows}\n\nWhen it looks bad: {self.when_bad} See docs/{self.page}."


@dataclass(frozen=True, slots=True)
class Query:
    """`legend`: the name of each series, with labels as `{{label}}`. `dashed`: a limit, or no measurement."""

    expr: str
    legend: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Colours from the lowest value on: the first one has no lower bound."""

    steps: Sequence[tuple[str, float | None]]

    def built(self) -> build.ThresholdsConfig:
        steps = [dashboard.Threshold(color=color, value=value) for color, value in self.steps]
        return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `unit`, `limits` and `colours` (by text) are for its cells; hidden without a `title`."""

    title: str = ""
    unit: str = ""
    limits: Limits | None = None
    colours: Mapping[str, str] = field(default_factory=dict)


NO_LIMITS = Limits([("text", None)])


def above(red: float, orange: float | None = None) -> Limits:
    """Bad from `red` on; from `orange` on it is on its way there."""
    between: list[tuple[str, float | None]] = [] if orange is None else [("orange", orange)]
    return Limits([("green", None), *between, ("red", red)])


def below(red: float, orange: float | None = None) -> Limits:
    """Bad below `red`; below `orange` it is on its way there."""
    if orange is None:
        return Limits([("red", None), ("green", red)])
    return Limits([("red", None), ("orange", red), ("green", orange)])


@dataclass(frozen=True, slots=True)
class Numbers:
    """The present value of each series, large; or its name alone, where the value is always 1.

    `none`: what is said where there is no series.
    """

    about: About
    queries: Sequence[Query]
    width: int
    limits: Limits = NO_LIMITS
    none: str = "none"
    names: bool = False

    def built(self) -> Built:
        panel = stat.Panel().color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.NONE)
        panel.reduce_options(looks.ReduceDataOptions().calcs(["lastNotNull"]))
        panel.thresholds(self.limits.built()).no_value(self.none)
        panel.text_mode(common.BigValueTextMode.NAME if self.names else self._with_value())
        for letter, query in zip(LETTERS, self.queries, strict=False):
            panel.with_target(_target(query, letter).instant())
        return _described(panel, self.about, self.width, height=4)

    def _with_value(self) -> common.BigValueTextMode:
        """A single number without a legend needs no name: the title of the panel says what it is."""
        named = any(query.legend for query in self.queries)
        return common.BigValueTextMode.VALUE_AND_NAME if named else common.BigValueTextMode.VALUE


@dataclass(frozen=True, slots=True)
class Lines:
    """Series over time. `top`: the largest value there is; `every`: the shortest time between two points.

    `to_model`: a click on a series leads to the dashboard of its model.
    """

    about: About
    queries: Sequence[Query]
    width: int = 12
    limits: Limits | None = None
    top: float | None = None
    stacked: bool = False
    every: str = ""
    to_model: bool = False

    def built(self) -> Built:
        panel = timeseries.Panel().fill_opacity(30 if self.stacked else 0).show_points(common.VisibilityMode.AUTO)
        panel.legend(looks.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST))
        panel.tooltip(looks.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)).axis_soft_min(0)
        if self.stacked:
            panel.stacking(looks.StackingConfig().mode(common.StackingMode.NORMAL))
        if self.top is not None:
            panel.min(0).max(self.top)
        if self.limits is not None:
            style = looks.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            panel.thresholds(self.limits.built()).thresholds_style(style)
        if self.every:
            panel.interval(self.every)
        if self.to_model:
            panel.data_links([_to_model("__field.labels", "model_deployment")])
        for letter, query in zip(LETTERS, self.queries, strict=False):
            panel.with_target(_target(query, letter).range())
            if query.dashed:
                dash = {"fill": "dash", "dash": [8, 8]}
                panel.override_by_query(letter, [dashboard.DynamicConfigValue("custom.lineStyle", dash)])
        return _described(panel, self.about, self.width, height=8)


@dataclass(frozen=True, slots=True)
class Times:
    """From when to when each series was there: a bar for each."""

    about: About
    queries: Sequence[Query]
    width: int = 24

    def built(self) -> Built:
        panel = statetimeline.Panel().show_value(common.VisibilityMode.NEVER).row_height(0.7)
        panel.legend(looks.VizLegendOptions().show_legend(False)).thresholds(Limits([("blue", None)]).built())
        panel.color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        for letter, query in zip(LETTERS, self.queries, strict=False):
            panel.with_target(_target(query, letter).range())
        return _described(panel, self.about, self.width, height=6)


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of what there is now. Rows of several queries with the same labels become one.

    `columns`: by the label, or `Value`, or `Value #A` and so on where there are several queries; in their order.
    `none`: what is said where there is no row. `to_model`: a click leads to the dashboard of the model of the row.
    """

    about: About
    queries: Sequence[str]
    columns: Mapping[str, Column]
    width: int = 24
    none: str = "none"
    to_model: bool = False

    def built(self) -> Built:
        panel = table.Panel().no_value(self.none)
        if self.to_model:
            name = "name" if "name" in self.columns else "model_deployment"
            panel.data_links([_to_model("__data.fields", name)])
        for letter, expr in zip(LETTERS, self.queries, strict=False):
            panel.with_target(_target(Query(expr, ""), letter).instant().format(PromQueryFormat.TABLE))
        if len(self.queries) > 1:
            panel.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
        panel.with_transformation(dashboard.DataTransformerConfig("organize", options=self._organised()))
        for column in self.columns.values():
            if properties := list(_cells(column)):
                panel.override_by_name(column.title, properties)
        return _described(panel, self.about, self.width, height=7)

    def _organised(self) -> dict[str, object]:
        """Which columns there are, in which order, and what they are called."""
        return {
            "excludeByName": {
                "Time": True,
                **{name: True for name, column in self.columns.items() if not column.title},
            },
            "indexByName": {name: place for place, name in enumerate(self.columns)},
            "renameByName": {name: column.title for name, column in self.columns.items() if column.title},
        }


Panel = Numbers | Lines | Times | Rows


def within(share: float, histogram: str, by: str = "") -> str:
    """The query for the time that this share of what is in the histogram needs at most."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


def _to_model(where: str, name: str) -> build.DashboardLink:
    """A link to the dashboard of a model. `where`: what has its labels, in Grafana; `name`: the label for its name."""
    query = f"var-namespace=${{{where}.namespace}}&var-model_deployment=${{{where}.{name}}}"
    return build.DashboardLink("This model").url(
        f"/d/sluice-model?{query}&${{datasource:queryparam}}&${{__url_time_range}}"
    )


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(DATASOURCE)
    return target.legend_format(query.legend) if query.legend else target


def _cells(column: Column) -> Iterable[dashboard.DynamicConfigValue]:
    if column.unit:
        yield dashboard.DynamicConfigValue("unit", column.unit)
    if column.limits is not None:
        yield dashboard.DynamicConfigValue("thresholds", column.limits.built().build())
    if column.colours:
        options = {text: {"color": color, "index": at} for at, (text, color) in enumerate(column.colours.items())}
        yield dashboard.DynamicConfigValue("mappings", [{"type": "value", "options": options}])
    if column.limits is not None or column.colours:
        yield dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})


def _described(panel: Built, about: About, width: int, height: int) -> Built:
    panel.title(about.title).description(about.text).unit(about.unit).datasource(DATASOURCE)
    panel.span(width).height(height)
    return panel
