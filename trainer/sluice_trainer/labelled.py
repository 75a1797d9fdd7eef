"""Kept predictions with their labels, as the store gives them: which ones count, and as a table. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from sluice_trainer.quality import Schema

DAY = 86_400


class NoRowError(Exception):
    """A line that is no row of a prediction. The text says what it begins with."""


@dataclass(frozen=True, slots=True)
class Window:
    """When rows were predicted: from `start` until before `end`, in seconds since the epoch."""

    start: float
    end: float

    def __str__(self) -> str:
        start, end = (datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") for at in (self.start, self.end))
        return f"{start}/{end}"

    def days(self, listed: Iterable[str]) -> list[str]:
        """Those of the days on which rows came that may have rows of the window: pods send them a while later."""
        first = datetime.fromtimestamp(self.start, UTC).strftime("%Y-%m-%d")
        return sorted(day for day in listed if day >= first)


def whole_days(now: float, days: int) -> Window:
    """The last whole days (UTC) before `now`: the same window whenever it is asked on a day."""
    midnight = now - now % DAY
    return Window(midnight - days * DAY, midnight)


def until_now(now: float, days: int) -> Window:
    """The last `days` times 24 hours."""
    return Window(now - days * DAY, now)


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """`time`: of the prediction, in seconds since the epoch. `label`: the true class as a client sent it."""

    time: float
    features: dict[str, Any]
    label: str | float


def rows(lines: Iterable[bytes], window: Window) -> Iterator[LabelledRow]:
    """The rows of the window that have a label. Raises NoRowError."""
    for line in lines:
        try:
            row = json.loads(line)
            if row["label"] is not None and window.start <= row["time"] < window.end:
                yield LabelledRow(row["time"], dict(row["features"]), row["label"])
        except (ValueError, TypeError, KeyError) as error:
            raise NoRowError(f"{line[:80]!r} is no row of a prediction") from error


def none_of(model_deployment: str, window: Window) -> str:
    """What to do where no row has a label."""
    return (
        f"the store has no prediction of {model_deployment} in {window} with a label: set SLUICE_KEEP_PREDICTIONS in "
        "server.env of the ModelDeployment, and send labels to /feedback"
    )


def table(found: Iterable[LabelledRow], schema: Schema) -> pd.DataFrame:
    """A column for each feature, and one for the label of the schema with names of classes; the oldest row first."""
    classes = next((column.values for column in schema.columns if column.name == schema.label), ())
    ordered = sorted(found, key=lambda row: row.time)
    names = [column.name for column in schema.columns]
    if not ordered:
        return pd.DataFrame(columns=names)
    return pd.DataFrame([{**_cells(row), schema.label: class_name(row.label, classes)} for row in ordered])


def _cells(row: LabelledRow) -> dict[str, Any]:
    """The features; a tensor as text, since a cell of a table has one value."""
    return {name: json.dumps(cell) if isinstance(cell, list | dict) else cell for name, cell in row.features.items()}


def class_name(label: str | float, classes: Sequence[str]) -> str:
    """The name of a class that a client has called by its name, or by its number, as the models of this trainer do."""
    text = f"{label:g}" if isinstance(label, float) and label.is_integer() else str(label)
    if text in classes or not (text.isascii() and text.isdecimal() and int(text) < len(classes)):
        return text
    return classes[int(text)]
