"""The pages say what `kubectl sluice` says, can be read by a screen reader, and obey no text of others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.run import Answer, Outcome, Pause, TakenCommand
from sluice_operator.api.status import Condition, HistoryEntry, Rejection, Status
from sluice_operator.report import status_words
from sluice_operator.web import pages
from sluice_operator.web.pages.fleet import Models
from tests.unit.sluice_operator.build import NOW
from tests.unit.sluice_operator.web.pages_data import HOSTILE, VERDICT, all_phases, body, stepping

EMPTY = ("br", "input", "link", "meta")


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == [], f"without an end: {self.open}"

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in EMPTY:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == name]

    def __str__(self) -> str:
        return " ".join(word for word in self.words if word.strip())


def model(current: Status | dict[str, Any], **changes: Any) -> str:
    return pages.model.model(body(current, **changes), NOW, "jane@example.com")


def fleet(*bodies: dict[str, Any], **changes: Any) -> str:
    return pages.fleet.fleet(Models(bodies), NOW, "jane@example.com", **changes)


def with_hostile_texts() -> Status:
    """A status in which everybody who has a part in it wrote something hostile."""
    taken = TakenCommand(HOSTILE, HOSTILE, NOW, Answer.ACCEPTED, HOSTILE)
    current = stepping()
    assert current.stable
    assert current.run
    hostile_model = replace(current.stable.model, uri=HOSTILE, name=HOSTILE, version=HOSTILE)
    return replace(
        current,
        message=HOSTILE,
        url=f"javascript:{HOSTILE}",
        stable=replace(current.stable, model=hostile_model),
        run=replace(current.run, pause=Pause(HOSTILE, HOSTILE, NOW)),
        verdict=replace(VERDICT, message=HOSTILE, forecast=HOSTILE, reason=HOSTILE, objectives=hostile_objectives()),
        conditions=(
            Condition("Stalled", "True", HOSTILE, HOSTILE, NOW),
            Condition(HOSTILE, "True", HOSTILE, HOSTILE, NOW),
        ),
        rejected=(Rejection(HOSTILE, HOSTILE, HOSTILE, HOSTILE, NOW),),
        history=(HistoryEntry(HOSTILE, HOSTILE, Outcome.REJECTED, HOSTILE, NOW, NOW, HOSTILE, (taken,)),),
        last_command=taken,
    )


def hostile_objectives() -> Any:
    texts = dict.fromkeys(("name", "canary", "stable", "limit", "evidence", "needs"), HOSTILE)
    return tuple(replace(objective, **texts) for objective in VERDICT.objectives)


def every_page() -> Iterator[str]:
    """Pages of all kinds, also with hostile texts in each place where others write."""
    hostile = body(with_hostile_texts(), model__uri=HOSTILE)
    place = ("models", "iris", "iris-run-1")
    data = dict.fromkeys(("model", "stable", "outcome", "reason", "message", "startedAt", "commands"), HOSTILE)
    yield from (model(status) for _, status in all_phases())
    yield fleet(*(body(status, name) for name, status in all_phases()))
    yield fleet(hostile, body({"phase": HOSTILE}, "unreadable"))
    yield pages.model.model(hostile, NOW, HOSTILE)
    yield pages.run.without_report(place, HOSTILE, data, HOSTILE)
    yield pages.sign_in.form(HOSTILE, "/namespaces/models", by_link=True)
    yield pages.sign_in.not_allowed(HOSTILE, HOSTILE)


EVERY_PAGE = list(every_page())


def test_a_model_shows_the_words_of_the_command_line() -> None:
    """Phase, revisions, the verdict with each objective, and the runs before."""
    current = stepping()
    text = str(Page(model(current)))
    assert status_words.phase_since(current, NOW) in text
    assert status_words.with_pods(current.canary) in text
    for cells in (*map(status_words.objective, VERDICT.objectives), *map(status_words.history, current.history)):
        assert all(cell in text for cell in cells)
    assert "against 0.7 of 60, for 9.4 of 20" in text
    assert VERDICT.forecast in text


def test_a_model_shows_at_which_step_it_is() -> None:
    """What is behind it, now, and to come; after the end, how far it came."""
    current = stepping()
    assert current.run
    second = replace(current, run=replace(current.run, step=1))
    ended = replace(current, run=replace(current.run, ended_at=NOW, outcome=Outcome.REJECTED))
    assert [str(Page(model(each))).count("to come") for each in (current, second)] == [1, 0]
    assert "passed" in str(Page(model(second)))
    assert "not reached" in str(Page(model(ended)))


def test_a_step_that_was_left_without_a_pass_did_not_pass() -> None:
    """By a person, or at the deadline."""
    current = stepping()
    assert current.run
    left = replace(current, run=replace(current.run, step=1, left_step=0))
    assert "left without a Pass" in str(Page(model(left)))


def test_the_fleet_counts_what_a_person_has_to_look_at() -> None:
    """In words, beside the phase of each model and above all of them."""
    stalled = replace(stepping(), conditions=(Condition("Stalled", "True", "ModelNotFound", "", NOW),))
    text = str(Page(fleet(body(stepping(), "good"), body(stalled, "bad"), body({"phase": "Odd"}, "odd"))))
    assert "3 models: 2 Stepping. Look at: 1 stalled, 1 unreadable." in text
    assert "this page is of another version than the operator" in text


def test_a_status_of_another_version_is_a_sentence() -> None:
    """Not a page with a fault."""
    assert "a newer operator has written the status" in str(Page(model({"version": 99})))


@pytest.mark.parametrize("page", EVERY_PAGE, ids=range(len(EVERY_PAGE)))
def test_no_text_of_others_becomes_part_of_the_page(page: str) -> None:
    """No script, no handler, no address but those of this site; and what turns or hides text is shown as an escape."""
    parsed = Page(page)
    assert [script.get("src") for script in parsed.all("script")] in ([], ["/live.js"])
    assert not {name for _, attributes in parsed.elements for name in attributes if name.startswith(("on", "style"))}
    for _, attributes in parsed.elements:
        for name in ("href", "action", "src"):
            assert (attributes.get(name) or "/").startswith(("/", "#"))
    assert not {"\u202e", "\x00", "\x1b"} & set(page)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=range(len(EVERY_PAGE)))
def test_a_page_has_what_a_screen_reader_goes_by(page: str) -> None:
    """One language, one heading, landmarks, a way to skip them; each table says what its columns and rows are."""
    parsed = Page(page)
    assert parsed.all("html") == [{"lang": "en"}]
    assert [len(parsed.all(name)) for name in ("h1", "main", "header", "nav", "title")] == [1, 1, 1, 1, 1]
    assert parsed.elements[[name for name, _ in parsed.elements].index("body") + 1][1]["href"] == "#content"
    assert all(cell.get("scope") in ("row", "col") for cell in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    known = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(known) == len(set(known))
    labelled = {label["for"] for label in parsed.all("label")}
    assert {field["id"] for field in parsed.all("input") if field.get("type") != "hidden"} == labelled


def test_a_live_page_says_what_is_new_without_numbers_that_change_at_each_look() -> None:
    """A screen reader would read them out every few seconds."""
    current = stepping()
    later = pages.model.model(body(current), NOW + timedelta(seconds=5), "jane")
    news = [Page(text).all("main")[0]["data-news"] for text in (model(current), later)]
    assert news[0] == news[1]
    assert news[0]
