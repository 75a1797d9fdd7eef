"""A report says how a run ended and why, needs nothing but itself, and can be opened whatever names are in it."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator import report
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict, Result, RevisionRef
from sluice_operator.records.replay import Replay, replayed
from sluice_operator.report import series
from sluice_operator.report.chart import elapsed, round_ticks
from sluice_operator.report.markup import Markup, joined, tag
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.recorded import OBJECTIVES, a_run, recorded, ticks


@cache
def told(bad: float = 0.001, step_seconds: float = 100.0) -> Replay:
    run = a_run(step_seconds=step_seconds)
    return replayed(recorded(run, ticks(run, bad=bad)))


def elements(page: str) -> ElementTree.Element:
    """The page, which is well-formed but for the two tags of its head that have no end."""
    return ElementTree.fromstring(re.sub(r"<meta [^>]*>", "", page).removeprefix("<!doctype html>"))


def texts(page: str, name: str) -> list[str]:
    return ["".join(one.itertext()) for one in elements(page).iter(name)]


def labelled(page: str, name: str) -> ElementTree.Element:
    """The first chart of that name."""
    return next(one for one in elements(page).iter("svg") if one.get("aria-label") == name)


def test_a_promoted_run_says_so() -> None:
    """With its objectives, what was counted, and that all passed."""
    page = report.page(told())
    assert texts(page, "h1") == ["models:/iris/2 was promoted"]
    rows = [[cell for cell in row.itertext() if cell.strip()] for row in elements(page).iter("tr")]
    assert [(row[0], row[-1]) for row in rows[1:]] == [("errors", "Pass"), ("p95", "Pass"), ("accuracy", "Pass")]
    assert "judged again" not in page.lower()


def test_a_rejected_run_says_why_and_when() -> None:
    """The sentence of status, and a mark where evidence reached its bar."""
    again = told(bad=0.3)
    page = report.page(again)
    assert texts(page, "h1") == ["models:/iris/2 was rolled back"]
    assert again.record.run.message in texts(page, "p")
    against = labelled(page, "Evidence against the canary")
    assert [one.get("class") for one in against.iter("circle")] == ["dot against"]
    assert f"at {elapsed(series.seconds(again))}" in "".join(against.itertext())
    assert [row[-1].text or row[-1][0].text for row in elements(page).iter("tr")][1] == "Fail"


def test_a_page_needs_nothing_else() -> None:
    """No scripts, no addresses."""

    class Fetched(HTMLParser):
        found: tuple[str, ...] = ()

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag in ("script", "link", "img", "iframe") or {"src", "href"} & dict(attributes).keys():
                self.found = (*self.found, tag)

    parser = Fetched()
    page = report.page(told())
    parser.feed(page)
    assert parser.found == ()
    assert "url(http" not in page
    assert "@import" not in page


def test_each_objective_has_its_figures() -> None:
    """Its shares, and evidence on both sides; above them weight and requests."""
    names = [one.get("aria-label") for one in elements(report.page(told())).iter("svg")]
    sides = ["Evidence against the canary", "Evidence in favour of the canary"]
    assert names == [
        "Weight of the canary in percent",
        "Requests per second",
        *(name for one in ("errors", "p95", "accuracy") for name in (f"{one} over time", *sides)),
    ]
    ids = [one.get("id") for one in elements(report.page(told())).iter("clipPath")]
    assert len(set(ids)) == len(ids) == 11


def test_requests_that_go_missing_have_a_figure_of_their_own() -> None:
    """Where they are the reason."""
    again = told()
    missing = replace(again.record, run=replace(again.record.run, reason="RequestsMissing"))
    assert labelled(
        report.page(Replay(missing, again.thresholds, again.ticks, again.verdict, again.evidence)),
        "Evidence without another arm",
    )


def test_names_cannot_break_the_page() -> None:
    """Models, objectives and messages are text, whatever is in them."""
    hostile = """<script>alert(1)</script>&"'"""
    again = told(step_seconds=30.0)
    run = again.record.run
    objectives = (replace(run.objectives[0], name=hostile), *run.objectives[1:])
    past = replace(
        again.record.baseline,
        by_objective={hostile: again.record.baseline.by_objective["errors"], **again.record.baseline.by_objective},
    )
    named = replace(run, objectives=objectives, canary=RevisionRef(hostile, hostile), reason=hostile, message=hostile)
    page = report.page(replayed(replace(again.record, name=hostile, run=named, baseline=past)))
    assert "<script" not in page
    assert texts(page, "h1") == [f"{hostile} was promoted"]


def test_what_cannot_be_compared_is_told() -> None:
    """A cut record, or a verdict that is another one now."""
    again = told()
    cut = Replay(replace(again.record, dropped_ticks=7), again.thresholds, again.ticks, again.verdict, again.evidence)
    assert "lacks the first 7 ticks" in report.page(cut)
    other = Replay(again.record, again.thresholds, again.ticks, replace(again.verdict, reason="Other"), again.evidence)
    assert "Judged again, the verdict is another one" in report.page(other)


def test_queries_and_dry_runs_are_in_the_table() -> None:
    """The one with what was said of it, the other marked as such."""
    query = {"name": "mine", "query": {"expr": "vector(1)", "interval": "30s", "failureLimit": 1, "max": "2"}}
    run = a_run(step_seconds=30.0, objectives=a_spec(objectives=[{**OBJECTIVES[0], "dryRun": True}, query]).objectives)
    record = recorded(run, ticks(run))
    said = ObjectiveVerdict("mine", Result.PASS, canary="1.5", limit="at most 2", requests=7, evidence="0 of 7")
    verdict = replace(record.last_evaluation.verdict, objectives=(*record.last_evaluation.verdict.objectives, said))
    page = report.page(replayed(replace(record, last_evaluation=replace(record.last_evaluation, verdict=verdict))))
    rows = [[cell for cell in row.itertext() if cell.strip()] for row in elements(page).iter("tr")]
    assert rows[1][:2] == ["errors", " (dry run)"]
    assert rows[2] == ["mine", "1.5", "at most 2", "7", "0 of 7", "Pass"]


def test_a_run_without_objectives_has_a_page() -> None:
    """Requests and time alone passed its steps."""
    run = a_run(step_seconds=50.0, objectives=())
    page = report.page(replayed(recorded(run, ticks(run))))
    assert "The run had no objectives" in page


@pytest.mark.parametrize("step_seconds", [5.0, 7200.0])
def test_short_and_long_runs_have_a_page(step_seconds: float) -> None:
    """A single tick is drawn; hours are thinned, so that a page stays small."""
    run = a_run(step_seconds=step_seconds, weights=(10,), objectives=a_run().objectives[:1])
    page = report.page(replayed(recorded(run, ticks(run))))
    assert len(page) < 120_000


def test_shares_are_told_of_enough_requests() -> None:
    """A single error among few is no peak, and both arms end at what they had lately."""
    again = told()
    errors: Objective = again.record.run.objectives[0]
    values = [value for _, value in series.shares(again, errors, lambda one: one.tick.canary) if value is not None]
    assert max(values) < 0.05
    assert series.shares(again, errors, lambda one: one.tick.canary)[0][1] is None


@given(low=st.floats(-5, 5), span=st.floats(1e-4, 1e4))
def test_ticks_of_an_axis_are_round_and_inside(low: float, span: float) -> None:
    """At least one, and not too many."""
    found = round_ticks(low, low + span)
    assert 1 <= len(found) <= 6
    assert all(low - span * 1e-6 <= one <= low + span * (1 + 1e-6) for one in found)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (3600, "1:00:00"), (7384.6, "2:03:05")])
def test_times_are_written_as_on_a_watch(seconds: float, text: str) -> None:
    """Since the first traffic."""
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (tag("p", "a < b", class_="x"), '<p class="x">a &lt; b</p>'),
        (tag("p", tag("b", "&"), id='"'), '<p id="&quot;"><b>&amp;</b></p>'),
        (tag("g", stroke_width=1.5, x=2.0), '<g stroke-width="1.5" x="2"></g>'),
        (joined(Markup("<br>"), "<br>"), "<br>&lt;br&gt;"),
    ],
)
def test_text_is_escaped_and_markup_is_not(made: str, text: Any) -> None:
    """In children and in attributes."""
    assert made == text
