"""Labels in SQLite: each row counts once, and what was counted stays counted."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import msgspec
import pytest

from sluice_store.labels import label_book
from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_book import CLEAN_EVERY, LabelBook, LabelsError
from sluice_store.labels.label_space import LABEL, TOTAL, VALUE, LabelsFullError

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


def test_a_label_for_a_prediction_of_a_time_to_come_does_not_count(book: LabelBook) -> None:
    """Its row would be there for ever. The clock of a pod may be ahead by some hours."""
    counted = book.count("models", [label(1, age=-2 * DAY), label(2, age=-DAY / 2)], NOW)
    assert (counted.new, counted.expired) == ([False, True], 1)


LATER = NOW + 31 * DAY


def rows_in(url: str) -> int:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        (found,) = connection.execute("select count(*) from labelled_rows").fetchone()
    return int(found)


def test_rows_are_forgotten_and_totals_are_not(book: LabelBook, url: str) -> None:
    """A row takes space for as long as a label for it is accepted."""
    book.count("models", [label(1), label(1), label(2)], NOW)
    assert book.count("models", [label(1), label(3, age=-31 * DAY)], LATER).expired == 1
    assert rows_in(url) == 1
    assert totals(book) == {"abc": (3, 3, 1)}


def test_many_rows_are_forgotten_some_at_a_time(book: LabelBook, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits until all of them are gone; the next ones go on at once."""
    monkeypatch.setattr(label_book, "CLEAN_AT_ONCE", 2)
    book.count("models", [label(number) for number in range(5)], NOW)
    left = []
    for number in range(5, 9):
        book.count("models", [label(number, age=-31 * DAY)], LATER)
        left.append(rows_in(url) - (number - 4))  # without those of now
    assert left == [3, 1, 0, 0]


def test_labels_count_although_nothing_can_be_forgotten(
    book: LabelBook, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The removal of old rows is not what a label waits for: it fails apart, and is tried again later."""
    book.count("models", [label(1)], NOW)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("create trigger t before delete on labelled_rows begin select raise(abort, 'timeout'); end")
    for number in (2, 3):
        assert book.count("models", [label(number, age=-31 * DAY)], LATER).new == [True]
    assert [record.getMessage() for record in caplog.records] == ["rows that have expired are not removed: timeout"]
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("drop trigger t")
    book.count("models", [], LATER + CLEAN_EVERY)
    assert rows_in(url) == 2


def limited(url: str, labels: int) -> LabelBook:
    """With space for so many labels of one revision in a namespace."""
    return LabelBook(url, 30 * DAY, TOTAL + labels * LABEL)


def test_a_full_namespace_counts_no_more_and_forgets_none(url: str) -> None:
    """Nothing of the request counts, so that the pod can send it again; what was counted is known as before."""
    book, first = limited(url, 2), [label(1), label(2)]
    assert book.count("models", first, NOW).new == [True, True]
    with pytest.raises(LabelsFullError, match=f"has {TOTAL + 2 * LABEL} bytes of labels, of {TOTAL + 2 * LABEL}"):
        book.count("models", [label(1), label(3)], NOW)
    assert totals(book) == {"abc": (2, 2, 0)}
    assert book.count("models", first, NOW).new == [True, True]
    assert book.count("models", [label(1), label(2)], NOW).repeats == 2
    assert book.count("others", [label(3)], NOW).new == [True]


def test_a_full_namespace_counts_again_when_labels_have_expired(url: str) -> None:
    """They are removed also while every label that comes is refused, and no newer row is there."""
    book = limited(url, 2)
    book.count("models", [label(1), label(2)], NOW)
    later = [label(number, age=-31 * DAY) for number in (3, 4)]
    with pytest.raises(LabelsFullError):
        book.count("models", later, LATER)
    assert book.count("models", later, LATER).new == [True, True]
    assert rows_in(url) == 2


def test_repeats_under_other_names_have_a_limit_too(url: str) -> None:
    """Totals are never removed."""
    book = limited(url, 1)
    book.count("models", [label(1)], NOW)
    with pytest.raises(LabelsFullError):
        book.count("models", [label(1, revision="other")], NOW)


def test_another_process_knows_how_much_there_is(url: str) -> None:
    """Rows, values that are kept in the bytes that they have, and totals, of each namespace."""
    before, after = LabelBook(url, 30 * DAY, 10**6), LabelBook(url, 30 * DAY, 10**6)
    before.count("models", [label(1), msgspec.structs.replace(label(2), value="größe")], NOW)
    before.count("others", [label(1)], NOW)
    after.look()
    sizes = {"models": TOTAL + 2 * LABEL + VALUE + len('"größe"'.encode()), "others": TOTAL + LABEL}
    assert after.space.kept == before.space.kept == sizes
    after.count("others", [label(2)], NOW)
    after.look()
    assert after.space.kept == sizes | {"others": TOTAL + 2 * LABEL}


def test_without_a_limit_nothing_is_counted(book: LabelBook) -> None:
    """Large tables take long to count."""
    book.count("models", [label(1)], NOW)
    book.look()
    assert book.space.kept == {}


def test_a_clock_that_is_wrong_for_a_moment_forgets_nothing(book: LabelBook) -> None:
    """Every label that was counted would count again when the clock is right."""
    book.count("models", [label(1)], NOW)
    book.count("models", [label(2)], LATER)
    assert book.count("models", [label(1)], NOW).new == [False]


@pytest.mark.parametrize("emptied", ["tables", "file"])
def test_a_database_that_was_emptied_is_filled_again(book: LabelBook, url: str, emptied: str) -> None:
    """The store need not be restarted; what was lost is told once at most, by /health as well as by a request."""
    book.count("models", [label(1)], NOW)
    file = Path(url.removeprefix("sqlite:///"))
    if emptied == "file":
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
    else:
        with sqlite3.connect(file) as connection:
            connection.executescript("drop table labelled_rows; drop table label_totals")
    with pytest.raises(LabelsError, match="no such table"):
        book.check()
    book.check()
    assert book.count("models", [label(2)], NOW).new == [True]
    assert rows_in(url) == 1


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
