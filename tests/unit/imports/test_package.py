from dev.imports.package import Arrow, Package, Room, arrows, rooms


def package(lines: dict[str, int], *imports: tuple[str, str]) -> Package:
    return Package("shop", {"shop": 1, **lines}, frozenset(imports))


def test_a_folder_is_one_room_with_all_that_is_in_it() -> None:
    """Its own `__init__` and modules deeper down count too."""
    shop_rooms = rooms(package({"shop.till": 2, "shop.till.coins": 30, "shop.till.cards.chip": 10, "shop.names": 5}))

    assert shop_rooms == (Room("names", 1, 5, loose=True), Room("till", 3, 42, loose=False))


def test_arrows_count_pairs_of_modules() -> None:
    """Two modules of a folder that import the same module count as two. Imports within the folder do not count."""
    lines = {"shop.till": 0, "shop.till.coins": 1, "shop.till.cards": 1, "shop.names": 1}
    imports = [
        ("shop.till.coins", "shop.names"),
        ("shop.till.cards", "shop.names"),
        ("shop.till.cards", "shop.till.coins"),
    ]

    assert arrows(package(lines, *imports)) == (Arrow("till", "names", 2),)


def test_the_root_module_is_a_room_if_it_imports_or_is_imported() -> None:
    """Otherwise the `__init__` of the package is left out."""
    lines = {"shop.names": 5}

    assert [room.name for room in rooms(package(lines))] == ["names"]
    assert [room.name for room in rooms(package(lines, ("shop", "shop.names")))] == ["__init__", "names"]


def test_an_empty_package_has_no_rooms() -> None:
    assert rooms(package({})) == ()
    assert arrows(package({})) == ()
