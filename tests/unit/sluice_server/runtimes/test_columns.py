"""How the columns of a signature meet those that a model was fitted with."""

from __future__ import annotations

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.columns import places

UNNAMED = Schema((Column("0", Kind.NUMBER), Column("1", Kind.NUMBER)))


def test_names_that_are_numbers_put_columns_in_order() -> None:
    """A table with the columns "1" and "0" was fitted in that order, and a matrix under other names in its own."""
    assert places(UNNAMED, ("1", "0"), 2) == (1, 0)
    assert places(UNNAMED, ("0", "1"), 2) is None
    assert places(UNNAMED, ("p", "q"), 2) is None
