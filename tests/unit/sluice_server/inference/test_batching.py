"""How requests share passes through the model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sluice_server.inference.batching import MOST_ROWS_TOGETHER, Batcher, QueueFullError
from sluice_server.inference.pace import Pace
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output


class Doubler:
    """Doubles the first column; fails on negative rows; waits in its first call until it is let go."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.called, self.go = threading.Event(), threading.Event()

    def __call__(self, rows: Rows) -> Output:
        self.calls.append(len(rows))
        if len(self.calls) == 1:
            self.called.set()
            assert self.go.wait(30)
        if (rows < 0).any():
            raise ValueError("a negative row")
        return Output(rows[:, 0] * 2, None, None)


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def rows(*values: float) -> Rows:
    return np.array([[value] for value in values])


def run(
    worker: ThreadPoolExecutor, scene: Callable[[Batcher, Doubler], Awaitable[Any]], limit: int = 10_000, **options: Any
) -> Doubler:
    model = Doubler()

    async def play() -> None:
        await scene(Batcher(model, worker, limit, **options), model)

    asyncio.run(play())
    return model


async def first_call(batcher: Batcher, model: Doubler) -> asyncio.Future[Output]:
    """Submits one row and returns when the model is busy with it."""
    first = batcher.submit(rows(1))
    assert await asyncio.to_thread(model.called.wait, 30)
    return first


def test_what_queued_while_one_ran_goes_together(worker: ThreadPoolExecutor) -> None:
    """The lone first request goes at once; those that came meanwhile share the next pass, each with its own rows."""

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        others = [batcher.submit(rows(2)), batcher.submit(rows(3, 4)), batcher.submit(rows(5))]
        model.go.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.values.tolist() for answer in answers] == [[2], [4], [6, 8], [10]]

    assert run(worker, scene).calls == [1, 4]


def test_a_bad_row_fails_only_its_own_request(worker: ThreadPoolExecutor) -> None:
    """A batch that fails is asked again one request at a time."""

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        others = [batcher.submit(rows(2)), batcher.submit(rows(3, -1)), batcher.submit(rows(5))]
        model.go.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        assert isinstance(answers[2], ValueError)
        assert [answer.values.tolist() for answer in answers if isinstance(answer, Output)] == [[2], [4], [10]]

    assert run(worker, scene).calls == [1, 4, 1, 2, 1]


def test_batches_are_capped(worker: ThreadPoolExecutor) -> None:
    """A pass takes no more rows than the cap, except for one request that is larger by itself."""
    half = MOST_ROWS_TOGETHER // 2 + 1

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        others = [batcher.submit(np.ones((size, 1))) for size in (half, half, 3 * half)]
        model.go.set()
        await asyncio.gather(first, *others)

    assert run(worker, scene).calls == [1, half, half, 3 * half]


def test_too_many_waiting_rows_are_refused(worker: ThreadPoolExecutor) -> None:
    """The queue has a limit, and what is in it is still answered."""

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        second = batcher.submit(rows(2, 3))
        with pytest.raises(QueueFullError):
            batcher.submit(rows(4))
        model.go.set()
        assert (await second).values.tolist() == [4, 6]
        await first

    run(worker, scene, limit=2)


def test_a_cancelled_request_is_not_computed(worker: ThreadPoolExecutor) -> None:
    """Work for a client that went away while waiting is dropped."""

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        dropped, kept = batcher.submit(rows(2)), batcher.submit(rows(3))
        dropped.cancel()
        model.go.set()
        assert (await kept).values.tolist() == [6]
        await first

    assert run(worker, scene).calls == [1, 1]


def test_what_is_answered_at_once_never_leaves_the_event_loop(worker: ThreadPoolExecutor) -> None:
    """Requests of one turn share a pass; the worker runs it if it is more than the loop may wait for."""
    passes = list[tuple[int, bool]]()

    def double(rows: Rows) -> Output:
        passes.append((len(rows), threading.current_thread() is threading.main_thread()))
        return Output(rows[:, 0] * 2, None, None)

    async def play() -> None:
        batcher = Batcher(double, worker, 10_000, Pace(3))
        assert batcher.answers_at_once(3)
        assert not batcher.answers_at_once(4)
        answers = await asyncio.gather(*map(batcher.submit, (rows(1, 2), rows(3))))
        assert [answer.values.tolist() for answer in answers] == [[2, 4], [6]]
        answers = await asyncio.gather(*map(batcher.submit, (rows(1, 2), rows(3), rows(4, 5))))
        assert [answer.values.tolist() for answer in answers] == [[2, 4], [6], [8, 10]]
        assert (await batcher.submit(rows(1, 2, 3, 4))).values.tolist() == [2, 4, 6, 8]

    asyncio.run(play())
    assert passes == [(3, True), (5, False), (4, False)]


def test_under_load_a_batch_is_as_large_as_without_the_loop(worker: ThreadPoolExecutor) -> None:
    """However few rows the loop may wait for: many requests share a pass, or each would pay for one of its own."""
    passes = list[int]()

    def double(rows: Rows) -> Output:
        passes.append(len(rows))
        return Output(rows[:, 0] * 2, None, None)

    async def play() -> None:
        batcher = Batcher(double, worker, 10_000, Pace(1))
        answers = await asyncio.gather(*(batcher.submit(rows(value)) for value in range(32)))
        assert [answer.values.tolist() for answer in answers] == [[2 * value] for value in range(32)]

    asyncio.run(play())
    assert passes == [32]


def test_the_loop_does_not_ask_a_model_that_the_worker_asks(worker: ThreadPoolExecutor) -> None:
    """A model answers one pass at a time; what waits behind the worker is not answered at once."""

    async def play() -> list[int]:
        model = Doubler()
        batcher = Batcher(model, worker, 10_000, Pace(1))
        large = batcher.submit(rows(1, 2))
        assert await asyncio.to_thread(model.called.wait, 30)
        assert not batcher.answers_at_once(1)
        small = batcher.submit(rows(3))
        await asyncio.sleep(0)  # a turn of the loop
        calls = list(model.calls)
        model.go.set()
        assert [answer.values.tolist() for answer in await asyncio.gather(large, small)] == [[2, 4], [6]]
        return calls

    assert asyncio.run(play()) == [2]


def test_a_request_with_params_is_run_by_itself(worker: ThreadPoolExecutor) -> None:
    """Its params are for its own rows; those before and behind it still go together."""
    given: list[tuple[int, Any]] = []

    def with_params(rows: Rows, params: Any) -> Output:
        given.append((len(rows), params))
        return Output(rows[:, 0] * params["factor"], None, None)

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        others = [batcher.submit(rows(2)), batcher.submit(rows(3)), batcher.submit(rows(4), {"factor": 10})]
        others += [batcher.submit(rows(5)), batcher.submit(rows(6))]
        model.go.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.values.tolist() for answer in answers] == [[2], [4], [6], [40], [10], [12]]

    assert run(worker, scene, with_params=with_params).calls == [1, 2, 2]
    assert given == [(1, {"factor": 10})]


def test_a_model_whose_rows_depend_on_each_other_gets_one_request_at_a_time(worker: ThreadPoolExecutor) -> None:
    """Nobody's answer may depend on what somebody else asks at the same time."""

    async def scene(batcher: Batcher, model: Doubler) -> None:
        first = await first_call(batcher, model)
        others = [batcher.submit(rows(2, 3)), batcher.submit(rows(4))]
        model.go.set()
        await asyncio.gather(first, *others)

    assert run(worker, scene, together=False).calls == [1, 2, 1]


@pytest.mark.parametrize("raised", [StopIteration(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_model_raises_fails_its_own_request_only(raised: BaseException) -> None:
    """Not the process, and not the requests behind it."""

    def model(rows: Rows) -> Output:
        if (rows < 0).any():
            raise raised
        return Output(rows[:, 0], None, None)

    async def scene(pace: Pace | None) -> None:
        batcher = Batcher(model, thread, 100, pace)
        answers = await asyncio.gather(*(batcher.submit(rows(value)) for value in (1, -1, 2)), return_exceptions=True)
        assert isinstance(answers[1], RuntimeError)
        assert [answer.values.tolist() for answer in answers if isinstance(answer, Output)] == [[1], [2]]
        assert (await asyncio.wait_for(batcher.submit(rows(3)), 30)).values.tolist() == [3]

    with ThreadPoolExecutor(1) as thread:
        for pace in (None, Pace(10)):
            asyncio.run(scene(pace))
