"""Hosts and their paths: which of them get the same requests."""

from __future__ import annotations

import pytest

from sluice_operator.api.place import Place

HOST = "iris.example.com"


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Place(HOST), Place(HOST), True),
        (Place(HOST), Place(HOST, "/iris"), True),
        (Place(HOST, "/iris"), Place(HOST, "/iris"), True),
        (Place(HOST, "/iris"), Place(HOST, "/iris/v2"), True),
        (Place(HOST, "/iris"), Place(HOST, "/iris-2"), False),
        (Place(HOST, "/iris"), Place(HOST, "/rose"), False),
        (Place(HOST, "/a/b"), Place(HOST, "/a/c"), False),
        (Place(HOST), Place("other.example.com"), False),
    ],
)
def test_a_path_and_what_is_below_it_overlap(one: Place, other: Place, overlap: bool) -> None:
    """Whichever is asked; a path that only begins with the same letters is another one."""
    assert (one.overlaps(other), other.overlaps(one)) == (overlap, overlap)


def test_a_place_is_shown_as_people_write_it() -> None:
    """All of a host is its name."""
    assert [str(place) for place in (Place(HOST), Place(HOST, "/a/b"))] == [HOST, f"{HOST}/a/b"]
