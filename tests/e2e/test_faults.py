"""The fault matrix: whatever breaks while a rollout is in any of five phases, it ends as it should.

Requests fail only where the fault itself must cost some. The table of all faults is printed at the end.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator

import pytest

from dev.demo.models import Versions
from tests.e2e.faults import FAULTS, Fault, Site
from tests.e2e.kills import Operator
from tests.e2e.matrix import PHASES, Cell, Matrix, matrix, table
from tests.e2e.rollouts import Place

pytestmark = pytest.mark.anyio

EVERY_FAULT = bool(os.environ.get("EVERY_FAULT"))  # `make faults`; otherwise those that are marked
CHOSEN = [fault for fault in FAULTS if fault.in_ci or EVERY_FAULT]


@pytest.fixture(scope="module")
async def subjects(place: Place, versions: Versions) -> AsyncIterator[Matrix]:
    async with matrix(place, (versions.first, versions.better)) as made:
        yield made


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Cell]]:
    return {}


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_fault_changes_no_end(
    fault: Fault, subjects: Matrix, operator: Operator, rows: dict[str, list[Cell]]
) -> None:
    """The rollouts are promoted (or go back, where somebody asked for that), and nothing fails but by the fault."""
    serves = await subjects.bring_into_phases()
    site = Site(subjects, operator, serves)
    begun = {phase: subject.stream.now for phase, subject in subjects.subjects.items()}
    in_phases = subjects.phases
    await fault.begin(site)
    await asyncio.sleep(fault.lasts)  # the fault's own duration, not a wait for something
    await fault.end(site)
    cells = await subjects.after(begun, serves, fault.goes_back)
    rows[fault.name] = cells
    assert in_phases == list(PHASES), f"the fault was too late: it found {in_phases}"
    print(f"\n{fault.name}: " + "; ".join(f"{cell.phase} {cell}" for cell in cells))
    wrong = [cell for cell in cells if cell.failed and cell.broken > fault.costs.get(cell.phase, -math.inf)]
    told = "; ".join(f"{cell.phase}: {cell.why}, the last one {cell.broken:.0f} s after its end" for cell in wrong)
    assert not wrong, f"requests failed, and not because of the fault: {told}"


async def test_the_matrix(rows: dict[str, list[Cell]]) -> None:
    """No row is left out."""
    print("\n" + table(rows, lambda cells: "| " + " | ".join(cells) + " |"))
    assert list(rows) == [fault.name for fault in CHOSEN]
