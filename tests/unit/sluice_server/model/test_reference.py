"""What a reference has to be, so that requests can be counted by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sluice_server.model.reference import FeatureReference, parse

GOOD: dict[str, Any] = {"name": "x", "edges": [0, 1.5, 2], "counts": [3, 6], "missing": 1}


def text(**changes: Any) -> str:
    return msgspec.json.encode({"rows": 10, "features": [GOOD | changes]}).decode()


def test_numbers_and_categories_are_read() -> None:
    """As the trainer writes them; missing rows may be left out."""
    assert parse(text()).features == (FeatureReference("x", (3, 6), edges=(0.0, 1.5, 2.0), missing=1),)
    colours = {"name": "c", "categories": ["red", "blue"], "counts": [7, 2]}
    read = parse(msgspec.json.encode({"rows": 10, "features": [colours]}).decode())
    assert read.features == (FeatureReference("c", (7, 2), categories=("red", "blue")),)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"edges": [0, 1]}, "2 bins need 3 edges, and there are 2"),
        ({"edges": [0, 2, 1]}, "the edges must rise"),
        ({"edges": [0, 0, 1]}, "the edges must rise"),
        ({"edges": [0, 1, "a"]}, "cannot be read"),
        ({"counts": [3, -1]}, "rows are counted"),
        ({"counts": [3, 60]}, "64 of 10 rows are counted"),
        ({"counts": []}, "0 bins instead of 1 to 50"),
        ({"counts": [1] * 51}, "51 bins instead of 1 to 50"),
        ({"categories": ["a", "b"]}, "there are edges and categories"),
        ({"edges": [], "categories": ["a", "a"]}, "a category of its own"),
        ({"edges": [], "categories": ["a"]}, "a category of its own"),
        ({"name": 1}, "cannot be read"),
    ],
)
def test_what_cannot_be_counted_by_is_told(changes: dict[str, Any], sentence: str) -> None:
    """With what to do about it."""
    with pytest.raises(ValueError, match=sentence) as told:
        parse(text(**changes))
    assert "log the model again with metadata={'sluice.reference_bins'" in str(told.value)
