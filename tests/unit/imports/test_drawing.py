from itertools import pairwise
from xml.etree import ElementTree

from dev.imports.contract import Layer
from dev.imports.curves import curves
from dev.imports.drawing import draw
from dev.imports.package import Package
from dev.imports.placing import BOX_HEIGHT, WIDTH, place
from dev.imports.routing import ways
from dev.imports.survey import Survey, survey

SVG = "{http://www.w3.org/2000/svg}"


def package(*names: str, imports: list[tuple[str, str]]) -> Package:
    pairs = ((f"shop.{importer}", f"shop.{imported}") for importer, imported in imports)
    return Package("shop", {"shop": 0, **{f"shop.{name}": 10 for name in names}}, frozenset(pairs))


def crowded() -> Survey:
    """40 rooms in 5 floors of 8; each imports half of all rooms below, and two arrows go up."""
    names = [f"room{number:02}" for number in range(40)]
    down = [(above, below) for at, above in enumerate(names) for below in names[(at // 8 + 1) * 8 :: 2]]
    layers = [Layer(tuple(names[start : start + 8]), independent=True) for start in range(0, 40, 8)]
    return survey(package(*names, imports=[*down, ("room39", "room00"), ("room20", "room21")]), layers)


def elements(svg: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{kind}"))


def test_every_room_and_every_arrow_is_drawn() -> None:
    """Arrows that go up have a class of their own. The title of each arrow says who imports whom."""
    svg = draw(survey(package("door", "till", imports=[("door", "till"), ("till", "door")])))

    drawn = {path[0].text: path.get("class") for path in elements(svg, "path") if len(path)}
    assert drawn == {"door imports till (1)": "down", "till imports door (1)": "up"}
    assert {"door", "till"} <= {text.text for text in elements(svg, "text")}


def test_names_are_escaped() -> None:
    """Python does not allow such names, but the picture must not break on them."""
    odd_names = survey(
        Package("<shop>", {"<shop>": 0, "<shop>.a&b": 1, "<shop>.c": 1}, frozenset({("<shop>.a&b", "<shop>.c")}))
    )

    svg = draw(odd_names)

    assert "a&amp;b" in svg
    assert {"<shop>", "a&b"} <= {text.text for text in elements(svg, "text")}


def test_an_empty_package_is_a_heading() -> None:
    texts = [text.text or "" for text in elements(draw(survey(package(imports=[]))), "text")]

    assert texts[0] == "shop"
    assert texts[1].startswith("0 rooms")


def test_boxes_stand_apart_within_the_picture() -> None:
    plan = place(crowded())

    for row in plan.rows:
        boxes = [plan.boxes[name] for name in row]
        assert boxes[0].x > 0
        assert boxes[-1].right < WIDTH
        assert all(left.right < right.x for left, right in pairwise(boxes))


def test_no_arrow_runs_through_a_box() -> None:
    """At the height of a row of boxes each arrow is straight and in a gap."""
    survey_of_many = crowded()
    plan = place(survey_of_many)

    for curve in curves(ways(survey_of_many.arrows, survey_of_many.floors.up, plan), plan):
        for (x, y), (to_x, to_y) in pairwise(curve.points):
            for box in plan.boxes.values():
                same_height = min(y, to_y) < box.y + BOX_HEIGHT and max(y, to_y) > box.y
                assert not same_height or (x == to_x and not box.x <= x <= box.right)


def test_the_picture_is_the_same_every_time() -> None:
    """It is in the repository, so a second run must not change it."""
    assert draw(crowded()) == draw(crowded())
