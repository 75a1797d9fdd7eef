"""Which labels count as the first of their row."""

from __future__ import annotations

from sluice_server.inference.labels import LabelledRows


def test_each_row_is_new_once() -> None:
    """Repeats are told apart by id and row."""
    labelled = LabelledRows()
    assert labelled.add(b"a", 0)
    assert labelled.add(b"a", 1)
    assert labelled.add(b"b", 0)
    assert not labelled.add(b"a", 0)


def test_what_is_remembered_is_bounded() -> None:
    """Beyond its size the oldest id is forgotten."""
    labelled = LabelledRows(2)
    assert all(labelled.add(name, 0) for name in (b"a", b"b", b"c"))
    assert not labelled.add(b"c", 0)
    assert not labelled.add(b"b", 0)
    assert labelled.add(b"a", 0)
