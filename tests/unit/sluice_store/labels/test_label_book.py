"""Labels in SQLite: each row counts once, and what was counted stays counted."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import pytest

from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_book import CLEAN_EVERY, LabelBook, LabelsError

NOW, DAY = 1_800_000_000.0, 86_400


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/labels.db"


@pytest.fixture
def book(url: str) -> LabelBook:
    return LabelBook(url, 30 * DAY)


def label(
    number: int, row: int = 0, *, correct: bool = True, revision: str = "abc", age: float = 60, claim: str = ""
) -> Label:
    """A label that comes for the first time, unless it has the claim of another."""
    claim = claim or secrets.token_hex(8)
    return Label(f"{number:016x}", claim, row, "iris", revision, "gateway", int(NOW - age), correct)


def totals(book: LabelBook, namespace: str = "models") -> dict[str, tuple[int, int, int]]:
    return {found.revision: (found.labels, found.correct, found.repeats) for found in book.totals(namespace)}


def test_a_label_counts_once(book: LabelBook) -> None:
    """Whoever sends it again, and whatever it says then: the first one counts."""
    assert book.count("models", [label(1), label(2, correct=False)], NOW).new == [True, True]
    again = book.count("models", [label(1, correct=False), label(3)], NOW)
    assert (again.new, again.repeats, again.expired) == ([False, True], 1, 0)
    assert totals(book) == {"abc": (3, 2, 1)}


def test_a_label_counts_once_within_a_request(book: LabelBook) -> None:
    """Also if the row has no label yet."""
    counted = book.count("models", [label(1), label(1, correct=False), label(1, row=1)], NOW)
    assert (counted.new, counted.repeats) == ([True, False, True], 1)
    assert totals(book) == {"abc": (2, 2, 1)}


def test_a_label_that_is_sent_again_gets_the_same_answer(book: LabelBook) -> None:
    """The pod did not hear the first one: it must count the label once, and so must the store."""
    mine, others = label(1, claim="a" * 16), label(2, claim="b" * 16)
    book.count("models", [label(2)], NOW)
    for _ in range(3):
        assert book.count("models", [mine, others], NOW).new == [True, False]
    assert totals(book) == {"abc": (2, 2, 3)}


def test_rows_and_namespaces_have_labels_of_their_own(book: LabelBook) -> None:
    """The same prediction id in another namespace is another prediction."""
    assert book.count("models", [label(1, row=0), label(1, row=63)], NOW).new == [True, True]
    assert book.count("other", [label(1)], NOW).new == [True]
    assert (totals(book), totals(book, "other")) == ({"abc": (2, 2, 0)}, {"abc": (1, 1, 0)})


def test_each_revision_has_its_totals(book: LabelBook) -> None:
    """By ModelDeployment, revision and port."""
    book.count("models", [label(1), label(2, revision="xyz", correct=False), label(3, revision="xyz")], NOW)
    assert book.totals("models") == [
        Totals("iris", "abc", "gateway", 1, 1, 0),
        Totals("iris", "xyz", "gateway", 2, 1, 0),
    ]


def test_a_label_that_comes_too_late_does_not_count(book: LabelBook) -> None:
    """Its row is not remembered any more, so nobody could tell whether it is a repeat."""
    counted = book.count("models", [label(1, age=31 * DAY), label(2)], NOW)
    assert (counted.new, counted.repeats, counted.expired) == ([False, True], 0, 1)


def test_rows_are_forgotten_and_totals_are_not(book: LabelBook) -> None:
    """A row takes space for as long as a label for it is accepted."""
    book.count("models", [label(1), label(1)], NOW)
    later = NOW + 30 * DAY + CLEAN_EVERY
    assert book.count("models", [label(1)], later).expired == 1
    assert book.count("models", [label(1, age=-31 * DAY)], later).new == [True]  # as if it were another prediction
    assert totals(book) == {"abc": (2, 2, 1)}


def test_another_process_knows_what_was_counted(book: LabelBook, url: str) -> None:
    """A store that was restarted counts nothing again."""
    book.count("models", [label(1)], NOW)
    after = LabelBook(url, 30 * DAY)
    assert after.count("models", [label(1)], NOW).new == [False]
    assert totals(after) == {"abc": (1, 1, 1)}


def test_no_labels_change_nothing(book: LabelBook) -> None:
    """An empty request is answered."""
    assert book.count("models", [], NOW).new == []
    assert book.totals("models") == []


def test_a_database_that_does_not_work_is_told(tmp_path: Path) -> None:
    """As an error that the API answers with 503; when the database is back, the next request works."""
    book = LabelBook(f"sqlite:///{tmp_path}/not/there.db", DAY)
    with pytest.raises(LabelsError, match="unable to open database file"):
        book.count("models", [label(1)], NOW)
    (tmp_path / "not").mkdir()
    assert book.count("models", [label(1)], NOW).new == [True]


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": "0123"},
        {"prediction": "0123456789ABCDEF"},
        {"claim": "x"},
        {"row": -1},
        {"row": 64},
        {"revision": "Not a revision"},
        {"model_deployment": "a/b"},
        {"entry": "door"},
        {"issued": -1},
        {"more": 1},
    ],
)
def test_a_label_that_no_pod_sends_is_refused(change: dict[str, object]) -> None:
    """Each field has a form, and there are no others."""
    sent = label(1)
    right = msgspec.to_builtins(sent)
    assert msgspec.convert(right, Label) == sent
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(right | change, Label)
