"""manifests/dashboards: what the generator makes, with texts for people, and with queries that can have an answer."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dev.dashboards import alert_rules, the_operator
from dev.dashboards.__main__ import FOLDER, files
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Result
from sluice_operator.telemetry import metrics
from tests.dashboard_queries import FILES, Asked, asked, dashboard, panels
from tests.unit.dashboards.exported import series
from tests.unit.dashboards.query_labels import labels_of
from tests.unit.docs.test_links import ROOT, broken
from tests.unit.docs.test_metrics import selectors

QUERIES = list(asked())
PANELS = {f"{file.stem}: {panel['title']}": panel for file in FILES for panel in panels(file)}
TABLES = {name: panel for name, panel in PANELS.items() if panel["type"] == "table"}
VALUES: dict[str, set[str]] = {  # of labels whose values the code has; others have names of objects and models
    "phase": set(Phase),
    "outcome": set(Outcome),
    "result": set(Result),
    "lane": set(metrics.LANES),
    "stage": set(metrics.STAGES),
    "kind": set(metrics.ERROR_KINDS),
    "dependency": set(metrics.DEPENDENCIES),
    "claim": {"worse", "not_worse"},
    "quantile": {"0.5", "0.95", "0.99"},
    "bin": {"missing", "unseen", "below", "above"},
    "code": {"200", "5.."},
    "alertstate": {"firing", "pending"},
    "alertname": set(alert_rules.names()),
}


def parsed(query: Asked) -> promql.Expr:
    return promql.parse(query.expr.replace("$__rate_interval", "1m"))


def test_the_files_are_what_the_generator_makes() -> None:
    """An edit by hand, or a generator that was not run again: `make dashboards` writes them."""
    made = dict(files())
    assert sorted(made) == FILES
    assert [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text] == []


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_grafana_knows_every_field(file: Path) -> None:
    """Read and written by its own types, nothing is lost or added but what only the datasource knows of a mark."""
    made = dashboard(file)
    for mark in made["annotations"].get("list", ()):
        assert {mark.pop(name) != "" for name in ("step", "titleFormat", "textFormat")} == {True}
    assert json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder)) == made


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_no_two_panels_overlap(file: Path) -> None:
    """On the grid of 24 columns, and no panel goes over its edge. Lines are full, and ids come once."""
    placed = [panel["gridPos"] for panel in dashboard(file)["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in placed)
    for one, other in combinations(placed, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    lines = {place["y"]: 0 for place in placed}
    for place in placed:
        lines[place["y"]] += place["w"]
    assert set(lines.values()) == {24}
    numbers = [panel["id"] for panel in dashboard(file)["panels"]]
    assert sorted(set(numbers)) == sorted(numbers)


def test_ids_and_titles_are_told_apart() -> None:
    """Links lead by id, and people go by titles."""
    made = [dashboard(file) for file in FILES]
    assert len({board["uid"] for board in made}) == len({board["title"] for board in made}) == len(made)
    for file in FILES:
        titles = [panel["title"] for panel in panels(file)]
        assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_says_what_it_shows_and_what_to_do(panel: dict[str, Any]) -> None:
    """With a unit, and with a page that is there."""
    assert re.fullmatch(r"[A-Z].{3,}", panel["title"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    shows, what_to_do = panel["description"].split("\n\nWhen it looks bad: ")
    assert re.fullmatch(r"[A-Z\d].+[.]", shows)
    (page,) = re.findall(r"[.] See (docs/\S+)[.]$", what_to_do)
    assert broken(ROOT / "README.md", page) == ""


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_asks_the_datasource_that_was_chosen(panel: dict[str, Any]) -> None:
    """It is a variable, so that the files fit each Grafana."""
    used = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert [source["uid"] for source in used] == ["${datasource}"] * len(used)


@pytest.mark.parametrize("query", QUERIES, ids=[query.where for query in QUERIES])
def test_a_query_reads_what_there_is(query: Asked) -> None:
    """Series that are exported or recorded, with labels that they have; and its legend names labels of its answer."""
    labels = labels_of(parsed(query), series())
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels


@pytest.mark.parametrize("query", QUERIES, ids=[query.where for query in QUERIES])
def test_a_query_asks_for_values_that_exist(query: Asked) -> None:
    """Phases, outcomes, kinds and the like are those of the code."""
    for selector in selectors(parsed(query)):
        for matcher in selector.matchers.matchers:
            if not matcher.value.startswith("$"):
                assert set(matcher.value.split("|")) <= VALUES[matcher.name], matcher.name


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_each_variable_is_declared(file: Path) -> None:
    """Grafana leaves another one as it stands, and the query finds nothing."""
    declared = {variable["name"] for variable in dashboard(file)["templating"]["list"]} | {"__rate_interval"}
    used = {
        name
        for query in QUERIES
        if query.where.startswith(f"{file.stem}:")
        for name in re.findall(r"\$(\w+)", query.expr)
    }
    assert used <= declared


@pytest.mark.parametrize("panel", TABLES.values(), ids=TABLES)
def test_a_table_has_a_column_for_each_label(panel: dict[str, Any]) -> None:
    """Named or hidden; a column that no query has would stay empty."""
    (organised,) = [step["options"] for step in panel["transformations"] if step["id"] == "organize"]
    several = len(panel["targets"]) > 1
    labels = {"Time"}
    for target in panel["targets"]:
        labels |= labels_of(promql.parse(target["expr"].replace("$__rate_interval", "1m")), series())
        labels.add(f"Value #{target['refId']}" if several else "Value")
    assert {*organised["indexByName"], "Time"} == labels
    assert {*organised["excludeByName"], *organised["renameByName"]} == labels


def test_the_lines_of_alerts_are_where_they_fire() -> None:
    """The limits come out of the rules."""
    limits = {name: alert_rules.limit(name) for name in alert_rules.names() if name != "SluiceNobodyWorks"}
    assert limits["PredictionLatencyHigh"] == 100
    assert (limits["ErrorBudgetBurnsFast"], limits["ErrorBudgetBurnsSlowly"]) == (0.0144, 0.006)
    (latency,) = [panel for panel in panels(FOLDER / "sluice-model.json") if panel["title"] == "Latency"]
    assert [step["value"] for step in latency["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 100]


def test_failed_requests_are_those_of_the_alert() -> None:
    """The panel and the alert count the same kinds of errors."""
    (rule,) = [rule for rule in alert_rules.rules() if rule.get("alert") == "SluiceDependencyUnreachable"]
    assert f'kind=~"{the_operator.FAILED}"' in rule["expr"]


def test_each_dashboard_is_described() -> None:
    """And nothing is described that is not there."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\S+\.json)` \|", page, re.MULTILINE)) == [file.name for file in FILES]


def test_kustomize_hands_all_files_to_the_sidecar() -> None:
    """A ConfigMap with the label that the chart of Grafana looks for."""
    written = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    (generated,) = written["configMapGenerator"]
    assert sorted(generated["files"]) == [file.name for file in FILES]
    assert generated["options"]["labels"]["grafana_dashboard"] == "1"
