"""Puts the rooms of a package on floors, so that arrows go down where this is possible. Pure.

Rooms that the contract names keep its order, with one floor per layer. Each other room is as low as possible: one floor
above the highest room that it imports. In a circle not all arrows can go down: then those with the fewest imports go
up. Arrows between siblings that the contract keeps apart count as going up, too.
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
    """The floors of the rooms `names`. `layers` may name other rooms, and need not name all of these."""
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
    """Which groups are below which. It never has a circle."""

    def __init__(self, groups: int) -> None:
        self._below: list[set[int]] = [set() for _ in range(groups)]

    def put(self, above: int, below: int) -> bool:
        """Put `below` under `above`. Returns False, and changes nothing, if it is already above it."""
        if self._reaches(below, above):
            return False
        self._below[above].add(below)
        return True

    def heights(self) -> dict[int, int]:
        """By group, the length of the longest path below it, in floors."""
        heights: dict[int, int] = {}
        for group in TopologicalSorter(dict(enumerate(self._below))).static_order():
            heights[group] = max((heights[below] + 1 for below in self._below[group]), default=0)
        return heights

    def _reaches(self, start: int, end: int) -> bool:
        visited, waiting = {start}, [start]
        while waiting:
            new = self._below[waiting.pop()] - visited
            visited |= new
            waiting.extend(new)
        return end in visited
