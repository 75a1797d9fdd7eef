"""Finds the way of each arrow between the boxes: through one gap of each row that it passes. Pure.

Arrows to the same room share a lane in a gap. So a room that many import gets one thick line and not twenty.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dev.imports.package import Arrow
from dev.imports.placing import LEFT, RIGHT, Box, Plan

PITCH = 12.0  # pixels between two lanes, if the gap is wide enough
CLEAR = 8.0  # pixels from a lane to a box
CROWDED = 1500.0  # the cost of a full gap, in square pixels of detour

Gap = tuple[float, float]  # from x to x


@dataclass(frozen=True, slots=True)
class Lane:
    """The line that all arrows to one room share in one gap of one row."""

    row: int
    gap: int
    imported: str
    up: bool


@dataclass(frozen=True, slots=True)
class Way:
    """The lanes of one arrow, from the importer to the imported room."""

    arrow: Arrow
    up: bool
    lanes: tuple[Lane, ...]


def gaps(plan: Plan) -> tuple[tuple[Gap, ...], ...]:
    """By row, the gaps from the left: before the first box, between two boxes, after the last box."""
    gaps_of_rows = []
    for row in plan.rows:
        boxes = [plan.boxes[name] for name in row]
        edges = [LEFT - CLEAR, *(edge for box in boxes for edge in (box.x, box.right)), RIGHT + CLEAR]
        gaps_of_rows.append(tuple((edges[at] + CLEAR, edges[at + 1] - CLEAR) for at in range(0, len(edges), 2)))
    return tuple(gaps_of_rows)


def ways(arrows: Sequence[Arrow], up: frozenset[tuple[str, str]], plan: Plan) -> tuple[Way, ...]:
    """The way of each arrow. Short arrows choose first. A gap with many lanes costs as much as a detour."""
    free = gaps(plan)
    used: dict[tuple[int, int], set[str]] = defaultdict(set)
    ways_of_arrows = {}
    for arrow in sorted(arrows, key=lambda arrow: _length(arrow, plan)):
        chosen = _cheapest(plan.boxes[arrow.importer], plan.boxes[arrow.imported], free, used, arrow.imported)
        for place in chosen:
            used[place].add(arrow.imported)
        goes_up = (arrow.importer, arrow.imported) in up
        lanes = tuple(Lane(row, gap, arrow.imported, goes_up) for row, gap in chosen)
        ways_of_arrows[arrow] = Way(arrow, goes_up, lanes)
    return tuple(ways_of_arrows[arrow] for arrow in arrows)


def _length(arrow: Arrow, plan: Plan) -> tuple[float, float]:
    start, end = plan.boxes[arrow.importer], plan.boxes[arrow.imported]
    return abs(start.row - end.row), abs(start.middle - end.middle)


def _cheapest(
    start: Box,
    end: Box,
    free: Sequence[Sequence[Gap]],
    used: Mapping[tuple[int, int], set[str]],
    imported: str,
) -> tuple[tuple[int, int], ...]:
    """The (row, gap) of each row between the boxes: the way with the least squared movement to the side."""
    step = 1 if end.row > start.row else -1
    best: list[tuple[float, float, tuple[tuple[int, int], ...]]] = [(0.0, start.middle, ())]  # cost, x, chosen
    for row in range(start.row + step, end.row, step):
        straight = start.middle + (end.middle - start.middle) * (row - start.row) / (end.row - start.row)
        reached = []
        for gap, (low, high) in enumerate(free[row]):
            others = len(used.get((row, gap), set()) - {imported})
            x = min(max(straight, low), high)
            crowd = CROWDED * (others * PITCH / max(high - low, 1)) ** 2
            cost, chosen = min((cost + (x - before) ** 2, chosen) for cost, before, chosen in best)
            reached.append((cost + crowd, x, (*chosen, (row, gap))))
        best = reached
    return min((cost + (end.middle - x) ** 2, chosen) for cost, x, chosen in best)[1]
