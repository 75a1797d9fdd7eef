"""Texts and durations as people read them, in a terminal and on a page. Pure."""

import math


def plain(text: str) -> str:
    """A text of somebody else in one line, with an escape in place of what a terminal or a browser would obey.

    Models, messages and commands are chosen by whoever may write them, and read by an administrator.
    """
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


def span(seconds: float) -> str:
    """A duration as 45s, 12m05s or 3h20m."""
    if not math.isfinite(seconds):
        return "endless"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
