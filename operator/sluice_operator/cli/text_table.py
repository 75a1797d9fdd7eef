"""Text in columns, and texts, numbers and times as they are printed."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime


def plain(text: str) -> str:
    """A text of somebody else in one line, with an escape in place of what a terminal would obey.

    Models, messages and commands are chosen by whoever may write them, and read by an administrator.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines of plain text. Each column is as wide as its widest cell; `rows` include the heading."""
    rows = [[plain(cell) for cell in row] for row in rows]
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
