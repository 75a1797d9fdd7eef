"""Which changes of a model its callers would notice. They may send rows with names, or without."""

from __future__ import annotations

import msgspec
import pytest

from sluice_operator.analysis.signature_change import changes, checked
from sluice_operator.api.observation import Signatures
from sluice_operator.api.signature import Column, Predictions, Signature, parse

CLASSES = ("setosa", "virginica")
LABELS = Predictions("string", classes=CLASSES, probabilities=True)


def takes(*columns: str | Column, answers: Predictions = LABELS) -> Signature:
    """`a b?` are numbers, of which b may be left out."""
    return Signature(
        tuple(
            column if isinstance(column, Column) else Column(column.strip("?"), "number", not column.endswith("?"))
            for column in columns
        ),
        answers,
    )


def of_type(name: str) -> Column:
    return Column("a", name)


BEFORE = takes("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (BEFORE, BEFORE),
        (BEFORE, takes("a", "b", "c", "d", "e?")),
        (takes("a", "b"), takes("a", "b?")),
        (takes(of_type("integer")), takes(of_type("number"))),
        (takes("a", answers=Predictions("number")), takes("a", answers=Predictions("integer"))),
        (takes("a", answers=Predictions("string", classes=CLASSES)), takes("a")),
    ],
    ids=["the same", "new, may be left out", "may be left out now", "takes more numbers", "whole numbers", "more told"],
)
def test_what_no_caller_can_notice_is_no_change(before: Signature, now: Signature) -> None:
    """Requests of before are answered, and their answers are read as before."""
    assert changes(before, now) == ()


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (takes("a", "b", "c", "d", "e"), ("needs the new column 'e'",)),
        (takes("a", "b", "c", "d", "e", "f"), ("needs the new columns 'e', 'f'",)),
        (takes("a", "b", "c"), ("has no column 'd' any more",)),
        (takes("a", "b", "length", "d"), ("column 'c' is called 'length'",)),
        (takes("x", "a", "b", "c"), ("needs the new column 'x'", "has no column 'd' any more")),
        (takes("b", "a", "c", "d"), ("takes the columns in another order: 'b', 'a', 'c', 'd'",)),
        (takes("e?", "a", "b", "c", "d"), ("takes the columns in another order: 'e', 'a', 'b', 'c'",)),
        (
            takes("a", "b", "c", *"efghijk"),
            ("needs the new columns 'e', 'f', 'g', 'h', 'i' and 2 more", "has no column 'd' any more"),
        ),
    ],
)
def test_callers_whose_requests_do_not_fit_are_told_why(now: Signature, found: tuple[str, ...]) -> None:
    """Refused with names, or without them; or not refused at all, and read in the wrong order."""
    assert changes(BEFORE, now) == found


@pytest.mark.parametrize(
    ("before", "now"),
    [("number", "integer"), ("number", "boolean"), ("boolean", "number"), ("integer", "boolean"), ("number", "text")],
)
def test_a_column_may_only_take_more_than_before(before: str, now: str) -> None:
    """2.9 is no whole number, and true is no number: the model server refuses what it would have to convert."""
    assert changes(takes(of_type(before)), takes(of_type(now))) == (f"column 'a' is {now} instead of {before}",)


def test_a_column_that_could_be_left_out_must_stay_so() -> None:
    """Callers who leave it out would be refused."""
    assert changes(takes("a", "b?"), takes("a", "b")) == ("column 'b' may not be left out any more",)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (Predictions("number", classes=CLASSES, probabilities=True), "predictions are number instead of string"),
        (Predictions("string", 2, CLASSES, True), "a prediction has 2 values instead of 1"),
        (Predictions("string", classes=CLASSES), "there are no probabilities any more"),
        (
            Predictions("string", classes=(*CLASSES, "x"), probabilities=True),
            "the classes are 'setosa', 'virginica', 'x' instead of 'setosa', 'virginica'",
        ),
        (
            Predictions("string", classes=CLASSES[::-1], probabilities=True),
            "the classes are 'virginica', 'setosa' instead of 'setosa', 'virginica'",
        ),
    ],
)
def test_answers_that_callers_would_read_wrongly_are_a_change(now: Predictions, found: str) -> None:
    """No counter shows these: every request is answered with 200."""
    assert changes(takes("a"), takes("a", answers=now)) == (found,)


def test_a_server_that_does_not_say_is_not_compared() -> None:
    """It is told, and it is no reason to refuse a model."""
    unknown = checked(Signatures(None, BEFORE), "models:/iris/1")
    assert unknown is not None
    assert (unknown.reason, unknown.message) == (
        "NotReported",
        "not compared with models:/iris/1: its model server does not report its columns at /metadata",
    )
    assert checked(None, "models:/iris/1") is None


def test_a_message_stays_short_however_many_columns_there_are() -> None:
    """A model of a thousand columns, all of which have other names."""
    one, other = (takes(*(f"{letter}{number}" for number in range(1000))) for letter in "ab")
    check = checked(Signatures(one, other), "models:/iris/1")
    assert check is not None
    assert check.message.endswith("column 'a5' is called 'b5' and 994 more changes")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        {"model": {"name": "iris"}},
        {"signature": {"inputs": "[]", "outputs": None}},
        {"signature": {"columns": "a", "predictions": None}},
        {"signature": {"columns": [], "predictions": None}},
    ],
)
def test_metadata_of_an_older_server_is_unknown(metadata: object) -> None:
    """Whatever an image answers, nothing is raised."""
    assert parse(msgspec.json.encode(metadata)) is None


def test_metadata_of_a_server_that_says_more_is_read() -> None:
    """Fields that this operator does not know are left out."""
    raw = {
        "signature": {
            "inputs": "[...]",
            "columns": [{"name": "a", "type": "number", "required": True, "unit": "cm"}],
            "predictions": {"type": "string", "values": 1, "classes": list(CLASSES), "probabilities": True},
        }
    }
    assert parse(msgspec.json.encode(raw)) == takes("a")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b'{"signature": ' + b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_unknown(body: bytes) -> None:
    """Also when it is nested deeper than any parser goes."""
    assert parse(body) is None
