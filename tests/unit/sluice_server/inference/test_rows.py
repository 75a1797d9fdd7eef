"""Which values fit a schema, however they are spelt as bytes; more faults are in the tests of the dialects."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from sluice_server.inference.rejection import Cause, Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.schema import Column, Kind, Schema, parse_inputs

MIXED = RowReader(
    Schema(
        (Column("city", Kind.TEXT), Column("age", Kind.NUMBER), Column("at", Kind.DATE), Column("old", Kind.BOOLEAN))
    ),
    5,
)
READER = RowReader(Schema((Column("a", Kind.NUMBER), Column("b", Kind.INTEGER))), 2)


@pytest.mark.parametrize("values", [[1.5, 2], [[1.5, 2]], {"a": 1.5, "b": 2}, [{"a": 1.5, "b": 2}]])
def test_values_become_a_matrix_in_the_order_of_the_schema(values: Any) -> None:
    """A row, rows, columns and records."""
    rows = READER.read(values)
    assert not isinstance(rows, Rejection)
    assert rows.dtype == np.float64
    assert rows.tolist() == [[1.5, 2]]


@pytest.mark.parametrize(
    ("values", "location", "kind"),
    [
        (3, (), "list_type"),
        ([[1, 2], [1, 2.5]], (1, 1), "int_from_float"),
        ([{"a": 1}], (0, "b"), "missing"),
        ({"a": [None], "b": [1]}, ("a", 0), "float_type"),
    ],
)
def test_the_way_to_the_first_fault_begins_inside_of_the_values(values: Any, location: Any, kind: str) -> None:
    """Where the values lie in a body is known to the dialect, which puts its own way before."""
    rejection = READER.read(values)
    assert isinstance(rejection, Rejection)
    assert (rejection.cause, rejection.location, rejection.kind) == (Cause.INVALID, location, kind)
    assert rejection.below("body", "features").location == ("body", "features", *location)


def test_a_matrix_is_read_at_once_or_left_to_be_walked() -> None:
    """The short way decides what it can, and never names a fault."""
    assert READER.read_matrix([[1, 2.5]]) is None
    assert READER.read_matrix([[1]]) is None
    assert READER.read_matrix([]) is None
    too_many = READER.read_matrix([[1, 2]] * 3)
    assert isinstance(too_many, Rejection)
    assert too_many.cause is Cause.TOO_LARGE


SINGLE = '{"name": "s", "type": "float"}'


@pytest.mark.parametrize("values", [[[0.1, 0.1]], [[0.1, 0.1]] * 9, [{"s": 0.1, "d": 0.1}], {"s": [0.1], "d": [0.1]}])
@pytest.mark.parametrize("text", ["", ', {"name": "t", "type": "string", "required": false}'], ids=["numbers", "text"])
def test_numbers_are_rounded_to_the_type_of_their_column(values: Any, text: str) -> None:
    """On the short way and on the long one, beside text too; a double stays as it is."""
    reader = RowReader(parse_inputs(f'[{SINGLE}, {{"name": "d", "type": "double"}}{text}]'), 10)
    if text:
        reader.allow_missing([True] * 3)
        values = (
            [[*row, None] for row in values] if isinstance(values, list) and isinstance(values[0], list) else values
        )
    rows = reader.read(values)
    assert not isinstance(rows, Rejection)
    assert set(map(tuple, rows[:, :2].tolist())) == {(float(np.float32(0.1)), 0.1)}
    assert {type(cell) for cell in rows[:, :2].ravel().tolist()} == {float}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_tensors_are_rounded_as_a_whole(dtype: str) -> None:
    """What is missing stays missing, and what a type cannot hold is refused before."""
    tensor = f'[{{"type": "tensor", "tensor-spec": {{"dtype": "{dtype}", "shape": [-1, 2]}}}}]'
    reader = RowReader(parse_inputs(tensor), 10)
    reader.allow_missing([True, True])
    rows = reader.read([[0.1, None]])
    assert not isinstance(rows, Rejection)
    assert np.array_equal(rows, np.array([[0.1, np.nan]], dtype).astype(np.float64), equal_nan=True)
    assert isinstance(reader.read([[0.1, 65_505 if dtype == "float16" else 3.5e38]]), Rejection)


def test_text_and_dates_make_rows_of_objects() -> None:
    """Numbers and booleans beside them are floats; a date with a time zone is the same moment in UTC."""
    rows = MIXED.read([["ulm", 3, "2025-01-31T12:30:00+02:00", True], ["", 0.5, "2025-01-31", False]])
    assert not isinstance(rows, Rejection)
    assert rows.dtype == object
    assert rows.tolist() == [["ulm", 3.0, datetime(2025, 1, 31, 10, 30), 1.0], ["", 0.5, datetime(2025, 1, 31), 0.0]]
    assert not MIXED.takes_matrix


@pytest.mark.parametrize(
    ("row", "column", "kind"),
    [
        ([7, 3, "2025-01-31", True], "city", "string_type"),
        ([None, 3, "2025-01-31", True], "city", "string_type"),
        (["ulm", "3", "2025-01-31", True], "age", "float_type"),
        (["ulm", 3, 1738326600, True], "at", "datetime_type"),
        (["ulm", 3, "31.1.2025", True], "at", "datetime_parsing"),
        (["ulm", 3, "9999-12-31T23:59:59-10:00", True], "at", "datetime_parsing"),
        (["ulm", 3, "2025-01-31", 1], "old", "bool_type"),
    ],
)
def test_no_type_is_taken_for_another(row: list[Any], column: str, kind: str) -> None:
    """A number is no text and no date, and text that looks like a number stays text."""
    rejection = MIXED.read([dict(zip(MIXED.schema.names, row, strict=True))])
    assert isinstance(rejection, Rejection)
    assert (rejection.location, rejection.kind) == ((0, column), kind)


def test_a_missing_text_is_nan_as_in_a_table() -> None:
    """Where the model takes it; required whole numbers and booleans are never missing."""
    reader = RowReader(MIXED.schema, 5)
    reader.allow_missing([True] * 4)
    assert reader.nullable == (True, True, True, False)
    rows = reader.read([[None, None, None, True]])
    assert not isinstance(rows, Rejection)
    assert all(math.isnan(cell) for cell in rows[0, :3])


@pytest.mark.parametrize("count", [1, 8, 9, 100])
@pytest.mark.parametrize("missing", [False, True])
def test_a_matrix_is_the_same_however_many_rows_it_has(count: int, missing: bool) -> None:
    """Many rows are read in another way than a few."""
    reader = RowReader(Schema((Column("a", Kind.NUMBER), Column("b", Kind.INTEGER))), 100)
    reader.allow_missing([True, True])
    matrix: list[list[float | None]] = [[row / 2, row] for row in range(count)]
    if missing:
        matrix[-1][0] = None
    rows = reader.read_matrix(matrix)
    assert isinstance(rows, np.ndarray)
    expected = [[math.nan if value is None else value for value in row] for row in matrix]
    np.testing.assert_array_equal(rows, np.array(expected))
    assert reader.read_matrix([*matrix[1:], [1, 2.5]]) is None


@pytest.mark.parametrize("value", [True, "1", [1], {}, 10**400, None, math.nan, 2**53])
def test_what_is_no_number_is_found_among_numbers(value: Any) -> None:
    """Nothing becomes a number on the short way, and the message names its place."""
    reader = RowReader(Schema((Column("a", Kind.NUMBER), Column("b", Kind.INTEGER))), 100)
    found = reader.read([[1.5, 2]] * 50 + [[1, value]])
    assert isinstance(found, Rejection)
    assert (found.cause, found.location) == (Cause.INVALID, (50, 1))


TENSOR = '[{{"type": "tensor", "tensor-spec": {{"dtype": "{}", "shape": [-1, 1]}}}}]'


@pytest.mark.parametrize(
    ("inputs", "fits", "beyond", "told"),
    [
        ('[{"name": "a", "type": "integer"}]', 2**31 - 1, 3_000_000_000, "int32, which goes from -2147483648 to"),
        (TENSOR.format("uint8"), 255, 300, "uint8, which goes from 0 to 255"),
        (TENSOR.format("uint64"), 2**53 - 1, -1, "uint64"),
        (TENSOR.format("int8"), -128, -129, "int8, which goes from -128 to 127"),
        (TENSOR.format("float16"), 65504.0, 100_000.5, "float16, which goes from -65504 to 65504"),
    ],
)
def test_a_number_that_its_type_cannot_hold_is_refused(inputs: str, fits: float, beyond: float, told: str) -> None:
    """It would reach the model as another number: 300 is 44 as uint8."""
    schema = parse_inputs(inputs)
    reader = RowReader(schema, 2)
    assert reader.read_matrix([[beyond]]) is None
    for rejection in (reader.read([[beyond]]), reader.read([{schema.names[0]: beyond}])):
        assert isinstance(rejection, Rejection)
        assert (rejection.kind, told in rejection.message) == ("out_of_range", True), rejection.message
    for rows in (reader.read_matrix([[fits]]), reader.read([{schema.names[0]: fits}])):
        assert isinstance(rows, np.ndarray)
        assert rows.tolist() == [[fits]]


def test_a_date_that_is_missing_may_have_the_name_that_pandas_gives_it() -> None:
    """MLflow's client sends NaT; a text of this name stays one."""
    reader = RowReader(Schema((Column("at", Kind.DATE), Column("s", Kind.TEXT))), 2)
    assert isinstance(reader.read([["NaT", "NaT"]]), Rejection)
    reader.allow_missing([True, True])
    rows = reader.read([["NaT", "NaT"]])
    assert not isinstance(rows, Rejection)
    assert math.isnan(rows[0, 0])
    assert rows[0, 1] == "NaT"
