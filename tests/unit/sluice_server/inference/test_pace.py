"""Which models the event loop may run itself."""

from __future__ import annotations

import numpy as np
import pytest

from sluice_server.inference.pace import WITHIN, Pace, measure
from sluice_server.model.schema import Rows


class Model:
    """Takes `per_pass` seconds for a pass and `per_row` for each of its rows, by a clock of its own."""

    def __init__(self, per_pass: float, per_row: float) -> None:
        self._per_pass, self._per_row = per_pass, per_row
        self.now = 0.0

    def predict(self, rows: Rows) -> None:
        assert (rows[:, 1] == 2.0).all()
        self.now += self._per_pass + self._per_row * len(rows)

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("per_pass", "per_row", "rows"),
    [(WITHIN / 100, 0, 1024), (WITHIN / 2, WITHIN / 100, 16), (WITHIN / 2, WITHIN, 0), (2 * WITHIN, 0, 0)],
)
def test_the_loop_runs_what_it_need_not_wait_for(per_pass: float, per_row: float, rows: int) -> None:
    """As many rows as were answered within a millisecond; none of a model that takes longer for one."""
    model = Model(per_pass, per_row)
    assert measure(model.predict, np.array([[1.0, 2.0], [3.0, 2.0]]), model.clock).rows == rows


@pytest.mark.parametrize(("disturbed", "rows"), [(9, 1024), (10, 0)])
def test_one_of_ten_passes_has_to_be_soon_enough(disturbed: int, rows: int) -> None:
    """The node of a pod that starts has other things to do, and the model is as fast as ever."""
    pauses = [2 * WITHIN] * disturbed
    model = Model(WITHIN / 10, 0)

    def predict(rows: Rows) -> None:
        model.predict(rows)
        model.now += pauses.pop() if pauses else 0

    assert measure(predict, np.array([[1.0, 2.0]]), model.clock).rows == rows


def test_a_slow_model_is_not_asked_again_and_again() -> None:
    """Or it would take the longer to be ready the slower it is."""
    model = Model(1.0, 0)
    assert measure(model.predict, np.array([[1.0, 2.0]]), model.clock).rows == 0
    assert model.now == 1.0


def test_the_loop_waits_no_more_for_a_model_that_has_become_slow() -> None:
    """Three late passes are enough; one by itself, as a pause of the machine may make it, changes nothing."""
    pace = Pace(64)
    for late in (True, *[False] * 1_000, True, *[False] * 500, True):
        pace.passed(0.5 if late else 0.0001)
    assert pace.rows == 64
    pace.passed(0.5)
    assert pace.rows == 0
