"""Numbers, tables and sections as they are written in docs/simulation.md."""

from collections.abc import Iterable

import numpy as np


def percent(share: float) -> str:
    """Without the sign, with one decimal at most."""
    return f"{100 * share:.2g}" if share < 0.0995 else f"{100 * share:.0f}"


def duration(seconds: float) -> str:
    """In seconds or minutes; '-' if it is infinite."""
    if not np.isfinite(seconds):
        return "-"
    return f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.1f} min"


def count(number: float) -> str:
    """'-' if the number is infinite."""
    return f"{number:,.0f}" if np.isfinite(number) else "-"


def section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
