"""What is said at the end: a table of measured beside simulated, and the promise. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from dev.bench.canaries.catalogue import BAD, IDENTICAL, Kind
from dev.bench.canaries.lane import Tried
from dev.bench.canaries.predicted import Predicted
from dev.demo.promises import Promise

FALSE_ALLOWED = 0.05  # of the identical canaries


def table(tried: Sequence[Tried], predicted: Mapping[str, Predicted]) -> Table:
    """One row per kind. Measured / simulated: medians, and in brackets all measured values."""
    shown = Table(box=box.MARKDOWN)
    shown.add_column("canary")
    for title in (
        "rolled back",
        "seconds to the verdict",
        "simulated",
        "ratio",
        "exposed requests",
        "simulated",
        "ratio",
    ):
        shown.add_column(title, justify="right")
    for kind in (IDENTICAL, *BAD):
        shown.add_row(kind.name, *_row(_conclusive(tried, kind), predicted.get(kind.name)))
    return shown


def _row(tried: Sequence[Tried], predicted: Predicted | None) -> list[str]:
    found = [one for one in tried if one.found_after is not None]
    seconds = [one.found_after for one in found if one.found_after is not None]
    exposed = [float(one.exposed) for one in found]
    expected = (math.inf, math.inf) if predicted is None else (predicted.seconds, predicted.exposed)
    return [
        f"{len(found)} of {len(tried)}",
        *_compared(seconds, expected[0]),
        *_compared(exposed, expected[1]),
    ]


def _compared(measured: Sequence[float], simulated: float) -> tuple[str, str, str]:
    known = math.isfinite(simulated)
    text = f"{simulated:,.0f}" if known else "-"
    if not measured:
        return "-", text, "-"
    each = ", ".join(f"{one:,.0f}" for one in measured)
    return each, text, f"{statistics.median(measured) / simulated:.1f}" if known else "-"


def promises(queue: Sequence[Kind], tried: Sequence[Tried]) -> list[Promise]:
    identical = _conclusive(tried, IDENTICAL)
    accused = [one for one in identical if one.found_after is not None]
    missed = [one for one in tried if one.kind != IDENTICAL and not one.trouble and one.found_after is None]
    allowed = math.floor(FALSE_ALLOWED * len(identical))
    conclusive = sum(not one.trouble for one in tried)
    troubles = "; ".join(f"#{one.number} {one.kind.name}: {one.trouble}" for one in tried if one.trouble)
    return [
        Promise(
            f"at most {allowed} of {len(identical)} identical canaries were rolled back",
            len(accused) <= allowed,
            "; ".join(f"#{one.number} after {one.found_after:.0f} s: {one.message}" for one in accused),
        ),
        Promise(
            f"all {sum(one.kind != IDENTICAL and not one.trouble for one in tried)} bad canaries were found",
            not missed,
            ", ".join(f"#{one.number} {one.kind.name} was not" for one in missed),
        ),
        Promise(
            f"{conclusive} of {len(queue)} canaries were tried",
            conclusive == len(queue),
            f"{len(queue) - len(tried)} had no time left; trouble: {troubles or 'none'}",
        ),
    ]


def line(one: Tried) -> str:
    """One canary when it is over."""
    if one.trouble:
        return f"trouble: {one.trouble}"
    if one.found_after is None:
        return f"not rolled back; {one.exposed:,} requests"
    return f"rolled back after {one.found_after:.1f} s and {one.exposed:,} requests: {one.message}"


def _conclusive(tried: Sequence[Tried], kind: Kind) -> list[Tried]:
    return [one for one in tried if one.kind == kind and not one.trouble]
