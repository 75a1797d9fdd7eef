"""Reads the imports of a package with grimp. The source tree need not be the one that runs this program."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grimp

from dev.imports.package import Package


class NotReadError(Exception):
    """The tree has no such package, or Python finds the package of another tree."""


def read_pyproject(root: Path) -> Mapping[str, Any]:
    """The parsed pyproject.toml of the tree; empty if there is none."""
    path = root / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_package(root: Path, name: str) -> Package:
    """The package in the root of the tree, or one folder deeper, such as `operator/sluice_operator`.

    Raises NotReadError.
    """
    parents = [parent for parent in (root, *sorted(root.iterdir())) if (parent / name / "__init__.py").is_file()]
    if not parents:
        raise NotReadError(f"{root} has no package {name}, neither there nor one folder deeper")
    with _first_on_path(parents[0]):
        _check_origin(parents[0] / name, name)
        graph = grimp.build_graph(name, cache_dir=None)
    modules = sorted(graph.modules)
    imports = ((module, imported) for module in modules for imported in graph.find_modules_directly_imported_by(module))
    return Package(name, {module: _lines(parents[0], module) for module in modules}, frozenset(imports))


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Put the folder first on the path, so that grimp reads this tree and not an editable install."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _check_origin(folder: Path, name: str) -> None:
    """Refuse a package that Python has imported from another folder before, because it would be read from there."""
    spec = find_spec(name)
    origin = Path(spec.origin).parent if spec and spec.origin else None
    if origin != folder.resolve():
        raise NotReadError(f"{name} was to be read from {folder}, but Python finds it at {origin}")


def _lines(parent: Path, module: str) -> int:
    path = parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return len(path.read_text(encoding="utf-8").splitlines())
