"""What a /predict body may look like, and which field is blamed when it does not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_server.http.dialects.plain import PlainDialect
from sluice_server.inference.rejection import Rejection, invalid
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Column, Kind, Schema

NUMBERS = Schema((Column("a", Kind.NUMBER), Column("b", Kind.NUMBER)))
MIXED = Schema((Column("n", Kind.NUMBER), Column("i", Kind.INTEGER), Column("t", Kind.BOOLEAN)))


def dialect(schema: Schema, max_rows: int = 10) -> PlainDialect:
    return PlainDialect(RowReader(schema, max_rows), Identity("iris", "3", "abcdefghij"))


PLAIN = dialect(NUMBERS)


def body(features: Any) -> bytes:
    return json.dumps({"features": features}).encode()


def matrix(reader: PlainDialect, content: bytes) -> Any:
    parsed = reader.parse(content)
    assert not isinstance(parsed, Rejection), parsed
    return parsed.rows.tolist()


def rejected(reader: PlainDialect, content: bytes) -> tuple[int, Any]:
    """Status and `detail` of the response."""
    rejection = reader.parse(content)
    assert isinstance(rejection, Rejection)
    return reader.status[rejection.cause], json.loads(reader.write_rejection(rejection))["detail"]


def fault(reader: PlainDialect, content: bytes) -> dict[str, Any]:
    code, detail = rejected(reader, content)
    assert code == 422
    assert isinstance(detail, list)
    found: dict[str, Any] = detail[0]
    return found


@pytest.mark.parametrize(
    "features",
    [
        [[1, 2.5], [3, 4]],
        {"a": [1, 3], "b": [2.5, 4]},
        {"b": [2.5, 4], "extra": ["x", "y"], "a": [1, 3]},
        [{"a": 1, "b": 2.5}, {"b": 4, "a": 3, "extra": None}],
    ],
)
def test_every_form_gives_the_same_matrix(features: Any) -> None:
    """Rows, columns and records are the same request; columns are taken by name, and unknown ones left out."""
    assert matrix(PLAIN, body(features)) == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize("features", [[1, 2], [[1, 2]], {"a": 1, "b": 2}, {"a": [1], "b": [2]}, [{"a": 1, "b": 2}]])
def test_one_row_has_five_spellings(features: Any) -> None:
    """A flat row and single values per column are one row."""
    assert matrix(PLAIN, body(features)) == [[1, 2]]


def test_mixed_columns_are_read_by_kind() -> None:
    """Whole numbers may be written as 2.0; booleans are true and false only."""
    assert matrix(dialect(MIXED), body([[0.5, 2.0, True]])) == [[0.5, 2, 1]]


@pytest.mark.parametrize(
    ("features", "location"),
    [
        ([[1, 2], [3]], ["body", "features", 1]),
        ([[1, 2], [3, 4, 5]], ["body", "features", 1]),
        ([[1, "2"]], ["body", "features", 0, 1]),
        ([[1, None]], ["body", "features", 0, 1]),
        ([[1, True]], ["body", "features", 0, 1]),
        ([[1, [2]]], ["body", "features", 0, 1]),
        ([[1, 1e39]], ["body", "features", 0, 1]),
        ([[1, 2], 3], ["body", "features", 1]),
        ([1, 2, 3], ["body", "features"]),
        ([{"a": 1}], ["body", "features", 0, "b"]),
        ([{"a": 1, "b": 2}, [1, 2]], ["body", "features", 1]),
        ([{"a": 1, "b": "x"}], ["body", "features", 0, "b"]),
        ({"a": [1]}, ["body", "features", "b"]),
        ({"a": [1, 2], "b": [1]}, ["body", "features", "b"]),
        ({"a": [1], "b": [None]}, ["body", "features", "b", 0]),
        ([], ["body", "features"]),
        ([[]], ["body", "features", 0]),
        ({"a": [], "b": []}, ["body", "features"]),
        ("text", ["body", "features"]),
        (None, ["body", "features"]),
    ],
)
def test_the_field_at_fault_is_named(features: Any, location: list[str | int]) -> None:
    """Wrong shapes and types are answered in FastAPI's shape, with the place of the first fault."""
    found = fault(PLAIN, body(features))
    assert found["loc"] == location
    assert found["msg"]
    assert found["type"]


@pytest.mark.parametrize(
    ("row", "location", "kind"),
    [
        ([1, 2.9, True], 1, "int_from_float"),
        ([1, 2**53, True], 1, "too_large"),
        ([1, True, True], 1, "float_type"),
        ([1, 2, 1], 2, "bool_type"),
        ([1, 2, "true"], 2, "bool_type"),
    ],
)
def test_nothing_is_cast_with_loss(row: list[Any], location: int, kind: str) -> None:
    """2.9 is no integer, 1 no boolean, and integers that a float cannot hold are refused."""
    found = fault(dialect(MIXED), body([row]))
    assert (found["loc"][-1], found["type"]) == (location, kind)


TEXT = dialect(Schema((Column("0", Kind.TEXT),)))


def test_one_text_is_sent_by_itself() -> None:
    """Or several of them; the general form is taken as well."""
    assert matrix(TEXT, b'{"text": "good wine"}') == [["good wine"]]
    assert matrix(TEXT, b'{"text": ["good", "bad"]}') == [["good"], ["bad"]]
    assert matrix(TEXT, body([["good"], ["bad"]])) == [["good"], ["bad"]]


def test_text_is_a_field_for_models_of_one_text_only() -> None:
    """A fault names the place in the field."""
    assert fault(TEXT, b'{"text": ["good", 7]}')["loc"] == ["body", "text", "0", 1]
    assert fault(TEXT, b'{"text": "good", "features": []}')["loc"] == ["body", "text"]
    assert fault(PLAIN, b'{"text": "good"}')["type"] == "missing"


def test_integers_only_are_checked_on_the_short_way_too() -> None:
    """A plain matrix with an integer column is refused for 2.9 as well."""
    reader = dialect(Schema((Column("i", Kind.INTEGER), Column("n", Kind.NUMBER))))
    assert matrix(reader, body([[2, 0.5]])) == [[2, 0.5]]
    assert fault(reader, body([[2.9, 0.5]]))["type"] == "int_from_float"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1, 2]",
        b"3",
        b"{}",
        b'{"feature": [[1, 2]]}',
        b'{"features": [[1, 2]], "other": 1}',
        b'{"features": [[1, NaN]]}',
        b'{"features": [[1, Infinity]]}',
        b'{"features": [[1, 1e999]]}',
        b'{"features": [[1, -1e999]]}',
        b'{"features": [[1, 1' + b"0" * 400 + b"]]}",
        b'{"features": ' + b"[" * 1_030,
        b'{"features": ' + b'{"a":' * 1_030,
    ],
)
def test_hostile_bodies_are_unprocessable(content: bytes) -> None:
    """No JSON, no object, misspelt fields, NaN, infinity, giant numbers and deep nesting never raise."""
    assert fault(PLAIN, content)["loc"][0] == "body"


@pytest.mark.parametrize("features", [[[1, 2]] * 11, [{"a": 1, "b": 2}] * 11, {"a": [1] * 11, "b": [1] * 11}])
def test_too_many_rows_are_413_with_both_numbers(features: Any) -> None:
    """The limit holds for every form."""
    code, detail = rejected(PLAIN, body(features))
    assert code == 413
    assert "11 rows" in str(detail)
    assert "10 is the limit" in str(detail)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "features"]), inner),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_read_or_rejected(features: Any) -> None:
    """Whatever comes, the answer is a finite matrix of the right width or a rejection."""
    outcome = PLAIN.parse(body(features))
    if not isinstance(outcome, Rejection):
        assert outcome.rows.shape[1] == 2
        assert np.isfinite(outcome.rows).all()


LABELLED = dialect(Schema((Column("a", Kind.TEXT), Column("b", Kind.NUMBER))))


@given(JSON)
def test_any_json_is_text_beside_numbers_or_rejected(features: Any) -> None:
    """Cells have the type of their column, whatever comes."""
    outcome = LABELLED.parse(body(features))
    if not isinstance(outcome, Rejection):
        assert [tuple(map(type, row)) for row in outcome.rows] == [(str, float)] * len(outcome.rows)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_rejected(content: bytes) -> None:
    """Bytes that are no JSON are rejected and never raise."""
    assert isinstance(PLAIN.parse(content), Rejection)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"features": "\xff"}', "not UTF-8"),
        (b'{"\xff": 1}', "not UTF-8"),
        (b'{"features": {"\xff": 1}}', "not UTF-8"),
        (b'{"features": "\\ud800"}', "not JSON"),
        (b'{"features": [[NaN, 1]]}', "JSON, which has no NaN: send null where a value may be missing"),
        (b'{"features": [[1,-Infinity]]}', "JSON, which has no -Infinity: send a number"),
        (b"[" * 1_030, "nested too deeply"),
        (b'\xef\xbb\xbf{"features": [[1, 2]]}', "no byte order mark: send UTF-8 without one"),
        ('{"features": [[1, 2]]}'.encode("utf-16"), "not UTF-8"),
        ('{"features": [[1, 2]]}'.encode("utf-16-be"), "not UTF-8"),
    ],
)
def test_what_is_no_json_is_told_why(content: bytes, words: str) -> None:
    """Whatever bytes come, the client learns what is wrong with them."""
    assert words in fault(PLAIN, content)["msg"]


@pytest.mark.parametrize("part", [b"[]", b"{}", b'{"x":[{}]}'])
def test_more_lists_than_rows_need_are_not_made(part: bytes) -> None:
    """A million lists stop all other requests for a second; they are counted in a thousandth of that."""
    code, detail = rejected(PLAIN, b'{"features": [' + b",".join([part] * 2_000) + b"]}")
    assert (code, "more lists and objects than 10 rows need" in detail) == (413, True)


def test_what_is_wrong_with_no_single_value_is_wrong_with_the_body() -> None:
    """As where the model has no finite answer to a row: clients of FastAPI expect that a place is never empty."""
    written = PLAIN.write_rejection(invalid((), "value_error", "the model's answer for row 0 is infinite"))
    assert json.loads(written)["detail"][0]["loc"] == ["body"]
