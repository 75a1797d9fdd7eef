import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from dev.demo import status
from dev.demo.board import Board, NotReachedError, line, phase_and_step


def status_of(**fields: Any) -> status.Status:
    return status.parse({"status": fields})


STEPPING = status_of(
    phase="Stepping",
    message="7 of 50 requests",
    stable={"revision": "a", "model": {"version": "1"}},
    canary={"revision": "b", "model": {"version": "2"}},
    run={"step": 0},
    weight={"desired": 10, "live": 0},
    verdict={"result": "Undecided"},
)


def test_a_stage_is_the_phase_with_step_and_weight() -> None:
    """Steps are counted from 1. Phases without steps are only named."""
    assert phase_and_step(STEPPING) == "Stepping, step 1 at 10 %"
    assert phase_and_step(status_of(phase="Watching")) == "Watching"


def test_a_line_has_the_whole_status() -> None:
    """Versions, weight, verdict and message are in one line."""
    assert line(STEPPING) == (
        "Stepping: stable 1, canary 2, weight 10 % (live 0 %), verdict Undecided. 7 of 50 requests"
    )


def test_each_change_is_printed_once() -> None:
    """A status in which only the numbers of the message changed is not printed."""
    printed: list[str] = []
    board = Board(print_line=printed.append)
    board.update(STEPPING)
    board.update(replace(STEPPING, message="9 of 50 requests"))

    assert printed == [line(STEPPING)]


def test_changes_keep_the_time_of_each_stage() -> None:
    """A phase or step is noted when it begins, with its part of the demo."""
    times = iter(float(second) for second in range(100))
    board = Board(clock=lambda: next(times))
    with board.part("good run"):
        board.update(STEPPING)
        board.update(STEPPING)
        board.update(status_of(phase="Promoting"))

    assert [(change.part, change.phase_and_step) for change in board.changes] == [
        ("good run", "Stepping, step 1 at 10 %"),
        ("good run", "Promoting"),
    ]
    assert board.changes[0].at < board.changes[1].at


def test_a_part_ends_also_when_it_fails() -> None:
    """The time of a part that failed is known, too."""
    board = Board()
    with pytest.raises(ValueError, match="broke"), board.part("good run"):
        raise ValueError("broke")

    assert board.parts[0].ended is not None


def test_waiting_ends_with_the_expected_status() -> None:
    """The result is the first status that matches."""

    async def run() -> status.Status:
        board = Board()
        waiting = asyncio.create_task(board.until("it steps", lambda now: now.phase == "Stepping", within=5))
        await asyncio.sleep(0)
        board.update(status_of(phase="Starting"))
        await asyncio.sleep(0)
        board.update(STEPPING)
        return await waiting

    assert asyncio.run(run()) == STEPPING


def test_waiting_in_vain_is_an_error_with_the_last_status() -> None:
    """The message has what was expected, the time and the status."""

    async def run() -> None:
        board = Board()
        board.update(STEPPING)
        await board.until("it is promoted", lambda now: False, within=0)

    with pytest.raises(NotReachedError, match=r"not within 0 s: it is promoted; instead Stepping: stable 1"):
        asyncio.run(run())


def test_an_object_without_status_is_pending() -> None:
    """Before the first reconcile it has no status to parse."""
    assert status.parse({"metadata": {"name": "iris"}}).phase == "Pending"
