from dev.imports import table
from dev.imports.package import Package
from dev.imports.survey import survey

SHOP = Package(
    "shop",
    {"shop": 0, "shop.till": 1, "shop.till.coins": 30, "shop.till.cards": 20, "shop.stock": 12},
    frozenset(
        {
            ("shop.till.coins", "shop.stock"),
            ("shop.till.cards", "shop.stock"),
            ("shop.stock", "shop.till.coins"),
            ("shop.till.coins", "shop.till.cards"),
        }
    ),
)


def test_one_line_per_package_has_all_counts() -> None:
    """Circles of rooms and circles of modules are counted separately."""
    heading, line, *_ = table.totals([survey(SHOP)]).splitlines()

    assert heading.split() == ["rooms", "loose", "modules", "arrows", "going", "up", "circles", "in", "modules"]
    assert line.split() == ["shop", "2", "1", "5", "2", "1", "1", "1"]


def test_the_floor_plan_shows_rooms_from_the_top_then_arrows_up_and_circles() -> None:
    plan = table.floor_plan(survey(SHOP)).splitlines()

    assert [line.split() for line in plan[2:4]] == [
        ["2", "till/", "3", "51", "1", "1"],
        ["1", "stock", "1", "12", "1", "1"],
    ]
    assert plan[4:] == [
        "  goes up: stock -> till (imports: 1)",
        "  circle of rooms: stock, till",
        "  circle of modules: shop.stock, shop.till.cards, shop.till.coins",
    ]


def test_no_line_is_wider_than_the_terminal() -> None:
    """The line of a large circle is wrapped."""
    names = [f"shop.with_a_long_name_{number}" for number in range(20)]
    circle = frozenset(zip(names, [*names[1:], names[0]], strict=True))
    large = survey(Package("shop", dict.fromkeys(names, 1), circle))

    lines = f"{table.totals([large])}\n{table.floor_plan(large)}".splitlines()

    assert max(map(len, lines)) <= table.WIDTH


def test_an_empty_package_is_a_line_of_zeros() -> None:
    empty = survey(Package("shop", {"shop": 0}, frozenset()))

    assert table.totals([empty]).splitlines()[1].split() == ["shop", "0", "0", "1", "0", "0", "0", "0"]
    assert len(table.floor_plan(empty).splitlines()) == 2
