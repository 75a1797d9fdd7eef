"""Places the rooms of a survey as boxes. Each floor is a band with one or more rows of boxes. Pure.

All sizes are pixels.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from dev.imports.package import Room
from dev.imports.survey import Survey

WIDTH = 1000
LEFT, RIGHT = 40, 984  # the space of boxes and arrows; the numbers of the floors are left of it
TOP = 112  # the title is above
BOX_HEIGHT = 40
LEAST_WIDTH = 96.0
GAP = 28  # the least space between two boxes of a row, for arrows
WIDEST_GAP = 84
PADDING = 8  # from a row of boxes to the edge of its band
BETWEEN_ROWS = 40
BETWEEN_BANDS = 40
SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Box:
    room: Room
    row: int  # from the top
    x: float  # its left edge
    y: float  # its upper edge
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class Band:
    """One floor across the picture; the lowest floor has number 1."""

    number: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Plan:
    boxes: Mapping[str, Box]
    rows: tuple[tuple[str, ...], ...]  # names from the left, rows from the top
    bands: tuple[Band, ...]
    height: float


def place(survey: Survey) -> Plan:
    width = max([LEAST_WIDTH, *map(_width, survey.rooms)])
    per_row = max(1, int((RIGHT - LEFT - GAP) // (width + GAP)))
    floors = [_split(floor, per_row) for floor in survey.floors.rows]
    bands, tops = _bands([len(floor) for floor in floors])
    rows = _sorted_rows([row for floor in floors for row in floor], survey, width)
    rooms = {room.name: room for room in survey.rooms}
    boxes = {
        name: Box(rooms[name], number, x, tops[number], width)
        for number, row in enumerate(rows)
        for name, x in zip(row, _lefts(len(row), width), strict=True)
    }
    height = bands[-1].y + bands[-1].height + PADDING if bands else TOP
    return Plan(boxes, rows, tuple(bands), height)


def detail(room: Room) -> str:
    """The text below the room's name."""
    return f"{room.lines:,} lines" if room.loose else f"{room.modules} modules, {room.lines:,} lines"


def _width(room: Room) -> float:
    """The width of the wider one of its two texts. Characters of the name are larger than those of the detail."""
    return max(len(room.name) * 8.5 + 28, len(detail(room)) * 6.0 + 16)


def _split(floor: Sequence[str], per_row: int) -> list[tuple[str, ...]]:
    """The rows of a floor: as few as possible, and about equally long."""
    length = ceil(len(floor) / ceil(len(floor) / per_row))
    return [tuple(floor[start : start + length]) for start in range(0, len(floor), length)]


def _bands(rows_of_floors: Sequence[int]) -> tuple[list[Band], list[float]]:
    """The bands from the top, and the upper edge of each row of boxes."""
    bands: list[Band] = []
    tops: list[float] = []
    y = float(TOP)
    for index, rows in enumerate(rows_of_floors):
        tops += [y + PADDING + row * (BOX_HEIGHT + BETWEEN_ROWS) for row in range(rows)]
        bands.append(Band(len(rows_of_floors) - index, y, tops[-1] + BOX_HEIGHT + PADDING - y))
        y += bands[-1].height + BETWEEN_BANDS
    return bands, tops


def _lefts(boxes: int, width: float) -> list[float]:
    """The left edges of the boxes of a row, which is in the middle of the picture."""
    gap = min(WIDEST_GAP, (RIGHT - LEFT - boxes * width) / (boxes + 1))
    start = (LEFT + RIGHT - boxes * width - (boxes - 1) * gap) / 2
    return [start + number * (width + gap) for number in range(boxes)]


def _sorted_rows(rows: Sequence[Sequence[str]], survey: Survey, width: float) -> tuple[tuple[str, ...], ...]:
    """The rows, each sorted by the places of its rooms' neighbours: the try with the shortest arrows."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for arrow in survey.arrows:
        neighbours[arrow.importer].append(arrow.imported)
        neighbours[arrow.imported].append(arrow.importer)
    current = [list(row) for row in rows]
    best, shortest = current, float("inf")
    for sweep in range(SWEEPS):
        lefts = {name: left for row in current for name, left in zip(row, _lefts(len(row), width), strict=True)}
        length = sum(abs(lefts[arrow.importer] - lefts[arrow.imported]) for arrow in survey.arrows)
        if length < shortest:
            best, shortest = [list(row) for row in current], length
        for row in current if sweep % 2 else reversed(current):
            row.sort(key=lambda name: _mean([lefts[neighbour] for neighbour in neighbours[name]], lefts[name]))
            lefts.update(zip(row, _lefts(len(row), width), strict=True))
    return tuple(map(tuple, best))


def _mean(numbers: Sequence[float], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default
