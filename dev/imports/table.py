"""Surveys as text for a terminal with 80 columns. Pure."""

import textwrap
from collections.abc import Iterator, Sequence

from dev.imports.survey import Survey

WIDTH = 80
HEADINGS = ("rooms", "loose", "modules", "arrows", "going up", "circles", "in modules")
LEGEND = (
    "A room is a folder in the root of the package, or a loose module there. An arrow: one room imports another one. "
    "Circles are of rooms, and of modules anywhere in the package."
)


def totals(surveys: Sequence[Survey]) -> str:
    """One line per package, and the meaning of the columns."""
    width = max((len(survey.name) for survey in surveys), default=0)
    lines = ["  ".join([" " * width, *HEADINGS])]
    for survey in surveys:
        numbers = zip(HEADINGS, _numbers(survey), strict=True)
        lines.append("  ".join([survey.name.ljust(width), *(f"{number:{len(name)}}" for name, number in numbers)]))
    return "\n".join([*lines, "", *textwrap.wrap(LEGEND, WIDTH)])


def floor_plan(survey: Survey) -> str:
    """The floors from the top, then all arrows that go up, and all circles."""
    width = max([len(room.name) + 1 for room in survey.rooms] + [len("rooms")])
    lines = [
        *textwrap.wrap(f"{survey.name}: floors from the top, by {survey.order}", WIDTH),
        f"  floor  {'room'.ljust(width)}  modules  lines  imports rooms  imported by",
    ]
    rooms = {room.name: room for room in survey.rooms}
    for number, row in enumerate(survey.floors.rows):
        for place, name in enumerate(row):
            floor = str(len(survey.floors.rows) - number) if place == 0 else ""
            shown = name if rooms[name].loose else f"{name}/"
            imports = sum(arrow.importer == name for arrow in survey.arrows)
            imported_by = sum(arrow.imported == name for arrow in survey.arrows)
            counts = f"{rooms[name].modules:7}  {rooms[name].lines:5}  {imports:13}  {imported_by:11}"
            lines.append(f"  {floor:>5}  {shown.ljust(width)}  {counts}")
    return "\n".join([*lines, *_findings(survey)])


def _numbers(survey: Survey) -> tuple[int, ...]:
    up, circles = len(survey.floors.up), len(survey.room_circles)
    return (
        len(survey.rooms),
        survey.loose,
        survey.modules,
        len(survey.arrows),
        up,
        circles,
        len(survey.module_circles),
    )


def _findings(survey: Survey) -> Iterator[str]:
    for arrow in survey.arrows:
        if (arrow.importer, arrow.imported) in survey.floors.up:
            yield f"  goes up: {arrow.importer} -> {arrow.imported} (imports: {arrow.imports})"
    for title, circles in (("circle of rooms", survey.room_circles), ("circle of modules", survey.module_circles)):
        for circle in circles:
            yield from textwrap.wrap(
                f"{title}: {', '.join(circle)}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
