"""Draws one package as SVG, without scripts and other files. Pure."""

from collections.abc import Iterator, Sequence
from html import escape

from dev.imports.curves import Curve, Point, curves
from dev.imports.placing import BOX_HEIGHT, WIDTH, Band, Box, detail, place
from dev.imports.routing import ways
from dev.imports.survey import Survey

STYLE = """
  text { font-family: "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1c2430; }
  .title { font-size: 20px; font-weight: bold; }
  .line { font-size: 12px; fill: #3d4757; }
  .floor { font-size: 11px; fill: #5a6474; }
  .name { font-size: 12px; font-weight: bold; text-anchor: middle; }
  .detail { font-size: 10px; fill: #3d4757; text-anchor: middle; }
  .band { fill: #f4f6f8; }
  .folder { fill: #dbe8f7; stroke: #4a76ab; }
  .module { fill: #ffffff; stroke: #8d97a6; }
  .down { fill: none; stroke: #8d97a6; stroke-opacity: 0.75; }
  .up { fill: none; stroke: #d0222f; }
  .head-down { fill: #717c8c; }
  .head-up { fill: #d0222f; }
  path.down:hover { stroke: #1c2430; stroke-opacity: 1; }
"""
BEND = 0.55  # part of its height over which a curve keeps its direction
ARC = 26  # the height of an arrow between two boxes of one row


def draw(survey: Survey) -> str:
    plan = place(survey)
    routes = ways(survey.arrows, survey.floors.up, plan)
    drawn = sorted(curves(routes, plan), key=lambda curve: curve.up)  # arrows that go up cover the others
    height = round(plan.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<title>{escape(survey.name)}: what imports what</title>",
        f"<style>{STYLE}</style>",
        "<defs>",
        *map(_marker, ("down", "up")),
        "</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_heading(survey),
        *map(_band, plan.bands),
        *map(_curve, drawn),
        *(line for box in plan.boxes.values() for line in _box(box)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _marker(way: str) -> str:
    return (
        f'<marker id="head-{way}" viewBox="0 0 6 6" refX="1" refY="3" markerWidth="6" markerHeight="6" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="head-{way}" d="M0,0 L6,3 L0,6 z"/></marker>'
    )


def _heading(survey: Survey) -> Iterator[str]:
    up, circles = len(survey.floors.up), len(survey.room_circles)
    yield f'<text class="title" x="16" y="32">{escape(survey.name)}</text>'
    counts = (
        f"{len(survey.rooms)} rooms, {survey.loose} of them loose modules · {survey.modules} modules · "
        f"{len(survey.arrows)} arrows, {up} of them up · {circles} circles of rooms, "
        f"{len(survey.module_circles)} of modules"
    )
    yield f'<text class="line" x="16" y="54">{counts}</text>'
    yield f'<text class="line" x="16" y="72">Floors by {survey.order}.</text>'
    yield from _legend()


def _legend() -> Iterator[str]:
    y = 86
    for x, style, text in ((16, "folder", "folder"), (96, "module", "module in the root")):
        yield f'<rect class="{style}" x="{x}" y="{y}" width="18" height="12" rx="2"/>'
        yield f'<text class="line" x="{x + 24}" y="{y + 10}">{text}</text>'
    for x, style, text in ((252, "down", "imports, going down"), (428, "up", "imports, going up")):
        yield f'<path class="{style}" marker-end="url(#head-{style})" d="M{x},{y + 6} H{x + 24}"/>'
        yield f'<text class="line" x="{x + 36}" y="{y + 10}">{text}</text>'


def _band(band: Band) -> str:
    shape = f'<rect class="band" x="8" y="{band.y:.0f}" width="{WIDTH - 16}" height="{band.height:.0f}" rx="4"/>'
    return f'{shape}<text class="floor" x="16" y="{band.y + band.height / 2 + 4:.0f}">{band.number}</text>'


def _box(box: Box) -> Iterator[str]:
    room = box.room
    style, shown = ("module", room.name) if room.loose else ("folder", f"{room.name}/")
    yield (
        f'<rect class="{style}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="4"/>'
    )
    yield f'<text class="name" x="{box.middle:.1f}" y="{box.y + 17:.1f}">{escape(shown)}</text>'
    yield f'<text class="detail" x="{box.middle:.1f}" y="{box.y + 31:.1f}">{detail(room)}</text>'


def _curve(curve: Curve) -> str:
    style, arrow = "up" if curve.up else "down", curve.arrow
    width = min(1 + 0.15 * (arrow.imports - 1), 2.5)
    hint = escape(f"{arrow.importer} imports {arrow.imported} ({arrow.imports})")
    return (
        f'<path class="{style}" stroke-width="{width:.2f}" marker-end="url(#head-{style})" '
        f'd="{_path(curve.points)}"><title>{hint}</title></path>'
    )


def _path(points: Sequence[Point]) -> str:
    """The `d` of a path: straight along a lane, otherwise a curve that starts and ends vertically."""
    (x, y), *others = points
    parts = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in others:
        if abs(to_x - x) < 0.05:
            parts.append(f"L{to_x:.1f},{to_y:.1f}")
        else:
            bend = BEND * (to_y - y)
            first, second = (y + bend, to_y - bend) if abs(to_y - y) > BOX_HEIGHT / 4 else (y - ARC, to_y - ARC)
            parts.append(f"C{x:.1f},{first:.1f} {to_x:.1f},{second:.1f} {to_x:.1f},{to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(parts)
