"""Which columns the lists of categories in a model file of LightGBM belong to: the file does not name the columns.

There is one list for each column that had the type category in the training, in the order of the columns. The trees
show which columns they split by category. Mostly these are the same columns. They are not where a column is ordered
(LightGBM splits it as numbers), or where `categorical_feature` named a column of whole numbers (it has no list). If a
model has one of each, there are as many lists as columns, and the lists would go to the wrong ones; only the values of
rows show that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from sluice_server.model.schema import Rows
from sluice_server.runtimes.nodes import whole
from sluice_server.runtimes.port import ModelError

Categories: TypeAlias = tuple[tuple[Any, ...] | None, ...]  # for each column of the fit; None where it has numbers

_OTHERS = (
    "a column with categories is ordered, has the same value in all rows of the training, or is no column of the type "
    "category: train without it, with .cat.as_unordered(), or with columns of that type alone"
)


def paired(lists: Sequence[Sequence[Any]], ranges: Sequence[str]) -> Categories:
    """The lists at the columns that trees ask for categories, in their order. Raises ModelError if they do not fit.

    `ranges`: `feature_infos` of the file, one for each column.
    """
    if not lists:
        return (None,) * len(ranges)
    at = [column for column, values in enumerate(ranges) if not values.startswith("[") and values != "none"]
    if len(at) != len(lists) or not all(lists):
        raise ModelError(_OTHERS)
    found: dict[int, tuple[Any, ...]] = {}
    for column, values in zip(at, lists, strict=True):
        if max(_codes(ranges[column])) >= len(values):
            raise ModelError(_OTHERS)
        found[column] = tuple(values)
    return tuple(found.get(column) for column in range(len(ranges)))


def check_pairs(categories: Categories, ranges: Sequence[str], rows: Rows | None) -> None:
    """Raise ModelError if the numbers in `rows` are not those of the categories, or could be so another way as well.

    `rows`: some that the model was made for, with the columns of the fit; None if there are none.
    """
    numbers = {at: values for at, values in enumerate(categories) if values and not isinstance(values[0], str)}
    if rows is not None:
        for at, values in numbers.items():
            if not _values(rows, at) <= set(values):
                raise ModelError(f"the input example has other values than the categories {values[:5]}: {_OTHERS}")
    as_numbers = any(_values(rows, at) <= set(_codes(ranges[at])) for at in numbers)
    if as_numbers and any(_may_be_ordered(categories, ranges, rows, values) for values in numbers.values()):
        raise ModelError(f"{_OTHERS}; or log an input_example with values that show which column has which categories")


def _may_be_ordered(categories: Categories, ranges: Sequence[str], rows: Rows | None, values: Sequence[Any]) -> bool:
    """Whether another column may be the one with these values; where they are 0, 1, ... that makes no difference."""
    if list(values) == list(range(len(values))):
        return False
    for at in (at for at, known in enumerate(categories) if known is None and ranges[at].startswith("[")):
        low, high = (float(end) for end in ranges[at].strip("[]").split(":"))
        places = low >= 0 and high < len(values) and low.is_integer() and high.is_integer()
        if places and _values(rows, at) <= set(values):
            return True
    return False


def _codes(values: str) -> Iterator[int]:
    return (whole(code) for code in values.split(":"))


def _values(rows: Rows | None, at: int) -> set[Any]:
    """What is in a column of rows, apart from missing values; nothing where there are no rows."""
    cells: list[Any] = [] if rows is None else rows[:, at].tolist()
    return {cell for cell in cells if cell is not None and cell == cell}  # noqa: PLR0124 - NaN is not
