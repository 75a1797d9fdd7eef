from typing import Any

import pytest

from dev.imports.contract import Layer, layers, root_packages


def pyproject(*contracts: dict[str, Any]) -> dict[str, Any]:
    return {"tool": {"importlinter": {"root_packages": ["shop", "bank"], "contracts": list(contracts)}}}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("till", Layer(("till",), independent=True)),
        ("till | stock", Layer(("till", "stock"), independent=True)),
        ("till : stock", Layer(("till", "stock"), independent=False)),
        ("(till)", Layer(("till",), independent=True)),
    ],
)
def test_a_layer_is_read_as_import_linter_reads_it(layer: str, expected: Layer) -> None:
    assert layers(pyproject({"type": "layers", "containers": ["shop"], "layers": [layer]}), "shop") == (expected,)


def test_full_names_mean_the_same_as_a_container() -> None:
    shop_layers = layers(pyproject({"type": "layers", "layers": ["shop.till", "shop.stock | shop.names"]}), "shop")

    assert [layer.rooms for layer in shop_layers] == [("till",), ("stock", "names")]


def test_the_contract_with_most_rooms_counts() -> None:
    """Other kinds of contracts, and those of other packages or within one room, do not order the floors."""
    contracts = [
        {"type": "layers", "layers": ["shop.till", "shop.names"]},
        {"type": "layers", "layers": ["shop.till", "shop.stock", "shop.names"]},
        {"type": "layers", "layers": ["shop.till.a", "shop.till.b", "shop.till.c", "shop.till.d"]},
        {"type": "layers", "containers": ["bank"], "layers": ["a", "b", "c", "d"]},
        {"type": "forbidden", "source_modules": ["shop"], "forbidden_modules": ["random"]},
    ]

    assert [layer.rooms for layer in layers(pyproject(*contracts), "shop")] == [("till",), ("stock",), ("names",)]


def test_without_a_contract_there_are_no_layers() -> None:
    assert layers(pyproject(), "shop") == ()
    assert layers({}, "shop") == ()


def test_root_packages_are_those_of_import_linter() -> None:
    """Its settings have one name or a list of names."""
    assert root_packages(pyproject()) == ("shop", "bank")
    assert root_packages({"tool": {"importlinter": {"root_package": "shop"}}}) == ("shop",)
    assert root_packages({}) == ()
