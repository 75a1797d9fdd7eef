"""The order of the rooms, as the contract of import-linter in pyproject.toml has it. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Layer:
    rooms: tuple[str, ...]
    independent: bool  # siblings that must not import each other


def layers(pyproject: Mapping[str, Any], package: str) -> tuple[Layer, ...]:
    """The layers from the top, of the `layers` contract with most rooms of `package`; () without such a contract."""
    contracts = pyproject.get("tool", {}).get("importlinter", {}).get("contracts", [])
    orders = [order for contract in contracts for order in _orders(contract, package)]
    return max(orders, key=lambda order: sum(len(layer.rooms) for layer in order), default=())


def root_packages(pyproject: Mapping[str, Any]) -> tuple[str, ...]:
    """The packages that import-linter reads."""
    settings = pyproject.get("tool", {}).get("importlinter", {})
    return tuple(settings.get("root_packages", [settings["root_package"]] if "root_package" in settings else []))


def _orders(contract: Mapping[str, Any], package: str) -> Iterator[tuple[Layer, ...]]:
    if contract.get("type") != "layers":
        return
    for container in contract.get("containers", [""]):
        parsed = [_layer(text, container) for text in contract["layers"]]
        if all(name.startswith(f"{package}.") and name.count(".") == 1 for layer in parsed for name in layer.rooms):
            yield tuple(
                Layer(tuple(name.partition(".")[2] for name in layer.rooms), layer.independent) for layer in parsed
            )


def _layer(text: str, container: str) -> Layer:
    """`a | b` are independent siblings, `a : b` may import each other, `(a)` need not exist."""
    names = [name.strip(" ()") for name in re.split(r"[|:]", text)]
    return Layer(tuple(f"{container}.{name}" if container else name for name in names), ":" not in text)
