"""A registry that does not answer in time, or that is asked again meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sluice_server.fetch.artifacts import Pinned
from sluice_server.fetch.outcome import Unavailable
from sluice_server.reload.asker import Asker, Named

ONE, SOON, LATER = Pinned("models:/iris/1", "iris", "1"), 30.0, 0.01


def test_an_answer_that_comes_late_is_that_of_the_next_look() -> None:
    """Nobody waits for it, and nobody asks a second time meanwhile."""
    may_answer, asked = threading.Event(), list[int]()

    def ask() -> Named:
        asked.append(1)
        may_answer.wait(SOON)
        return ONE

    async def scene() -> None:
        asker = Asker(ask)
        for _ in range(2):
            late = await asker.answer(LATER)
            assert isinstance(late, Unavailable)
            assert late.message == "the registry has not answered within 0.01 s"
        may_answer.set()
        assert await asker.answer(SOON) == ONE
        assert len(asked) == 1
        assert await asker.answer(SOON) == ONE
        assert len(asked) == 2

    asyncio.run(scene())


def test_what_asking_raises_is_raised_once() -> None:
    """And the next look asks again."""
    answers: list[Named | Exception] = [ValueError("no"), ONE]

    def ask() -> Named:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def scene() -> None:
        asker = Asker(ask)
        with pytest.raises(ValueError, match="no"):
            await asker.answer(SOON)
        assert await asker.answer(SOON) == ONE

    asyncio.run(scene())
