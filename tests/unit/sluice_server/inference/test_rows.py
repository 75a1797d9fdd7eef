"""Which values fit a schema, however they are spelt as bytes; more faults are in the tests of the dialects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sluice_server.inference.rejection import Cause, Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.schema import Column, Kind, Schema

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
