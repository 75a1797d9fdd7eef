"""Text in columns, and texts, numbers and times as they are printed."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from sluice_operator.report.words import plain, span

__all__ = ["clock", "lines", "number", "plain", "span"]


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines of plain text. Each column is as wide as its widest cell; `rows` include the heading."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def clock(unix: float) -> str:
    """The time of day in UTC, of unix seconds."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")


def number(count: float) -> str:
    """A count, rounded up, with thousands separators."""
    return f"{math.ceil(count):,}" if math.isfinite(count) else "no number"
