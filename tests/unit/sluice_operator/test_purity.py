"""The folders that decide, judge and render read no clock and no environment; import-linter sees imports only."""

import ast
from pathlib import Path

import pytest

import sluice_operator

ROOT = Path(sluice_operator.__file__).parent
FOLDERS = ("analysis", "api", "counting", "evalues", "manifests", "records", "report", "rollout", "web/pages")
MODULES = sorted(module for folder in FOLDERS for module in (ROOT / folder).rglob("*.py"))
OF_THE_WORLD = {"now", "utcnow", "today", "environ", "getenv", "open", "urlopen"}


def names_in(module: Path) -> set[str]:
    """All attributes and names that the module reads or calls."""
    nodes = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
    attributes = {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name)
    } | {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("datetime", "os")
    }
    calls = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return attributes | calls


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_pure_module_asks_nothing_of_the_world(module: Path) -> None:
    """Time is an argument; so is everything that could differ between two runs on the same input."""
    assert names_in(module) & OF_THE_WORLD == set()


def test_a_clock_would_be_found() -> None:
    """The operator has one, and what builds it is not pure."""
    assert "now" in names_in(ROOT / "assembly.py")
