"""In which columns a model takes missing values."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_server.model.schema import Rows
from sluice_server.runtimes.missing import nullable


@pytest.mark.parametrize("width", [1, 7, 256, 257, 1_000])
@pytest.mark.parametrize("needed", [[], [0], [0, 3]])
def test_columns_are_told_apart_by_asking(width: int, needed: list[int]) -> None:
    """Whatever the model raises where a value is missing means no."""
    needed = [column for column in needed if column < width]

    def predict(rows: Rows) -> None:
        if np.isnan(rows[:, needed]).any():
            raise KeyError("a value is missing")

    found = nullable(predict, np.ones((2, width)))
    assert [column for column, takes in enumerate(found) if not takes] == needed


def test_it_is_asked_a_bounded_number_of_times() -> None:
    """A wide model that takes no missing values at all is not asked once for each column."""
    asked = 0

    def predict(_: Rows) -> None:
        nonlocal asked
        asked += 1
        raise ValueError("no")

    assert not any(nullable(predict, np.ones((1, 5_000))))
    assert asked <= 100
