"""MLflow's scoring protocol: each form is the same request, and what does not fit is told in MLflow's shape."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from sluice_server.http.dialects.mlflow_scoring import MlflowDialect
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Column, Kind, Schema
from tests.unit.growth import LINEAR, growth

NAMED = Schema((Column("a", Kind.NUMBER), Column("i", Kind.INTEGER), Column("t", Kind.BOOLEAN)))
UNNAMED = Schema((Column("0", Kind.NUMBER), Column("1", Kind.NUMBER)))
ONE = Schema((Column("x", Kind.NUMBER),))
ROWS = [[0.5, 2, 1], [1.5, 3, 0]]
RECORDS = [{"a": 0.5, "i": 2, "t": True}, {"t": False, "a": 1.5, "i": 3}]


def dialect(schema: Schema = NAMED, missing: bool = False) -> MlflowDialect:
    rows = RowReader(schema, 10)
    rows.allow_missing([missing] * len(schema.columns))
    return MlflowDialect(rows, Identity("iris", "3", "abcdefghij"))


def rows(reader: MlflowDialect, content: Any, content_type: str = "application/json") -> Any:
    parsed = reader.parse(content if isinstance(content, bytes) else json.dumps(content).encode(), content_type)
    assert not isinstance(parsed, Rejection), parsed
    return parsed.rows.tolist()


def rejected(reader: MlflowDialect, content: Any, content_type: str = "application/json") -> tuple[int, str, str]:
    parsed = reader.parse(content if isinstance(content, bytes) else json.dumps(content).encode(), content_type)
    assert isinstance(parsed, Rejection)
    told = json.loads(reader.write_rejection(parsed))
    return reader.status[parsed.cause], told["error_code"], told["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "i", "t"], "data": [[0.5, 2, True], [1.5, 3, False]]}},
        {"dataframe_split": {"columns": ["t", "a", "i"], "index": [7, 8], "data": [[True, 0.5, 2], [False, 1.5, 3]]}},
        {"dataframe_split": {"columns": ["t", "x", "a", "i"], "data": [[True, "?", 0.5, 2], [False, None, 1.5, 3]]}},
        {"dataframe_split": {"data": [[0.5, 2, True], [1.5, 3, False]]}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"instances": [[0.5, 2, True], [1.5, 3, False]]},
        {"inputs": {"a": [0.5, 1.5], "t": [True, False], "i": [2, 3]}},
        {"inputs": RECORDS, "params": {"temperature": 1}},
    ],
)
def test_each_form_is_the_same_request(body: Any) -> None:
    """Columns are taken by name where there are names."""
    assert rows(dialect(), body) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        b"a,i,t\n0.5,2,true\n1.5,3,False\n",
        b"t,x,i,a\r\nTRUE,?,2,.5\r\nfalse,,3.0,15e-1",
        b'\xef\xbb\xbf"a","i","t"\n 0.5,2 ,true\n\n1.5,3,false\n',
    ],
)
def test_csv_is_a_table_with_names(text: bytes) -> None:
    """As pandas and spreadsheets write it."""
    assert rows(dialect(), text, "text/csv; charset=utf-8") == ROWS


def test_text_in_csv_stays_as_it_is() -> None:
    """Spaces, numbers and what other columns take for missing; only an empty text is missing."""
    schema = Schema((Column("city", Kind.TEXT), Column("at", Kind.DATE)))
    text = b'city,at\n NA ,2025-01-31\n"1,5",2025-02-01T10:00\n,\n'
    first, second, third = rows(dialect(schema, missing=True), text, "text/csv")
    assert first == [" NA ", datetime(2025, 1, 31)]
    assert second == ["1,5", datetime(2025, 2, 1, 10)]
    assert all(math.isnan(cell) for cell in third)


def test_columns_without_names_are_taken_by_place() -> None:
    """A model that was fitted on a matrix has no names, whatever the table says."""
    for body in ({"instances": [[1, 2]]}, {"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2]]}}):
        assert rows(dialect(UNNAMED), body) == [[1, 2]]
    assert rows(dialect(UNNAMED), b"p,q\n1,2\n", "text/csv") == [[1, 2]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ({"dataframe_split": {"columns": ["1", "0"], "data": [[2, 1]]}}, "application/json"),
        ({"dataframe_split": {"columns": [1, 0], "data": [[2, 1]]}}, "application/json"),
        ({"dataframe_split": {"columns": ["index", "0", "1"], "data": [[9, 1, 2]]}}, "application/json"),
        ({"dataframe_records": [{"1": 2, "0": 1}]}, "application/json"),
        (b"1,0\n2,1\n", "text/csv"),
        (b",0,1\n9,1,2\n", "text/csv"),
    ],
)
def test_names_that_are_numbers_are_names(body: Any, content_type: str) -> None:
    """A table in another order, or with the index that pandas writes, is the same request in every form."""
    assert rows(dialect(UNNAMED), body, content_type) == [[1, 2]]


@pytest.mark.parametrize("names", [["i", "p", "q"], ["p"], ["1", "2", "3"], ["1", "zero"], ["index", "0"]])
def test_columns_without_names_are_never_shifted(names: list[str]) -> None:
    """By place, a table of another width would put each value into the wrong column."""
    row = list(range(len(names)))
    split = {"dataframe_split": {"columns": names, "data": [row]}}
    text = f"{','.join(names)}\n{','.join(map(str, row))}\n".encode()
    for body, content_type in ((split, "application/json"), (text, "text/csv")):
        code, _, message = rejected(dialect(UNNAMED), body, content_type)
        assert (code, "needs 2 columns" in message) == (400, True), message


@pytest.mark.parametrize("schema", [UNNAMED, Schema((Column("a", Kind.NUMBER), Column("b", Kind.NUMBER)))])
def test_a_name_that_comes_twice_is_refused(schema: Schema) -> None:
    """Nobody can tell which of the columns is meant; twice is fine what the model does not use."""
    one, two = schema.names
    split = {"dataframe_split": {"columns": [one, two, one], "data": [[1, 2, 3]]}}
    text = f"{one},{two},{one}\n1,2,3\n".encode()
    for body, content_type in ((split, "application/json"), (text, "text/csv")):
        code, _, message = rejected(dialect(schema), body, content_type)
        assert (code, f"2 columns have the name {one!r}" in message) == (400, True), message
    assert rows(dialect(schema), f"x,{two},x,{one}\n9,2,9,1\n".encode(), "text/csv") == [[1, 2]]


def test_single_values_are_rows_of_one_column() -> None:
    """And no row of several columns."""
    assert rows(dialect(ONE), {"instances": [1, 2, 3]}) == [[1], [2], [3]]
    assert rejected(dialect(), {"instances": [0.5, 2, True]})[0] == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"dataframe_split": {"columns": ["0", "1"], "data": [[NaN, 1]]}}', "application/json"),
        (b'{"instances": [[null, 1]]}', "application/json"),
        (b"a,b\n,1\n", "text/csv"),
        (b"a,b\nNaN,1\n", "text/csv"),
    ],
)
def test_missing_values_are_taken_where_the_model_takes_them(body: bytes, content_type: str) -> None:
    """MLflow's own client sends them as NaN, which is no JSON."""
    ((missing, there),) = rows(dialect(UNNAMED, missing=True), body, content_type)
    assert math.isnan(missing)
    assert there == 1
    code, _, message = rejected(dialect(UNNAMED), body, content_type)
    assert (code, "null" in message) == (400, True)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"dataframe_split": {"columns": ["a", "i", "t"], "data": [[0.5, 2.9, True]]}}, "dataframe_split.data[0][1]: "),
        ({"dataframe_split": {"columns": ["t", "a", "i"], "data": [[1, 0.5, 2]]}}, "dataframe_split.data[0].t: "),
        ({"dataframe_split": {"columns": ["t", "a"], "data": [[True, 0.5]]}}, "dataframe_split.data[0].i: "),
        ({"dataframe_split": {"columns": ["t", "a", "i"], "data": [[True]]}}, "dataframe_split.data[0]: "),
        ({"dataframe_split": {"columns": 3, "data": []}}, "dataframe_split.columns: "),
        ({"dataframe_split": [1]}, "dataframe_split: "),
        ({"dataframe_records": [{"a": 1}]}, "dataframe_records[0].i: "),
        ({"dataframe_records": []}, "dataframe_records: "),
        ({"inputs": {"a": ["1"], "i": [1], "t": [True]}}, "inputs.a[0]: "),
        ({"instances": [[0.5, 2, True], [0.5]]}, "instances[1]: "),
        ({"instances": [[1e39, 2, True]]}, "instances[0][0]: "),
        ({}, "the body must have one of"),
        ({"instances": [[1, 2, True]], "inputs": []}, "the body must have one of"),
        ({"instances": [[1, 2, True]], "features": []}, "the body must have one of"),
        ([1], "the body must be an object"),
        (b"{", "the body is not JSON"),
        (b'{"instances": "\xff"}', "the body is not JSON: it is not UTF-8"),
        (b'{"instances": [[Infinity, 2, true]]}', "instances[0][0]: "),
    ],
)
def test_what_does_not_fit_is_a_400_with_its_place(body: Any, place: str) -> None:
    """In MLflow's shape: a code and a message."""
    code, error, message = rejected(dialect(), body)
    assert (code, error) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith(place)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a,i,t\n0.5,2\n", "[0]: the line has 2 values"),
        (b"a,i,t\n0.5,2.9,true\n", "[0].i: "),
        (b"a,i,t\n0.5,1_0,true\n", "[0].i: "),
        (b"a,i,t\n0.5,2,1\n", "[0].t: "),
        (b"a,i\n0.5,2\n", "[0].t: the column 't' is required"),
        (b"a,i,t\n", "at least one row"),
        (b"", "at least one row"),
        (b"a,i,t\n\xff", "not UTF-8"),
        (b'a,i,t\n"0.5"x,2,true', "not CSV"),
    ],
)
def test_csv_that_does_not_fit_is_told_by_its_line(text: bytes, words: str) -> None:
    """Nothing is guessed: text is no number."""
    code, _, message = rejected(dialect(), text, "text/csv")
    assert (code, words in message) == (400, True), message


@pytest.mark.parametrize("cell", ["{}x", "{}.{}x", ".{}x", "1e{}x", "{}e{}.", "{}"])
def test_a_cell_of_digits_takes_no_more_time_than_it_has_length(cell: str) -> None:
    """One of 40 kB, no number in the end, once stopped everything else for half a minute."""
    reader = dialect()

    def read(length: int) -> object:
        return rejected(reader, f"a,i,t\n{cell.replace('{}', '1' * length)},2,true\n".encode(), "text/csv")

    assert growth(read) < LINEAR


def test_a_table_of_far_too_many_columns_is_refused_by_their_number() -> None:
    """Two million names took a second, in which nobody else was answered. Some more than the model has may be there."""
    names, body = ["a", "i", "t"] + [f"x{at}" for at in range(10_000)], b"0.5,2,true" + b",1" * 10_000
    for more, code in (([], 0), (["y"], 400)):
        columns = names + more
        split = {"dataframe_split": {"columns": columns, "data": [[0.5, 2, True] + [1] * (len(columns) - 3)]}}
        csv = ",".join(columns).encode() + b"\n" + body + b",1" * len(more)
        for content, kind in ((split, "application/json"), (csv, "text/csv")):
            if code:
                assert "the table has 10004 columns, and 10003 is the limit" in rejected(dialect(), content, kind)[2]
            else:
                assert rows(dialect(), content, kind) == [[0.5, 2, 1]]


def test_a_search_for_nan_takes_no_more_time_than_the_body_has_length() -> None:
    """A pattern for it stopped at each of 4 MB of spaces, for a second."""
    assert growth(lambda length: rejected(dialect(), b" " * length + b"NaN")) < LINEAR
    assert growth(lambda length: rejected(dialect(), b"NaN" * length)) < LINEAR


def test_a_number_in_csv_has_a_longest_length() -> None:
    """All doubles have room in it, with some digits behind the point."""
    longest = f"0.{'5' * 398}".encode()
    assert rows(dialect(), b"a,i,t\n%b,2,true" % longest, "text/csv") == [[5 / 9, 2, 1]]
    code, _, message = rejected(dialect(), b"a,i,t\n%b5,2,true" % longest, "text/csv")
    assert (code, "'a' needs a number, not a string" in message) == (400, True)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"a;i;t\n0,5;2;true\n", "'a;i;t'"),
        (b"a\ti\tt\n0.5\t2\ttrue\n", r"'a\ti\tt'"),
        (b"0.5,2,true\n1.5,3,false\n", "'0.5', '2', 'true'"),
    ],
    ids=["semicolons", "tabs", "no names"],
)
def test_a_first_line_without_names_is_told_as_it_was_read(text: bytes, read: str) -> None:
    """Its client sees which commas or names are missing."""
    code, _, message = rejected(dialect(), text, "text/csv")
    assert code == 400
    assert message.startswith(f"the first line has none of the model's columns ('a', 'i', 't'), but {read}: ")


@pytest.mark.parametrize("body", [{"dataframe_records": [{"p": 1, "q": 2}]}, {"inputs": {"p": [1], "q": [2]}}])
def test_names_for_a_model_without_them_are_told_what_to_send(body: Any) -> None:
    """An object has no order by which its values could be taken."""
    code, _, message = rejected(dialect(UNNAMED), body)
    assert (code, "send rows as lists in their order" in message) == (400, True), message


def test_limits_are_413() -> None:
    """Of rows, and of lists and objects, before they are made."""
    assert rejected(dialect(), b"a,i,t\n" + b"1,2,true\n" * 11, "text/csv")[:2] == (413, "REQUEST_LIMIT_EXCEEDED")
    assert rejected(dialect(), b"a,i,t\r" + b"1,2,true\r" * 11, "text/csv")[0] == 413
    assert rows(dialect(), b"a,i,t\r\n" + b"1,2,true\r\n" * 10, "text/csv") == [[1, 2, 1]] * 10
    assert rejected(dialect(), {"instances": [[0.5, 2, True]] * 11})[0] == 413
    assert rejected(dialect(), b'{"instances": [' + b",".join([b"[]"] * 2_000) + b"]}")[0] == 413


def test_every_cell_of_a_table_arrives() -> None:
    """A table as pandas writes it, in any order of columns."""
    names = [f"c{number}" for number in range(30)]
    schema = Schema(tuple(Column(name, Kind.NUMBER) for name in names))
    values = np.random.default_rng(0).normal(size=(7, 30))
    order = np.random.default_rng(1).permutation(30)
    split = {"columns": [names[at] for at in order], "data": values[:, order].tolist()}
    assert rows(dialect(schema), {"dataframe_split": split}) == values.tolist()


def test_half_of_a_surrogate_pair_is_no_text_beside_nan_either() -> None:
    """Python's JSON, which has NaN, takes it, and nothing could write it again: no answer, no log."""
    schema = Schema((Column("t", Kind.TEXT), Column("n", Kind.NUMBER, required=False)))
    whole = rows(dialect(schema, missing=True), b'{"instances": [["\\ud83d\\ude00", NaN]]}', "application/json")
    assert whole[0][0] == "\U0001f600"
    code, _, message = rejected(dialect(schema, missing=True), b'{"instances": [["\\ud800", NaN]]}', "application/json")
    assert (code, "JSON" in message) == (400, True)
