from dev.imports.contract import Layer
from dev.imports.floors import Floors, floors
from dev.imports.package import Arrow


def contract(*rows: str) -> list[Layer]:
    return [Layer(tuple(row.split()), independent=True) for row in rows]


def test_without_a_contract_the_longest_path_below_a_room_is_its_floor() -> None:
    """`door` imports `names`, but it also imports `till`, so it is above `till`."""
    result = floors(
        ["door", "logs", "names", "till"],
        [Arrow("door", "names", 1), Arrow("door", "till", 1), Arrow("till", "names", 1)],
    )

    assert result == Floors((("door",), ("till",), ("logs", "names")), frozenset())


def test_an_arrow_against_the_contract_goes_up() -> None:
    """Even if it has many imports, and there is no circle."""
    result = floors(["stock", "till"], [Arrow("stock", "till", 9)], contract("till", "stock"))

    assert result == Floors((("till",), ("stock",)), frozenset({("stock", "till")}))


def test_siblings_share_a_floor() -> None:
    """Even if one of them has a longer path below it."""
    result = floors(
        ["door", "names", "stock", "till"],
        [Arrow("door", "till", 1), Arrow("stock", "names", 1)],
        contract("door", "till stock", "names"),
    )

    assert result == Floors((("door",), ("stock", "till"), ("names",)), frozenset())


def test_an_arrow_between_independent_siblings_does_not_go_down() -> None:
    """Between other siblings it does, because the contract allows it."""
    arrows = [Arrow("till", "stock", 1)]

    assert floors(["stock", "till"], arrows, [Layer(("till", "stock"), independent=True)]).up == {("till", "stock")}
    assert floors(["stock", "till"], arrows, [Layer(("till", "stock"), independent=False)]).up == set()


def test_in_a_circle_the_arrow_of_fewest_imports_goes_up() -> None:
    arrows = [Arrow("door", "till", 2), Arrow("till", "stock", 3), Arrow("stock", "door", 1)]

    assert floors(["door", "stock", "till"], arrows) == Floors(
        (("door",), ("till",), ("stock",)), frozenset({("stock", "door")})
    )


def test_rooms_that_the_contract_does_not_name_are_placed_by_their_imports() -> None:
    """`between` imports a room of the contract, and another one imports it. The order of the contract stays."""
    result = floors(
        ["between", "bottom", "top"],
        [Arrow("top", "between", 1), Arrow("between", "bottom", 1), Arrow("bottom", "top", 5)],
        contract("top", "bottom"),
    )

    assert result == Floors((("top",), ("between",), ("bottom",)), frozenset({("bottom", "top")}))


def test_a_layer_without_rooms_has_no_floor() -> None:
    assert floors(["till"], [], contract("door", "till")).rows == (("till",),)


def test_without_rooms_there_are_no_floors() -> None:
    assert floors([], [], contract("door")) == Floors((), frozenset())


def test_many_paths_do_not_take_long() -> None:
    """Each of 31 rooms imports all rooms after it: more than a billion paths."""
    names = [f"room{number:02}" for number in range(31)]
    arrows = [Arrow(above, below, 1) for at, above in enumerate(names) for below in names[at + 1 :]]

    assert floors(names, arrows).rows == tuple((name,) for name in names)
