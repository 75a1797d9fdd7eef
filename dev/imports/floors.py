"""Puts the rooms of a package on floors, so that as a rule arrows go down. Pure.

The contract's order holds for the rooms that it names, and its layers are one floor each. All other rooms stand as
low as their imports allow: one floor above the highest room that they import, which is the longest path below them.
Where that has no solution, as in a circle, the arrows of fewest imports give way: they are the ones that go up, or to
the side between siblings that the contract keeps apart.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from dev.imports.contract import Layer
from dev.imports.package import Arrow


@dataclass(frozen=True, slots=True)
class Floors:
    rows: tuple[tuple[str, ...], ...]  # names of rooms, from the top
    up: frozenset[tuple[str, str]]  # (importer, imported) of the arrows that do not go down


def floors(names: Sequence[str], arrows: Sequence[Arrow], layers: Sequence[Layer] = ()) -> Floors:
    """`layers` may name rooms that are not among `names`, and need not name all that are."""
    present = [Layer(tuple(room for room in layer.rooms if room in names), layer.independent) for layer in layers]
    present = [layer for layer in present if layer.rooms]
    named = {room for layer in present for room in layer.rooms}
    groups = [*present, *(Layer((name,), True) for name in names if name not in named)]
    group_of = {room: number for number, group in enumerate(groups) for room in group.rooms}
    order = _Order(len(groups))
    for number in range(1, len(present)):
        order.put(number - 1, number)
    up = set()
    for arrow in sorted(arrows, key=lambda arrow: (-arrow.imports, arrow.importer, arrow.imported)):
        above, below = group_of[arrow.importer], group_of[arrow.imported]
        allowed = not groups[above].independent if above == below else order.put(above, below)
        if not allowed:
            up.add((arrow.importer, arrow.imported))
    heights = order.heights()
    rows: dict[int, list[str]] = defaultdict(list)
    for name in names:
        rows[heights[group_of[name]]].append(name)
    return Floors(tuple(tuple(rows[height]) for height in sorted(rows, reverse=True)), frozenset(up))


class _Order:
    """Which groups are below which; never a circle."""

    def __init__(self, groups: int) -> None:
        self._below: list[set[int]] = [set() for _ in range(groups)]

    def put(self, above: int, below: int) -> bool:
        """False, and nothing changes, if `below` is already above."""
        if self._reaches(below, above):
            return False
        self._below[above].add(below)
        return True

    def heights(self) -> dict[int, int]:
        """Of each group the longest path below it, in floors."""
        heights: dict[int, int] = {}
        for group in TopologicalSorter(dict(enumerate(self._below))).static_order():
            heights[group] = max((heights[below] + 1 for below in self._below[group]), default=0)
        return heights

    def _reaches(self, start: int, end: int) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            new = self._below[waiting.pop()] - seen
            seen |= new
            waiting.extend(new)
        return end in seen
