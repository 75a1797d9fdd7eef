"""Cells of a table (policy, scenario, rate), cut into batches with fixed seeds that any number of processes may run."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from tests.simulation import rivals, scenarios, sluice
from tests.simulation.runner import Outcomes, PolicyMaker, joined, simulate

SEED = 20260901
BATCH = 100  # runs that share one learned record

TIMED, AUTOMATIC = "Sluice, 30 minutes", "Sluice, automatic steps"
HEAVY, WATCHED = "Sluice, at 80 %", "Sluice, watched"
CLEARS_ERRORS, CLEARS_ACCURACY = "Sluice, errors cleared", "Sluice, accuracy cleared"
FLAGGER, FLAGGER_GUIDES = "Flagger, documented", "Flagger, limits of the guides"
ARGO, ARGO_GUIDES = "Argo Rollouts, documented", "Argo Rollouts, limits of the guides"
PEEKED = "z-test, peeked"

RIVALS: dict[str, PolicyMaker] = {
    FLAGGER: rivals.FlaggerLike(rivals.FLAGGER_DOCS),
    FLAGGER_GUIDES: rivals.FlaggerLike(rivals.GUIDES),
    ARGO: rivals.ArgoLike(rivals.ARGO_DOCS),
    ARGO_GUIDES: rivals.ArgoLike(rivals.GUIDES),
    PEEKED: rivals.PeekedZ,
}
_SLUICE: dict[str, PolicyMaker] = {
    TIMED: partial(sluice.Timed, sluice.RAMP, 0.0),
    HEAVY: partial(sluice.Timed, sluice.HEAVY, 0.0),
    WATCHED: partial(sluice.Timed, sluice.BEFORE_WATCH, sluice.WATCH_MINUTES),
    AUTOMATIC: sluice.Automatic,
    CLEARS_ERRORS: partial(sluice.ClearsOnly, "errors"),
    CLEARS_ACCURACY: partial(sluice.ClearsOnly, "accuracy"),
}
POLICIES = _SLUICE | RIVALS


class Cell(NamedTuple):
    policy: str
    scenario: str
    rate: float


Results = Mapping[Cell, Outcomes]


class Planned(NamedTuple):
    """A cell, how many runs it takes, and for how long each of them may go on."""

    cell: Cell
    runs: int
    minutes: float = 60.0


class Batch(NamedTuple):
    cell: Cell
    number: int
    runs: int
    minutes: float


def batches(plan: Planned) -> list[Batch]:
    """Rivals learn nothing from a record, so all their runs fit into one batch."""
    size = plan.runs if plan.cell.policy in RIVALS else BATCH
    return [
        Batch(plan.cell, number, min(size, plan.runs - begin), plan.minutes)
        for number, begin in enumerate(range(0, plan.runs, size))
    ]


def run(batch: Batch) -> Outcomes:
    """The seed depends on the batch alone, not on what else is run, or where."""
    random = np.random.default_rng([SEED, zlib.crc32(_seed_name(batch.cell).encode()), batch.number])
    world = scenarios.world(batch.cell.scenario, batch.cell.rate)
    return simulate(world, POLICIES[batch.cell.policy], batch.runs, batch.minutes, random)


def _seed_name(cell: Cell) -> str:
    return repr(cell._replace(scenario=scenarios.FIRST_NAMES.get(cell.scenario, cell.scenario)))


def study(
    plans: Iterable[Planned], processes: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> dict[Cell, Outcomes]:
    """Runs all batches. `progress` is told how many are done, of how many."""
    todo = [batch for plan in plans for batch in batches(plan)]
    found: dict[Batch, Outcomes] = {}
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        running = {pool.submit(run, batch): batch for batch in todo}
        for done, future in enumerate(as_completed(running), 1):
            found[running[future]] = future.result()
            progress(done, len(todo))
    cells = dict.fromkeys(batch.cell for batch in todo)
    return {cell: joined([found[batch] for batch in todo if batch.cell == cell]) for cell in cells}
