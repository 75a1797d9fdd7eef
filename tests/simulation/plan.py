"""Which cells the full study has, and how many runs of each."""

from collections.abc import Iterable

from tests.simulation.scenarios import (
    AT_MARGIN,
    BOTH_BREAK,
    CLUMPED,
    CLUMPED_AT_MARGIN,
    CLUMPED_WORSE,
    HEALTHY,
    HIDDEN,
    OUTAGES,
    RATES,
    REGRESSIONS,
    SILENT,
    TURNING,
    WATCHED_BAD,
    WATCHED_GOOD,
)
from tests.simulation.study import (
    AUTOMATIC,
    CLEARS_ACCURACY,
    CLEARS_ERRORS,
    HEAVY,
    RIVALS,
    TIMED,
    WATCHED,
    Cell,
    Planned,
)

RAMP_MINUTES = 30.0
RIVALS_HEALTHY = tuple(name for name in HEALTHY if name.startswith(("calm, errors 0.1", "stable over", "bursts")))
EQUAL_AND_CALM = tuple(name for name in HEALTHY if name.startswith("calm"))
MARGIN_RATES = (100, 1000)
MOST_ROLLBACKS = tuple(name for name in HEALTHY if name.startswith("bursts of one revision"))


def full_study(runs: int) -> list[Planned]:
    """`runs` of each regression, and more of healthy canaries, because their rollbacks are rare."""
    return [
        *_cells(TIMED, HEALTHY, RATES, 4 * runs, RAMP_MINUTES),
        *(
            planned
            for name in HEALTHY
            for planned in _cells(AUTOMATIC, (name,), RATES, (2 if name in MOST_ROLLBACKS else 1) * runs)
        ),
        *_cells(TIMED, BOTH_BREAK, RATES, 2 * runs, RAMP_MINUTES),
        *_cells(HEAVY, BOTH_BREAK, RATES, 2 * runs, RAMP_MINUTES),
        *_cells(WATCHED, WATCHED_GOOD, RATES, 2 * runs),
        *_cells(WATCHED, (*WATCHED_BAD, *OUTAGES), RATES, runs),
        *_cells(TIMED, REGRESSIONS, RATES, runs, RAMP_MINUTES),
        *_cells(AUTOMATIC, REGRESSIONS, RATES, runs),
        *_cells(AUTOMATIC, SILENT, RATES, runs),
        *_cells(TIMED, TURNING, (10, 100, 1000), runs, RAMP_MINUTES),
        *_cells(TIMED, HIDDEN, (100,), runs, RAMP_MINUTES),
        *_cells(AUTOMATIC, AT_MARGIN, MARGIN_RATES, runs),
        *(
            planned
            for policy, objective in ((CLEARS_ERRORS, "errors"), (CLEARS_ACCURACY, "accuracy"))
            for name in (*AT_MARGIN, *CLUMPED_AT_MARGIN)
            if name.startswith(objective)
            for planned in _cells(policy, (name,), (100,), 2 * runs)
        ),
        *_cells(TIMED, CLUMPED, RATES, 2 * runs, RAMP_MINUTES),
        *_cells(AUTOMATIC, CLUMPED_WORSE, (100,), runs),
        *_cells(CLEARS_ERRORS, EQUAL_AND_CALM, (100,), runs),
        *(
            planned
            for rival in RIVALS
            for names in (RIVALS_HEALTHY, REGRESSIONS)
            for planned in _cells(rival, names, RATES, 2 * runs)
        ),
    ]


def _cells(policy: str, names: Iterable[str], rates: Iterable[int], runs: int, minutes: float = 60.0) -> list[Planned]:
    return [Planned(Cell(policy, name, rate), runs, minutes) for name in names for rate in rates]
