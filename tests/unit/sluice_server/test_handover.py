"""What processes that serve one after the other say to each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice_server import handover
from sluice_server.handover import Failure, Fetched, Place, Report, State

PLACE = Place(cluster=3, gateway=4, channel=5, state="/state", waits=True)


def test_a_process_is_told_its_place_by_its_environment() -> None:
    """Without the variable, nothing is reloaded."""
    assert handover.place(handover.variables(PLACE)) == PLACE
    assert PLACE.descriptors == (3, 4, 5)
    assert handover.place({}) is None


def test_what_is_said_arrives_as_one_line() -> None:
    """Also with a line break in what a model says; an end without a word is none."""
    read, write = os.pipe()
    report = Report("models:/iris/2", False, "two\nlines", final=False)
    with os.fdopen(read, "rb") as reader:
        for said in (Fetched(), report):
            Place(3, 4, write, "", True).tell(said)
        os.close(write)
        assert [handover.read(line) for line in reader] == [Fetched(), report]
    assert handover.read(b"") is None


def test_nobody_has_to_listen(tmp_path: Path) -> None:
    """A process goes on serving where the one that has started it is gone."""
    read, write = os.pipe()
    os.close(read)
    Place(3, 4, write, "", True).tell(Report("models:/iris/2", True, ""))
    os.close(write)


@pytest.mark.parametrize("content", [None, b"", b'{"failed": 3}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Health is no place for an error about it."""
    path = tmp_path / "state"
    if content is not None:
        path.write_bytes(content)
    place = Place(3, 4, 5, str(path), False)
    assert place.shown() == State()
    handover.write_state(State(Failure("models:/iris/3", "why")), path)
    assert place.shown() == State(Failure("models:/iris/3", "why"))
    assert [each.name for each in tmp_path.iterdir()] == ["state"]
