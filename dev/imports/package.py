"""A package as its imports show it: modules below, rooms above. Pure.

A room is a direct child of the package: a folder with all that is in it, or a single module in the root.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """What was read: each module by its full name with its lines, and who imports whom."""

    name: str
    lines: Mapping[str, int]
    imports: frozenset[tuple[str, str]]  # (importer, imported), both of them names in `lines`


@dataclass(frozen=True, slots=True)
class Room:
    name: str
    modules: int
    lines: int
    loose: bool  # a single module in the root of the package, no folder


@dataclass(frozen=True, slots=True)
class Arrow:
    """One room imports another one."""

    importer: str
    imported: str
    imports: int  # pairs of modules


def rooms(package: Package) -> tuple[Room, ...]:
    """By name. The package's own `__init__` is one of them only where it imports or is imported."""
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
    """By name of the importer, then of the imported one. Imports within a room are no arrow."""
    pairs = Counter((_room(importer), _room(imported)) for importer, imported in package.imports)
    return tuple(Arrow(*pair, pairs[pair]) for pair in sorted(pairs) if pair[0] != pair[1])


def _room(module: str) -> str:
    _, *below = module.split(".")
    return below[0] if below else "__init__"
