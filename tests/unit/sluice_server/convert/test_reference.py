"""The rows on which two models are compared."""

from __future__ import annotations

import numpy as np

from sluice_server.convert.reference import reference_rows
from sluice_server.model.schema import Column, Kind, Schema

SCHEMA = Schema((Column("a", Kind.NUMBER), Column("b", Kind.INTEGER), Column("c", Kind.BOOLEAN)))
EXAMPLE = np.array([[0.123, 7.0, 1.0], [4.5, 8.0, 0.0]])
DIGEST = "sha256:00ff"


def test_rows_fit_the_schema_and_begin_with_the_example() -> None:
    """Whole numbers stay whole, booleans 0 or 1, and no value is missing where the model takes none."""
    rows = reference_rows(EXAMPLE, SCHEMA, (False, False, False), DIGEST)
    assert np.array_equal(rows[:2], EXAMPLE)
    assert np.array_equal(rows[:, 1], np.rint(rows[:, 1]))
    assert set(rows[:, 2]) == {0.0, 1.0}
    assert len(rows) > 2000


def test_values_are_missing_only_where_the_model_takes_that() -> None:
    """A third of such rows come on top."""
    rows = reference_rows(EXAMPLE, SCHEMA, (True, False, False), DIGEST)
    missing = np.isnan(rows)
    assert missing[:, 0].any()
    assert not missing[:, 1:].any()


def test_numbers_as_people_write_them_are_among_the_rows() -> None:
    """They are those that meet a threshold of a tree exactly."""
    rows = reference_rows(EXAMPLE, SCHEMA, (False, False, False), DIGEST)
    assert (rows[:, 0] == rows[:, 0].round(1)).mean() > 0.4


def test_the_same_digest_gives_the_same_rows() -> None:
    """Two pods prove the same; another model is proven on other rows."""
    first = reference_rows(EXAMPLE, SCHEMA, (True, True, True), DIGEST)
    assert np.array_equal(first, reference_rows(EXAMPLE, SCHEMA, (True, True, True), DIGEST), equal_nan=True)
    assert not np.array_equal(first, reference_rows(EXAMPLE, SCHEMA, (True, True, True), "sha256:aa"), equal_nan=True)


def test_a_missing_value_of_the_example_is_no_value() -> None:
    """A column far from 0 with a gap is spread as its values are, and not from 0; one without values is not spread."""
    schema = Schema((Column("far", Kind.INTEGER), Column("empty", Kind.NUMBER)))
    example = np.array([[1_000_000.0, np.nan], [1_000_100.0, np.nan], [np.nan, np.nan]])
    rows = reference_rows(example, schema, (False, False), DIGEST)
    last = rows[-512:, 0]  # spread as far as the values of the example are from each other
    assert 50 < np.nanstd(last) < 500
    assert np.isnan(rows[:, 1]).all()
