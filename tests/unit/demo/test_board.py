import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from dev.demo import status
from dev.demo.board import Board, NotReachedError, line, stage


def seen(**fields: Any) -> status.Status:
    return status.parse({"status": fields})


STEPPING = seen(
    phase="Stepping",
    message="7 of 50 requests",
    stable={"revision": "a", "model": {"version": "1"}},
    canary={"revision": "b", "model": {"version": "2"}},
    run={"step": 0},
    weight={"desired": 10, "live": 0},
    verdict={"result": "Undecided"},
)


def test_a_step_is_named_with_its_weight() -> None:
    """People count steps from 1; other phases are named as they are."""
    assert stage(STEPPING) == "Stepping, step 1 at 10 %"
    assert stage(seen(phase="Watching")) == "Watching"


def test_a_line_says_what_a_person_needs() -> None:
    """Versions, weight, verdict and the operator's own sentence are in one line."""
    assert line(STEPPING) == (
        "Stepping: stable 1, canary 2, weight 10 % (live 0 %), verdict Undecided. 7 of 50 requests"
    )


def test_each_change_is_told_once() -> None:
    """The same status again is no news, and neither are other numbers in its sentence."""
    told: list[str] = []
    board = Board(tell=told.append)
    board.saw(STEPPING)
    board.saw(replace(STEPPING, message="9 of 50 requests"))

    assert told == [line(STEPPING)]


def test_changes_keep_the_time_of_each_stage() -> None:
    """A stage is noted when it begins, with the part of the demo that it belongs to."""
    times = iter(float(second) for second in range(100))
    board = Board(clock=lambda: next(times))
    with board.part("good run"):
        board.saw(STEPPING)
        board.saw(STEPPING)
        board.saw(seen(phase="Promoting"))

    assert [(change.part, change.stage) for change in board.changes] == [
        ("good run", "Stepping, step 1 at 10 %"),
        ("good run", "Promoting"),
    ]
    assert board.changes[0].at < board.changes[1].at


def test_a_part_ends_also_when_it_fails() -> None:
    """The time of a part that broke is known too."""
    board = Board()
    with pytest.raises(ValueError, match="broke"), board.part("good run"):
        raise ValueError("broke")

    assert board.parts[0].ended is not None


def test_waiting_ends_with_the_expected_status() -> None:
    """Whoever waits gets the first status that fits."""

    async def run() -> status.Status:
        board = Board()
        waiting = asyncio.create_task(board.until("it steps", lambda now: now.phase == "Stepping", within=5))
        await asyncio.sleep(0)
        board.saw(seen(phase="Starting"))
        await asyncio.sleep(0)
        board.saw(STEPPING)
        return await waiting

    assert asyncio.run(run()) == STEPPING


def test_waiting_in_vain_says_what_was_there_instead() -> None:
    """The message has the wish, the time and the status."""

    async def run() -> None:
        board = Board()
        board.saw(STEPPING)
        await board.until("it is promoted", lambda now: False, within=0)

    with pytest.raises(NotReachedError, match=r"not within 0 s: it is promoted; instead Stepping: stable 1"):
        asyncio.run(run())


def test_an_object_without_status_is_pending() -> None:
    """Before the first reconcile there is nothing to parse."""
    assert status.parse({"metadata": {"name": "iris"}}).phase == "Pending"
