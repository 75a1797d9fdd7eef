"""The view of `kubectl sluice status` in a narrow terminal."""

from __future__ import annotations

import io

from msgspec.structs import replace
from rich.console import Console

from sluice_operator.api.run import Answer, Outcome, TakenCommand
from sluice_operator.api.status import HistoryEntry
from sluice_operator.cli import status_view
from tests.unit.sluice_operator.build import NOW, stable_on


def test_a_run_says_which_version_it_was_however_long_its_commands_are() -> None:
    """That is what people look for in 80 columns."""
    undo = TakenCommand("undo/abc", "kubectl-sluice:administrator@example.com", NOW, Answer.ACCEPTED, "done")
    entry = HistoryEntry(
        model="models:/tickets/12",
        outcome=Outcome.REJECTED,
        reason="AccuracyBelowLimit",
        started_at=NOW,
        ended_at=NOW,
        revision="abc",
        commands=(undo, undo),
    )
    out = io.StringIO()
    console = Console(file=out, width=80)
    console.print(status_view.render("tickets", replace(stable_on(1).status, history=(entry,)), NOW))
    assert "models:/tickets/12" in out.getvalue()
    assert "AccuracyBelowLimit" in out.getvalue()
