"""Plain text in columns."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, a heading among them, with columns as wide as what is in them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def clock(unix: float) -> str:
    """The time of day, in UTC."""
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """As durations are written: 45s, 12m05s, 3h20m."""
    if not math.isfinite(seconds):
        return "endless"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def number(count: float) -> str:
    """A count with separators."""
    return f"{math.ceil(count):,}" if math.isfinite(count) else "no number"
