"""A report shows how a run ended and why. It loads nothing, and no name in it can break the page."""

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
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict, Result
from sluice_operator.records.replay import Replay, replayed
from sluice_operator.report import series
from sluice_operator.report.chart import elapsed, round_ticks
from sluice_operator.report.markup import Markup, joined, tag
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.recorded import OBJECTIVES, a_run, blue_green, recorded, ticks


@cache
def replay_of(bad: float = 0.001, step_seconds: float = 100.0) -> Replay:
    """A replayed run whose canary has the share `bad` of errors."""
    run = a_run(step_seconds=step_seconds)
    return replayed(recorded(run, ticks(run, bad=bad)))


def elements(page: str) -> ElementTree.Element:
    """The page as XML. Only the two `meta` tags have no end, so they are left out."""
    return ElementTree.fromstring(re.sub(r"<meta [^>]*>", "", page).removeprefix("<!doctype html>"))


def texts(page: str, name: str) -> list[str]:
    return ["".join(element.itertext()) for element in elements(page).iter(name)]


def labelled(page: str, name: str) -> ElementTree.Element:
    """The first chart with that name."""
    return next(chart for chart in elements(page).iter("svg") if chart.get("aria-label") == name)


def test_the_page_of_a_promoted_run_has_its_outcome_and_objectives() -> None:
    """The table shows that all objectives passed."""
    page = report.page(replay_of())
    assert texts(page, "h1") == ["models:/iris/2 was promoted"]
    rows = [[cell for cell in row.itertext() if cell.strip()] for row in elements(page).iter("tr")]
    assert [(row[0], row[-1]) for row in rows[1:]] == [("errors", "Pass"), ("p95", "Pass"), ("accuracy", "Pass")]
    assert "judged again" not in page.lower()


def test_the_page_of_a_rejected_run_shows_why_and_when() -> None:
    """It has the message of status, and a dot where the evidence reached its threshold."""
    replay = replay_of(bad=0.3)
    page = report.page(replay)
    assert texts(page, "h1") == ["models:/iris/2 was rolled back"]
    assert replay.record.run.message in texts(page, "p")
    against = labelled(page, "Evidence against the canary")
    assert [circle.get("class") for circle in against.iter("circle")] == ["dot against"]
    assert f"at {elapsed(series.seconds(replay))}" in "".join(against.itertext())
    assert [row[-1].text or row[-1][0].text for row in elements(page).iter("tr")][1] == "Fail"


@pytest.mark.parametrize(("bad", "title"), [(0.001, "was promoted"), (0.3, "was rolled back")])
def test_the_page_of_a_blue_green_run_has_no_steps(bad: float, title: str) -> None:
    """It was judged in the watch alone, and says so."""
    run, moved = blue_green()
    replay = replayed(recorded(run, ticks(moved, bad=bad)))
    page = report.page(replay)
    assert texts(page, "h1") == [f"models:/iris/2 {title}"]
    assert list(replay.differences()) == []
    assert ("All requests moved at once, without evidence before" in page) == (bad < 0.01)
    assert "Reached" not in texts(page, "dt")


def test_a_page_loads_nothing() -> None:
    """It has no scripts and no addresses."""

    class LoadingTags(HTMLParser):
        tags: tuple[str, ...] = ()

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag in ("script", "link", "img", "iframe") or {"src", "href"} & dict(attributes).keys():
                self.tags = (*self.tags, tag)

    parser = LoadingTags()
    page = report.page(replay_of())
    parser.feed(page)
    assert parser.tags == ()
    assert "url(http" not in page
    assert "@import" not in page


def test_each_objective_has_its_charts() -> None:
    """Its shares, and the evidence against the canary and in its favour. Charts of weight and requests come first."""
    names = [chart.get("aria-label") for chart in elements(report.page(replay_of())).iter("svg") if chart.get("role")]
    sides = ["Evidence against the canary", "Evidence in favour of the canary"]
    assert names == [
        "Weight of the canary in percent",
        "Requests per second",
        *(name for objective in ("errors", "p95", "accuracy") for name in (f"{objective} over time", *sides)),
    ]
    ids = [clip.get("id") for clip in elements(report.page(replay_of())).iter("clipPath")]
    assert len(set(ids)) == len(ids) == 11


def test_missing_requests_have_a_chart() -> None:
    """If they are the reason of the rollback."""
    replay = replay_of()
    missing = replace(replay.record, run=replace(replay.record.run, reason="RequestsMissing"))
    assert labelled(
        report.page(Replay(missing, replay.thresholds, replay.ticks, replay.verdict, replay.evidence)),
        "Evidence without a simultaneous comparison",
    )


def test_names_cannot_break_the_page() -> None:
    """Models, objectives and messages are escaped."""
    hostile = """<script>alert(1)</script>&"'"""
    replay = replay_of(step_seconds=30.0)
    run = replay.record.run
    objectives = (replace(run.objectives[0], name=hostile), *run.objectives[1:])
    baseline = replace(
        replay.record.baseline,
        by_objective={hostile: replay.record.baseline.by_objective["errors"], **replay.record.baseline.by_objective},
    )
    named = replace(run, objectives=objectives, canary=RevisionRef(hostile, hostile), reason=hostile, message=hostile)
    page = report.page(replayed(replace(replay.record, name=hostile, run=named, baseline=baseline)))
    assert "<script" not in page
    assert texts(page, "h1") == [f"{hostile} was promoted"]


def test_a_replay_that_differs_or_cannot_be_compared_has_a_notice() -> None:
    """The record lacks ticks, or the verdict is another one now."""
    replay = replay_of()
    incomplete = Replay(
        replace(replay.record, dropped_ticks=7), replay.thresholds, replay.ticks, replay.verdict, replay.evidence
    )
    assert "lacks the first 7 ticks" in report.page(incomplete)
    different = Replay(
        replay.record, replay.thresholds, replay.ticks, replace(replay.verdict, reason="Other"), replay.evidence
    )
    assert "Judged again, the verdict is another one" in report.page(different)


def test_queries_and_dry_runs_are_in_the_table() -> None:
    """A query with its recorded result, a dry run with a mark."""
    query = {"name": "mine", "query": {"expr": "vector(1)", "interval": "30s", "failureLimit": 1, "max": "2"}}
    run = a_run(step_seconds=30.0, objectives=a_spec(objectives=[{**OBJECTIVES[0], "dryRun": True}, query]).objectives)
    record = recorded(run, ticks(run))
    result = ObjectiveVerdict("mine", Result.PASS, canary="1.5", limit="at most 2", requests=7, evidence="0 of 7")
    verdict = replace(record.last_evaluation.verdict, objectives=(*record.last_evaluation.verdict.objectives, result))
    page = report.page(replayed(replace(record, last_evaluation=replace(record.last_evaluation, verdict=verdict))))
    rows = [[cell for cell in row.itertext() if cell.strip()] for row in elements(page).iter("tr")]
    assert rows[1][:2] == ["errors", " (dry run)"]
    assert rows[2] == ["mine", "1.5", "at most 2", "7", "0 of 7", "Pass"]


def test_a_run_without_objectives_has_a_page() -> None:
    """Its steps needed only requests and time."""
    run = a_run(step_seconds=50.0, objectives=())
    page = report.page(replayed(recorded(run, ticks(run))))
    assert "The run had no objectives" in page


@pytest.mark.parametrize("step_seconds", [5.0, 7200.0])
def test_short_and_long_runs_have_a_page(step_seconds: float) -> None:
    """A single tick can be drawn. The points of long runs are thinned, so that a page stays small."""
    run = a_run(step_seconds=step_seconds, weights=(10,), objectives=a_run().objectives[:1])
    page = report.page(replayed(recorded(run, ticks(run))))
    assert len(page) < 120_000


def test_shares_begin_when_there_are_enough_requests() -> None:
    """A single error among few requests must not look like a peak."""
    replay = replay_of()
    errors: Objective = replay.record.run.objectives[0]
    points = series.shares(replay, errors, lambda replayed: replayed.tick.canary)
    assert max(value for _, value in points if value is not None) < 0.05
    assert points[0][1] is None


@given(low=st.floats(-5, 5), span=st.floats(1e-4, 1e4))
def test_ticks_of_an_axis_are_round_and_inside(low: float, span: float) -> None:
    """At least one, and not too many."""
    values = round_ticks(low, low + span)
    assert 1 <= len(values) <= 6
    assert all(low - span * 1e-6 <= value <= low + span * (1 + 1e-6) for value in values)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (3600, "1:00:00"), (7384.6, "2:03:05")])
def test_elapsed_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    """With hours where there are any."""
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (tag("p", "a < b", class_="x"), '<p class="x">a &lt; b</p>'),
        (tag("p", tag("b", "&"), id='"'), '<p id="&quot;"><b>&amp;</b></p>'),
        (tag("g", stroke_width=1.5, x=2.0), '<g stroke-width="1.5" x="2"></g>'),
        (joined(Markup("<br>"), "<br>"), "<br>&lt;br&gt;"),
    ],
)
def test_text_is_escaped_and_markup_is_not(markup: str, text: Any) -> None:
    """In children and in attributes."""
    assert markup == text
