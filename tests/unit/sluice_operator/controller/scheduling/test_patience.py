"""A look waits as long as it likes for an answer, and hears it later. Time is simulated."""

from __future__ import annotations

import asyncio

from sluice_operator.controller.scheduling.patience import Patience
from tests.unit.sluice_operator.simulated_time import simulated

KEY = ("models", "iris")


class Asked:
    """Asks questions that take so many seconds, in looks that wait two seconds each. Answers are counted up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun, self.woken = seconds, 0, list[float]()
        self.patience = Patience[int](lambda _: self.woken.append(asyncio.get_running_loop().time()))

    async def look(self, question: str = "?", patience: float = 2.0) -> int | None:
        return await self.patience.answer(KEY, question, self._work, asyncio.get_running_loop().time() + patience)

    async def _work(self) -> int:
        self.begun += 1
        number = self.begun
        await asyncio.sleep(self.seconds)
        return number


def test_an_answer_that_nobody_waits_for_any_more_wakes_the_object() -> None:
    """The next look has it at once. One that was waited for wakes nobody."""

    async def scenario() -> None:
        asked = Asked(5)
        assert await asked.look() is None
        await asyncio.sleep(4)
        assert asked.woken == [5]
        assert (await asked.look(patience=0), asked.begun) == (1, 1)
        asked.seconds = 1
        assert (await asked.look(), asked.woken) == (2, [5])

    simulated(scenario)


def test_until_a_new_answer_is_there_the_one_before_stands() -> None:
    """So that a slow gateway does not change what is told with every look; but not for ever."""

    async def scenario() -> None:
        asked = Asked(1)
        assert await asked.look() == 1
        asked.seconds = 1000
        assert await asked.look() == 1
        asked.patience.forget(KEY)
        assert await asked.look() is None

        asked = Asked(1)
        assert await asked.look() == 1
        await asyncio.sleep(31)
        asked.seconds = 1000
        assert await asked.look() is None

    simulated(scenario)


def test_an_answer_to_another_question_is_never_given() -> None:
    """A weight that was written meanwhile is another question, and its proof does not wait for the old one's."""

    async def scenario() -> None:
        asked = Asked(5)
        assert await asked.look("weight 10") is None
        asked.seconds = 1
        assert (await asked.look("weight 0"), asked.woken) == (2, [])

    simulated(scenario)


def test_an_object_that_is_forgotten_during_a_look_ends_it() -> None:
    """Without an answer, and without harm to the worker."""

    async def scenario() -> None:
        asked = Asked(5)
        look = asyncio.create_task(asked.look())
        await asyncio.sleep(1)
        asked.patience.forget(KEY)
        assert await look is None

    simulated(scenario)
