"""What run records say of revisions: the newest that decides holds, and nonsense says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api.command import Asked
from sluice_operator.api.owner import Manifest
from sluice_operator.controller.observation.remembered import Remembered, of_records
from sluice_operator.manifests import builders
from tests.unit.sluice_operator.build import OWNER


def record(revision: str, hour: int, outcome: str, **data: str) -> Manifest:
    """That of a run of `revision` that ended at `hour`."""
    summary = {"model": f"models:/{revision}", "outcome": outcome, "endedAt": f"2026-03-01T{hour:02}:00:00+00:00"}
    return builders.run_record(OWNER, f"{revision}-{hour}", {**summary, **data})


def said(*records: Manifest, command: str = "") -> tuple[list[tuple[str, str]], list[str]]:
    remembered: Remembered = of_records(records, Asked(command, "jane") if command else None)
    return [(entry.revision, entry.reason) for entry in remembered.rejected], list(remembered.served)


REJECTED = record("b", 1, "Rejected", reason="Aborted")


@pytest.mark.parametrize(
    ("records", "rejected", "served"),
    [
        ([REJECTED], [("b", "Aborted")], []),
        ([record("b", 2, "Promoted"), REJECTED], [], ["b"]),
        ([REJECTED, record("b", 0, "Promoted")], [("b", "Aborted")], []),
        ([record("b", 2, "Withdrawn"), record("b", 3, "Abandoned"), REJECTED], [("b", "Aborted")], []),
        ([record("a", 1, "Promoted"), record("c", 3, "Promoted"), record("b", 2, "Promoted")], [], ["c", "b", "a"]),
    ],
)
def test_the_newest_promotion_or_rejection_of_a_revision_decides(
    records: list[Manifest], rejected: list[tuple[str, str]], served: list[str]
) -> None:
    """A run that was withdrawn or abandoned says nothing about its revision."""
    assert said(*records) == (rejected, served)


def test_an_undo_rejects_what_it_left() -> None:
    """One that has ended by its record, and one that has not by its command; a later promotion counts more."""
    undone = record("a", 4, "Promoted", reason="Returned", stable="models:/b", stableRevision="b")
    assert said(record("b", 3, "Promoted"), undone) == ([("b", "Undone")], ["a"])
    undo = "undo/b/0/2026-03-01T04:00:00Z"
    assert said(record("b", 3, "Promoted"), command=undo) == ([("b", "Undone")], [])
    assert said(record("b", 5, "Promoted"), command=undo) == ([], ["b"])


@pytest.mark.parametrize("data", [None, {}, {"endedAt": "yesterday", "outcome": "Rejected"}, {"outcome": "Promoted"}])
def test_what_somebody_else_wrote_says_nothing(data: Any) -> None:
    """A ConfigMap with our labels must not stop all decisions about the object."""
    assert said({**REJECTED, "data": data}, command="undo it") == ([], [])
