"""Runs the cells of the tables (policy, scenario, rate) in batches with fixed seeds, in any number of processes."""

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
BATCH = 100  # runs that share one baseline

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
    PEEKED: rivals.PeekedZTest,
}
_SLUICE: dict[str, PolicyMaker] = {
    TIMED: partial(sluice.Timed, sluice.RAMP, 0.0),
    HEAVY: partial(sluice.Timed, sluice.HEAVY, 0.0),
    WATCHED: partial(sluice.Timed, sluice.BEFORE_WATCH, sluice.WATCH_MINUTES),
    AUTOMATIC: sluice.Automatic,
    CLEARS_ERRORS: partial(sluice.MarginOnly, "errors"),
    CLEARS_ACCURACY: partial(sluice.MarginOnly, "accuracy"),
}
POLICIES = _SLUICE | RIVALS


class Cell(NamedTuple):
    """One cell of a table. Its text, with the names of the class and of the fields, is part of the seed."""

    policy: str
    scenario: str
    rate: float


Results = Mapping[Cell, Outcomes]


class Planned(NamedTuple):
    """A cell, how many runs it needs, and after how many minutes a run ends without a decision."""

    cell: Cell
    runs: int
    minutes: float = 60.0


class Batch(NamedTuple):
    cell: Cell
    number: int
    runs: int
    minutes: float


def batches(plan: Planned) -> list[Batch]:
    """The batches of a cell. Rivals do not use the baseline, so all their runs are in one batch."""
    size = plan.runs if plan.cell.policy in RIVALS else BATCH
    return [
        Batch(plan.cell, number, min(size, plan.runs - begin), plan.minutes)
        for number, begin in enumerate(range(0, plan.runs, size))
    ]


def run(batch: Batch) -> Outcomes:
    """The seed depends only on the batch, and not on other batches or on the process that runs it."""
    random = np.random.default_rng([SEED, zlib.crc32(_seed_name(batch.cell).encode()), batch.number])
    world = scenarios.world(batch.cell.scenario, batch.cell.rate)
    return simulate(world, POLICIES[batch.cell.policy], batch.runs, batch.minutes, random)


def _seed_name(cell: Cell) -> str:
    return repr(cell._replace(scenario=scenarios.FIRST_NAMES.get(cell.scenario, cell.scenario)))


def study(
    plans: Iterable[Planned], processes: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[Cell, Outcomes]:
    """Runs all batches. `progress` is called with the number of batches that are done and that of all batches."""
    all_batches = [batch for plan in plans for batch in batches(plan)]
    outcomes: dict[Batch, Outcomes] = {}
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        running = {pool.submit(run, batch): batch for batch in all_batches}
        for done, future in enumerate(as_completed(running), 1):
            outcomes[running[future]] = future.result()
            progress(done, len(all_batches))
    cells = dict.fromkeys(batch.cell for batch in all_batches)
    return {cell: joined([outcomes[batch] for batch in all_batches if batch.cell == cell]) for cell in cells}
