"""The identity of a model's files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sluice_server.model.digest import tree_digest


def tree(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_equal_trees_have_one_digest(tmp_path: Path) -> None:
    """Neither the order of writing nor times nor modes matter."""
    first = tree(tmp_path / "one", {"MLmodel": b"a", "sub/x": b"b"})
    two = tree(tmp_path / "two", {"sub/x": b"b", "MLmodel": b"a"})
    os.utime(two / "MLmodel", (0, 0))
    assert tree_digest(first) == tree_digest(two)
    assert tree_digest(first).startswith("sha256:")
    assert len(tree_digest(first)) == len("sha256:") + 64


def test_the_digest_is_the_documented_one(tmp_path: Path) -> None:
    """docs/store.md has this example, and the tests of the store too: the two sides share no code."""
    page = Path(__file__).parents[4] / "docs" / "store.md"
    assert tree_digest(tree(tmp_path, {"sub/é": b"", "a.txt": b"hello\n"})) in page.read_text(encoding="utf-8")


def test_any_change_changes_the_digest(tmp_path: Path) -> None:
    """A changed byte, a moved file and a moved border between two files each give another digest."""
    trees = [{"a": b"xy", "b": b"z"}, {"a": b"x", "b": b"yz"}, {"a": b"xy", "c": b"z"}, {"a": b"xY", "b": b"z"}]
    assert len({tree_digest(tree(tmp_path / str(at), files)) for at, files in enumerate(trees)}) == len(trees)
