"""Text in columns, and numbers and times as they are printed."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines of text. Each column is as wide as its widest cell; `rows` include the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def clock(unix: float) -> str:
    """The time of day in UTC, of unix seconds."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """A duration as 45s, 12m05s or 3h20m."""
    if not math.isfinite(seconds):
        return "endless"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def number(count: float) -> str:
    """A count, rounded up, with thousands separators."""
    return f"{math.ceil(count):,}" if math.isfinite(count) else "no number"
