"""One model as people log it: how it is saved, rows to ask it for, and what it answers itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Rows: TypeAlias = pd.DataFrame | NDArray[Any] | list[str]  # named columns, a tensor, or texts


@dataclass(frozen=True)
class Logged:
    """`save` writes an MLflow model into a folder that does not exist; `expected` is its own answer for `rows`."""

    save: Callable[[Path], None]
    rows: Rows
    expected: NDArray[Any]


@dataclass(frozen=True)
class Case:
    """`group` is the heading of the table that it stands under; `log` trains the model."""

    group: str
    name: str
    log: Callable[[], Logged]


def names(rows: Rows) -> list[str]:
    """The names of the columns; positions where they have none."""
    if isinstance(rows, pd.DataFrame):
        return list(map(str, rows.columns))
    return ["0"] if isinstance(rows, list) else list(map(str, range(rows.shape[1])))


def cells(rows: Rows) -> list[list[Any]]:
    """The rows as JSON has them: None for a missing value, dates as ISO 8601."""
    if isinstance(rows, list):
        return [[text] for text in rows]
    found = rows.to_numpy(dtype=object) if isinstance(rows, pd.DataFrame) else rows.astype(object)
    return [[_cell(value) for value in row] for row in found]


def _cell(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
