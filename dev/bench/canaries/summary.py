"""What the benchmark prints at its end: a table of measured and simulated values, and the promises. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from dev.bench.canaries.catalogue import BAD, IDENTICAL, Kind
from dev.bench.canaries.lane import CanaryResult
from dev.bench.canaries.predicted import Prediction
from dev.demo.promises import Promise

FALSE_ROLLBACKS = 0.05  # share of the identical canaries that may be rolled back


def table(results: Sequence[CanaryResult], predicted: Mapping[str, Prediction]) -> Table:
    """One row per kind: all measured values, the simulated median, and the ratio of the two medians."""
    table = Table(box=box.MARKDOWN)
    table.add_column("canary")
    for title in (
        "rolled back",
        "seconds to the verdict",
        "simulated",
        "ratio",
        "exposed requests",
        "simulated",
        "ratio",
    ):
        table.add_column(title, justify="right")
    for kind in (IDENTICAL, *BAD):
        table.add_row(kind.name, *_row(_conclusive(results, kind), predicted.get(kind.name)))
    return table


def _row(results: Sequence[CanaryResult], prediction: Prediction | None) -> list[str]:
    seconds = [result.rolled_back_after for result in results if result.rolled_back_after is not None]
    exposed = [float(result.exposed) for result in results if result.rolled_back_after is not None]
    expected = (math.inf, math.inf) if prediction is None else (prediction.seconds, prediction.exposed)
    return [
        f"{len(seconds)} of {len(results)}",
        *_compared(seconds, expected[0]),
        *_compared(exposed, expected[1]),
    ]


def _compared(measured: Sequence[float], simulated: float) -> tuple[str, str, str]:
    """Measured values, the simulated one, and the ratio of the measured median to it; "-" for what is missing."""
    has_simulation = math.isfinite(simulated)
    expected = f"{simulated:,.0f}" if has_simulation else "-"
    if not measured:
        return "-", expected, "-"
    values = ", ".join(f"{value:,.0f}" for value in measured)
    return values, expected, f"{statistics.median(measured) / simulated:.1f}" if has_simulation else "-"


def promises(queue: Sequence[Kind], results: Sequence[CanaryResult]) -> list[Promise]:
    """What the results say about the promises. Canaries with trouble only break the last one."""
    identical = _conclusive(results, IDENTICAL)
    rolled_back = [result for result in identical if result.rolled_back_after is not None]
    bad = [result for result in results if result.kind != IDENTICAL and not result.trouble]
    missed = [result for result in bad if result.rolled_back_after is None]
    allowed = math.floor(FALSE_ROLLBACKS * len(identical))
    conclusive = sum(not result.trouble for result in results)
    troubles = "; ".join(
        f"#{result.number} {result.kind.name}: {result.trouble}" for result in results if result.trouble
    )
    return [
        Promise(
            f"at most {allowed} of {len(identical)} identical canaries were rolled back",
            len(rolled_back) <= allowed,
            "; ".join(
                f"#{result.number} after {result.rolled_back_after:.0f} s: {result.message}" for result in rolled_back
            ),
        ),
        Promise(
            f"all {len(bad)} bad canaries were found",
            not missed,
            ", ".join(f"#{result.number} {result.kind.name} was not" for result in missed),
        ),
        Promise(
            f"{conclusive} of {len(queue)} canaries were tried",
            conclusive == len(queue),
            f"{len(queue) - len(results)} had no time left; trouble: {troubles or 'none'}",
        ),
    ]


def line(result: CanaryResult) -> str:
    """The result of one canary as text."""
    if result.trouble:
        return f"trouble: {result.trouble}"
    if result.rolled_back_after is None:
        return f"not rolled back; {result.exposed:,} requests"
    return f"rolled back after {result.rolled_back_after:.1f} s and {result.exposed:,} requests: {result.message}"


def _conclusive(results: Sequence[CanaryResult], kind: Kind) -> list[CanaryResult]:
    return [result for result in results if result.kind == kind and not result.trouble]
