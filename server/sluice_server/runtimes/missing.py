"""In which columns a model takes missing values: asked of the model itself, because no library tells it of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import Rows

_TOGETHER = 256  # columns: one row for each of them
_TRIES = 100  # a model that takes them in some columns only is asked column by column, as far as this goes


def nullable(predict: Callable[[Rows], object], example: Rows) -> tuple[bool, ...]:
    """For each column, whether `predict` answers the first row of `example` without its value, and raises nothing."""
    width = example.shape[1]
    found = np.zeros(width, dtype=bool)
    waiting = deque(np.array_split(np.arange(width), -(-width // _TOGETHER)))
    for _ in range(_TRIES):
        if not waiting:
            break
        columns = waiting.popleft()
        if _answers(predict, example[0], columns):
            found[columns] = True
        elif len(columns) > 1:
            waiting.extend(np.array_split(columns, 2))
    return tuple(found.tolist())


def _answers(predict: Callable[[Rows], object], row: Rows, columns: NDArray[np.intp]) -> bool:
    rows = np.tile(row, (len(columns), 1))
    rows[np.arange(len(columns)), columns] = np.nan
    try:
        predict(rows)
    except Exception:  # in whichever way a model says no
        return False
    return True
