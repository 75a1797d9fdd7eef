"""The queue: one worker per key, no key is lost, and a failing key backs off. Time is simulated."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Container
from itertools import pairwise

import pytest

from sluice_operator.api.owner import Key
from sluice_operator.controller.scheduling.workqueue import Work, Workers, WorkQueue
from tests.unit.sluice_operator.simulated_time import simulated

A, B = ("models", "a"), ("models", "b")


class Log:
    """Work that notes when it was called, and then calls the given function."""

    def __init__(self, work: Callable[[Key], Awaitable[float | None]]) -> None:
        self._work = work
        self.calls: list[tuple[float, str]] = []

    async def __call__(self, namespace: str, name: str) -> float | None:
        self.calls.append((round(asyncio.get_running_loop().time(), 3), name))
        return await self._work((namespace, name))


def queue(work: Work, workers: int = 2, rollouts: Container[Key] = ()) -> WorkQueue:
    return WorkQueue(work, Workers(workers, workers), random.Random(1), rollouts)


async def run_for(work: WorkQueue, seconds: float) -> None:
    running = asyncio.create_task(work.run())
    await asyncio.sleep(seconds)
    assert not running.done(), "the workers go on"
    running.cancel()


async def nothing(key: Key) -> float | None:
    return None


def test_a_key_that_is_added_twice_is_worked_on_once() -> None:
    """An event is only a hint: what is true is read when the work is done."""

    async def scenario() -> None:
        log = Log(nothing)
        keys = queue(log)
        for key in (A, B, A):
            keys.add(key)
        await run_for(keys, 1)
        assert log.calls == [(0, "a"), (0, "b")]

    simulated(scenario)


def test_two_workers_never_have_the_same_key() -> None:
    """However many are free. A key that is added meanwhile is worked on once more afterwards."""

    async def scenario() -> None:
        busy = 0

        async def slow(key: Key) -> float | None:
            nonlocal busy
            busy += 1
            assert busy == 1
            await asyncio.sleep(10)
            busy -= 1
            return None

        log = Log(slow)
        keys = queue(log, workers=4)
        keys.add(A)
        for at in (1, 2, 3):
            asyncio.get_running_loop().call_later(at, keys.add, A)
        await run_for(keys, 100)
        assert log.calls == [(0, "a"), (10, "a")]

    simulated(scenario)


def test_a_slow_key_does_not_delay_the_others() -> None:
    """They go to the other workers."""

    async def scenario() -> None:
        log = Log(lambda key: asyncio.sleep(50 if key == A else 0, result=None))
        keys = queue(log)
        keys.add(A)
        for at in (1, 2):
            asyncio.get_running_loop().call_later(at, keys.add, B)
        await run_for(keys, 10)
        assert log.calls == [(0, "a"), (1, "b"), (2, "b")]

    simulated(scenario)


def test_a_key_is_due_again_after_the_pause_that_its_work_returns() -> None:
    """After None it is not due until it is added."""

    async def scenario() -> None:
        pauses = iter([5.0, 0.5, None])

        async def paced(key: Key) -> float | None:
            return next(pauses)

        log = Log(paced)
        keys = queue(log)
        keys.add(A)
        await run_for(keys, 100)
        assert log.calls == [(0, "a"), (5, "a"), (5.5, "a")]

    simulated(scenario)


def test_an_event_replaces_the_timer_of_its_key() -> None:
    """The key is worked on at once, and not again when the timer would have ended."""

    async def scenario() -> None:
        pauses = iter([30.0, None])

        async def paced(key: Key) -> float | None:
            return next(pauses)

        log = Log(paced)
        keys = queue(log)
        keys.add(A)
        asyncio.get_running_loop().call_later(3, keys.add, A)
        await run_for(keys, 100)
        assert log.calls == [(0, "a"), (3, "a")]

    simulated(scenario)


def test_a_failing_key_backs_off_with_jitter_up_to_five_minutes() -> None:
    """Each pause is about twice as long as the one before, and other keys are not delayed."""

    async def scenario() -> None:
        async def failing(key: Key) -> float | None:
            if key == A:
                raise RuntimeError("broken")
            return 100.0

        log = Log(failing)
        keys = queue(log)
        keys.add(A)
        keys.add(B)
        await run_for(keys, 3600)
        times = [at for at, name in log.calls if name == "a"]
        pauses = [after - before for before, after in pairwise(times)]
        for attempt, pause in enumerate(pauses):
            longest = min(300.0, 0.5 * 2**attempt)
            assert longest / 2 - 0.002 <= pause <= longest + 0.002
        assert [at for at, name in log.calls if name == "b"] == [float(at) for at in range(0, 3600, 100)]

    simulated(scenario)


def test_a_failing_rollout_is_tried_again_after_fifteen_seconds_at_most() -> None:
    """Requests may be failing meanwhile."""

    async def scenario() -> None:
        async def failing(key: Key) -> float | None:
            raise RuntimeError("broken")

        log = Log(failing)
        keys = queue(log, rollouts=[A])
        keys.add(A)
        await run_for(keys, 600)
        times = [at for at, _ in log.calls]
        assert max(after - before for before, after in pairwise(times)) <= 15.002

    simulated(scenario)


def test_objects_at_rest_do_not_delay_a_rollout() -> None:
    """However many they are, and though each of them hangs."""

    async def scenario() -> None:
        async def hanging(key: Key) -> float | None:
            await asyncio.sleep(0 if key == A else 3600)
            return None

        log = Log(hanging)
        keys = queue(log, rollouts=[A])
        for number in range(1000):
            keys.add(("models", f"idle-{number}"))
        asyncio.get_running_loop().call_later(1, keys.add, A)
        await run_for(keys, 10)
        assert (1, "a") in log.calls

    simulated(scenario)


def test_work_that_never_ends_is_a_trouble_of_the_process() -> None:
    """After five minutes, and it names the object."""

    async def scenario() -> None:
        keys = queue(lambda *_: asyncio.sleep(3600, result=None))
        keys.add(A)
        running = asyncio.create_task(keys.run())
        await asyncio.sleep(300)
        assert keys.trouble() == ""
        await asyncio.sleep(1)
        assert keys.trouble() == "models/a has been worked on for 301 s"
        running.cancel()

    simulated(scenario)


def test_an_object_that_begins_a_rollout_overtakes_those_at_rest() -> None:
    """It waits among them already when the rollout begins, and is worked on once."""

    async def scenario() -> None:
        log = Log(lambda key: asyncio.sleep(0 if key == A else 5, result=None))
        rollouts: set[Key] = set()
        keys = queue(log, workers=1, rollouts=rollouts)
        for number in range(3):
            keys.add(("models", f"idle-{number}"))
        keys.add(A)
        rollouts.add(A)
        asyncio.get_running_loop().call_later(1, keys.add, A)
        await run_for(keys, 60)
        assert [at for at, name in log.calls if name == "a"] == [1]

    simulated(scenario)


def test_a_success_ends_the_backoff() -> None:
    """The next failure begins with a short pause again."""

    async def scenario() -> None:
        fails = iter([True] * 6 + [False, True])

        async def sometimes(key: Key) -> float | None:
            if next(fails, False):
                raise RuntimeError("broken")
            return 1.0

        log = Log(sometimes)
        keys = queue(log)
        keys.add(A)
        await run_for(keys, 100)
        times = [at for at, _ in log.calls]
        assert times[5] - times[4] > 4
        assert times[8] - times[7] <= 0.5

    simulated(scenario)


def test_a_key_that_fails_for_days_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """Its worker goes on, and its pause does not grow without limit."""
    caplog.set_level(logging.CRITICAL)

    async def scenario() -> None:
        async def failing(key: Key) -> float | None:
            raise RuntimeError("broken")

        log = Log(failing)
        keys = queue(log)
        keys.add(A)
        await run_for(keys, 5 * 86_400)
        assert len(log.calls) > 5 * 288

    simulated(scenario)


def test_the_queue_says_how_many_wait_in_each_lane_and_for_how_long() -> None:
    """An object that begins a rollout takes the time that it has waited into its new lane."""

    async def scenario() -> None:
        rollouts: set[Key] = set()
        keys = queue(lambda *_: asyncio.sleep(3600, result=None), rollouts=rollouts)
        keys.add(A)
        await asyncio.sleep(1)
        keys.add(B)
        await asyncio.sleep(1)
        assert keys.ages() == {"at_rest": [2, 1], "rollouts": []}
        rollouts.add(A)
        keys.add(A)
        assert keys.ages() == {"at_rest": [1], "rollouts": [2]}
        await run_for(keys, 1)
        assert keys.ages() == {"at_rest": [], "rollouts": []}

    simulated(scenario)
