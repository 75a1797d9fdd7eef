"""Turns the ways of the arrows into curves: where each lane is, where each arrow starts and ends. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dev.imports.package import Arrow
from dev.imports.placing import BOX_HEIGHT, Plan
from dev.imports.routing import PITCH, Gap, Lane, Way, gaps

ROUNDS = 10  # of moving each lane between the points that its arrows come from and go to
ALONG = 5.0  # how far an arrow stays in its lane above and below the boxes
PORTS = 0.7  # the part of a box's lower edge where arrows start
UP_PORT = 0.2  # part of a box's width, from the left, at which arrows that go up start and end
HEAD = 5.0  # room for the head of the arrow

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow from the importer to the imported room. Between two points it bends; at each point it is vertical."""

    arrow: Arrow
    up: bool
    points: tuple[Point, ...]


def curves(ways: Sequence[Way], plan: Plan) -> tuple[Curve, ...]:
    lanes = _lanes(ways, plan)
    starts = _starts(ways, lanes, plan)
    return tuple(Curve(way.arrow, way.up, tuple(_points(way, starts[way], lanes, plan))) for way in ways)


def _points(way: Way, start: float, lanes: Mapping[Lane, float], plan: Plan) -> Iterator[Point]:
    importer, imported = plan.boxes[way.arrow.importer], plan.boxes[way.arrow.imported]
    downward = imported.row > importer.row
    yield start, importer.bottom if downward else importer.y
    for lane in way.lanes:
        top = plan.boxes[plan.rows[lane.row][0]].y
        edges = (top - ALONG, top + BOX_HEIGHT + ALONG)
        for y in edges if downward else reversed(edges):
            yield lanes[lane], y
    from_below = imported.row < importer.row
    yield _end(way, plan), imported.bottom + HEAD if from_below else imported.y - HEAD


def _end(way: Way, plan: Plan) -> float:
    box = plan.boxes[way.arrow.imported]
    return box.x + box.width * UP_PORT if way.up else box.middle


def _starts(ways: Sequence[Way], lanes: Mapping[Lane, float], plan: Plan) -> dict[Way, float]:
    """The x at which each arrow starts on its box, in the order of their targets, so that few arrows cross."""
    starts = {}
    leaving = defaultdict(list)
    for way in ways:
        box = plan.boxes[way.arrow.importer]
        starts[way] = box.x + box.width * UP_PORT
        if not way.up:
            leaving[way.arrow.importer].append(way)
    for importer, its_ways in leaving.items():
        box = plan.boxes[importer]
        its_ways.sort(key=lambda way: lanes[way.lanes[0]] if way.lanes else _end(way, plan))
        for number, way in enumerate(its_ways, 1):
            starts[way] = box.middle + box.width * PORTS * (number / (len(its_ways) + 1) - 0.5)
    return starts


def _lanes(ways: Sequence[Way], plan: Plan) -> dict[Lane, float]:
    """The x of each lane: near the points before and after it, and apart from the other lanes in its gap."""
    free = gaps(plan)
    lanes: dict[Lane, float] = {}
    for way in ways:
        for lane in way.lanes:
            low, high = free[lane.row][lane.gap]
            lanes[lane] = min(max(_end(way, plan), low), high)
    in_gap = defaultdict(list)
    for lane in lanes:
        in_gap[lane.row, lane.gap].append(lane)
    for _ in range(ROUNDS):
        wanted = _wanted(ways, lanes, plan)
        for (row, gap), sharing in in_gap.items():
            sharing.sort(key=wanted.__getitem__)
            placed = _spread([wanted[lane] for lane in sharing], free[row][gap])
            lanes.update(zip(sharing, placed, strict=True))
    return lanes


def _wanted(ways: Sequence[Way], lanes: Mapping[Lane, float], plan: Plan) -> dict[Lane, float]:
    """By lane, the mean x of the points before and after it, over all arrows in it."""
    around: dict[Lane, list[float]] = defaultdict(list)
    for way in ways:
        start = plan.boxes[way.arrow.importer].middle
        xs = [start, *(lanes[lane] for lane in way.lanes), _end(way, plan)]
        for at, lane in enumerate(way.lanes):
            around[lane] += [xs[at], xs[at + 2]]
    return {lane: sum(xs) / len(xs) for lane, xs in around.items()}


def _spread(wanted: Sequence[float], gap: Gap) -> list[float]:
    """The sorted numbers, moved into the gap and apart from each other."""
    low, high = gap
    pitch = min(PITCH, (high - low) / max(len(wanted) - 1, 1))
    placed: list[float] = []
    for number, x in enumerate(wanted):
        least = placed[-1] + pitch if placed else low
        most = high - pitch * (len(wanted) - 1 - number)
        placed.append(min(max(x, least), most))
    return placed
