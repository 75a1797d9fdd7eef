import sys
from pathlib import Path

import pytest

from dev.imports.__main__ import main
from dev.imports.package import Package
from dev.imports.reader import NotReadError, read_package

CONTRACT = """
[tool.importlinter]
root_packages = ["corner_shop"]

[[tool.importlinter.contracts]]
type = "layers"
containers = ["corner_shop"]
layers = ["stock", "till"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with one package, one folder below the root, that breaks its contract."""
    folder = tmp_path / "shop" / "corner_shop"
    (folder / "till").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "till" / "__init__.py").write_text("from corner_shop import stock\n\nprint(stock)\n")
    (folder / "stock.py").write_text("raise RuntimeError('read, never run')\n")
    (tmp_path / "pyproject.toml").write_text(CONTRACT)
    return tmp_path


def test_a_package_is_read_from_the_given_tree(tree: Path) -> None:
    """Its code is not run, and the path is the same afterwards."""
    before = list(sys.path)

    package = read_package(tree, "corner_shop")

    assert package == Package(
        "corner_shop",
        {"corner_shop": 0, "corner_shop.stock": 1, "corner_shop.till": 3},
        frozenset({("corner_shop.till", "corner_shop.stock")}),
    )
    assert sys.path == before


def test_a_package_that_was_imported_from_elsewhere_is_refused(tree: Path) -> None:
    """It would be read from there, and not from the tree."""
    (tree / "json").mkdir()
    (tree / "json" / "__init__.py").write_text("")

    with pytest.raises(NotReadError, match="json was to be read from"):
        read_package(tree, "json")


def test_a_missing_package_is_an_error(tree: Path) -> None:
    with pytest.raises(NotReadError, match="no package bank"):
        read_package(tree, "bank")


def test_the_command_prints_and_draws(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The package and its layers come from pyproject.toml of the tree."""
    picture = tree / "picture.svg"

    assert main(["--root", str(tree), "--svg", str(picture)]) == 0

    assert "goes up: till -> stock" in capsys.readouterr().out
    assert picture.read_text().startswith("<svg")


def test_a_picture_of_two_packages_is_an_error(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--root", str(tree), "--svg", "picture.svg", "corner_shop", "bank"])

    assert "--svg draws one package" in capsys.readouterr().err
