from typing import Any

import pytest
from rich.console import Console, RenderableType

from dev.demo import status, summary, tally, view
from dev.demo.board import Change, Part
from dev.demo.promises import Promise
from dev.demo.traffic import Request


def printed(renderable: RenderableType) -> str:
    console = Console(width=110, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def picture(**fields: Any) -> view.Picture:
    requests = [Request("predict", 1.0, 0.01, 200, version, correct=True) for version in ("1", "2")]
    return view.Picture(
        now=12.0,
        parts=[Part("models", 0.0, 8.0), Part("good run", 8.0)],
        status=status.parse({"status": fields}),
        rates={"1": (40, 45), "2": (4, 5)},
        totals=tally.totals(requests),
        failed=0,
        notices=["chaos: killed the operator"],
    )


def test_the_picture_has_the_whole_state() -> None:
    """Phase, step, both weights, verdict with numbers, rates by version, notices and failures."""
    text = printed(
        view.render(
            picture(
                phase="Stepping",
                message="waiting for 43 more requests",
                stable={"revision": "a", "model": {"version": "1"}},
                canary={"revision": "b", "model": {"version": "2"}},
                run={"step": 1},
                weight={"desired": 50, "live": 10},
                verdict={
                    "result": "Undecided",
                    "message": "accuracy needs more labels",
                    "objectives": [
                        {"name": "accuracy", "result": "Undecided", "canary": "0.97", "limit": "0.85", "requests": 57}
                    ],
                },
            )
        )
    )

    for expected in (
        *("Stepping, step 2 at 50 %", " 50 %", " 10 %", "waiting for 43 more requests", "version 2"),
        *("verdict  Undecided", "accuracy", "0.97", "0.85", "57", " 45/s", "  5/s", "0 requests failed"),
        *("✓ models 8 s", "▸ good run 4 s", "chaos: killed the operator"),
    ):
        assert expected in text


def test_a_picture_without_a_status_can_be_drawn() -> None:
    """It shows phase Pending."""
    assert "Pending" in printed(view.render(picture()))


@pytest.mark.parametrize(("share", "filled"), [(0, 0), (0.5, 5), (1, 10), (-1, 0), (7, 10)])
def test_a_bar_has_its_share_filled(share: float, filled: int) -> None:
    """Its width is the same for each share."""
    assert view.bar(share, 10) == "█" * filled + "░" * (10 - filled)


def test_a_sparkline_shows_every_value_above_zero() -> None:
    """One answer per second is visible next to hundreds."""
    assert view.sparkline((0, 1, 500, 1000), top=1000) == " ▁▄█"
    assert view.sparkline((0, 0), top=0) == "  "


def test_the_summary_lists_kept_and_broken_promises() -> None:
    """A broken promise is printed with what was found instead."""
    text = printed(
        summary.render(
            totals=tally.totals([Request("predict", 0.0, 0.02, 200, "1", correct=True)]),
            changes=[Change(1.0, "good run", "Starting"), Change(4.0, "good run", "Stable")],
            parts=[Part("good run", 1.0, 4.5)],
            times=[("from kubectl apply to the first prediction", "2.5")],
            promises=[Promise("kept", True, ""), Promise("broken", False, "stable is 3")],
            now=5.0,
        )
    )

    for expected in ("✓ kept", "✗ broken: stable is 3", "Starting", "3.0", "3.5", "2.5", "100.0%", "20 ms"):
        assert expected in text


def test_durations_leave_out_the_time_between_runs() -> None:
    """Then the phase is Stable."""
    changes = [Change(0.0, "a", "Stable"), Change(2.0, "a", "Starting"), Change(5.0, "a", "Stable")]

    assert summary.durations(changes, end=9.0) == [("a", "Starting", 3.0)]
