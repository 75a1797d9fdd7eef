"""A package as modules and as rooms, with the imports between them. Pure.

A room is a direct child of the package: a folder with all that is in it, or a single module in the root.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """`lines`: the number of lines of each module, by its full name."""

    name: str
    lines: Mapping[str, int]
    imports: frozenset[tuple[str, str]]  # (importer, imported), both of them names in `lines`


@dataclass(frozen=True, slots=True)
class Room:
    name: str
    modules: int
    lines: int
    loose: bool  # whether it is a single module and not a folder


@dataclass(frozen=True, slots=True)
class Arrow:
    """One room imports another one."""

    importer: str
    imported: str
    imports: int  # number of pairs of modules


def rooms(package: Package) -> tuple[Room, ...]:
    """The rooms by name. The package's own `__init__` is one of them only if it imports or is imported."""
    modules: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for module, count in package.lines.items():
        modules[_room(module)] += 1
        lines[_room(module)] += count
    if not any(package.name in pair for pair in package.imports):
        modules.pop("__init__", None)
    folders = {_room(module) for module in package.lines if module.count(".") > 1}
    return tuple(Room(name, modules[name], lines[name], name not in folders) for name in sorted(modules))


def arrows(package: Package) -> tuple[Arrow, ...]:
    """The arrows by name of the importer, then of the imported room. Imports within a room do not count."""
    pairs = Counter((_room(importer), _room(imported)) for importer, imported in package.imports)
    return tuple(Arrow(*pair, pairs[pair]) for pair in sorted(pairs) if pair[0] != pair[1])


def _room(module: str) -> str:
    _, *below = module.split(".")
    return below[0] if below else "__init__"
