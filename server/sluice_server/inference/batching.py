"""Adaptive batching without a timer: each batch takes what queued up while the last one ran.

A lone request is never delayed; under load one pass through the model serves many. A batch so small that the model
answers it at once (`pace`) is run by the event loop itself, every other one in a worker thread, so that the loop stays
free for health checks; there is never more than one at a time. When a batch fails, its requests are run one by one, so
that a bad row fails only its own request. A request with params is a batch of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import accumulate
from typing import TypeAlias

import msgspec
import numpy as np

from sluice_server.inference.pace import Pace
from sluice_server.inference.params import Params
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

MOST_ROWS_TOGETHER = 1_024  # a larger batch would make those behind it wait longer than it saves

Outcome: TypeAlias = Output | Exception  # of one request


class QueueFullError(Exception):
    """More rows wait than the limit allows."""


class _Job(msgspec.Struct, frozen=True, gc=False):
    rows: Rows
    params: Params | None
    deliver: Callable[[Outcome], None]  # must not raise
    unwanted: Callable[[], bool]  # whether nobody waits for the outcome any more


class Batcher:
    """Runs `predict` on what was submitted, in order. What was cancelled is not computed if it still waits.

    Without a `pace` every batch runs in the worker. `with_params` runs a request with params, for a model that takes
    some. `together`: whether requests may be put into one batch at all.
    """

    def __init__(
        self,
        predict: Callable[[Rows], Output],
        worker: Executor,
        max_queued_rows: int,
        pace: Pace | None = None,
        with_params: Callable[[Rows, Params | None], Output] | None = None,
        together: bool = True,
    ) -> None:
        self._predict = predict
        self._with_params = with_params
        self._together = together
        self._worker = worker
        self._max_queued_rows = max_queued_rows
        self._pace = pace or Pace()
        self._waiting: deque[_Job] = deque()
        self._queued_rows = 0
        self._busy = False  # a batch runs, or its turn comes next
        self._in_worker = False

    def answers_at_once(self, rows: int) -> bool:
        """Whether so many rows, submitted now, are in the next batch, before the loop turns to anything else."""
        return not self._in_worker and self._queued_rows + rows <= self._pace.rows

    def submit(self, rows: Rows, params: Params | None = None) -> asyncio.Future[Output]:
        """The future output for these rows; raises QueueFullError. Must be called from the event loop."""
        if self._waiting and self._queued_rows + len(rows) > self._max_queued_rows:
            raise QueueFullError(self._queued_rows)
        output = asyncio.get_running_loop().create_future()
        self._put(_Job(rows, params, partial(_settle, output), output.cancelled))
        return output

    def put(self, rows: Rows, deliver: Callable[[Outcome], None]) -> None:
        """Has `deliver`, which must not raise, called with the outcome for these rows. Nothing takes them back."""
        self._put(_Job(rows, None, deliver, _never))

    def _put(self, job: _Job) -> None:
        self._waiting.append(job)
        self._queued_rows += len(job.rows)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._run_next)  # requests read in this turn of the loop go together

    def _run_next(self) -> None:
        jobs = self._take()
        if not jobs:
            self._busy = False
            return
        loop = asyncio.get_running_loop()
        requests = [job.rows for job in jobs]
        if sum(map(len, requests)) <= self._pace.rows:
            outcomes = self._run_here(requests)
            loop.call_soon(self._run_next)  # what else the loop has to do comes first
            _deliver(jobs, outcomes)
        else:
            self._in_worker = True
            running = loop.run_in_executor(self._worker, predict_together, self._way(jobs[0]), requests)
            running.add_done_callback(partial(self._ran_in_worker, jobs))

    def _run_here(self, requests: Sequence[Rows]) -> list[Outcome]:
        began = time.thread_time()  # a container that is throttled does not make its model a slow one
        outcomes = predict_together(self._predict, requests)
        self._pace.passed(time.thread_time() - began)
        return outcomes

    def _ran_in_worker(self, jobs: list[_Job], running: asyncio.Future[list[Outcome]]) -> None:
        self._in_worker = False
        if running.cancelled():
            _deliver(jobs, [RuntimeError("the server stopped") for _ in jobs])
        else:
            _deliver(jobs, running.result())
        self._run_next()

    def _way(self, job: _Job) -> Callable[[Rows], Output]:
        if job.params is None or self._with_params is None:
            return self._predict
        with_params, params = self._with_params, job.params
        return lambda rows: with_params(rows, params)

    def _take(self) -> list[_Job]:
        jobs: list[_Job] = []
        rows = 0
        while self._waiting and (not jobs or self._joins(self._waiting[0], jobs[0], rows)):
            job = self._waiting.popleft()
            self._queued_rows -= len(job.rows)
            if not job.unwanted():
                jobs.append(job)
                rows += len(job.rows)
        return jobs

    def _joins(self, job: _Job, first: _Job, rows: int) -> bool:
        """Whether a job may be run together with the first one of a batch, which has so many rows."""
        apart = not self._together or job.params is not None or first.params is not None
        return not apart and rows + len(job.rows) <= MOST_ROWS_TOGETHER


def _deliver(jobs: list[_Job], outcomes: Sequence[Outcome]) -> None:
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.deliver(outcome)


def _settle(output: asyncio.Future[Output], outcome: Outcome) -> None:
    if output.done():
        return
    if isinstance(outcome, Exception):
        output.set_exception(outcome)
    else:
        output.set_result(outcome)


def _never() -> bool:
    return False


def predict_together(predict: Callable[[Rows], Output], requests: Sequence[Rows]) -> list[Outcome]:
    """The outcome of each request: all together if that works, else each by itself."""
    if len(requests) == 1:
        return [_alone(predict, requests[0])]
    ends = list(accumulate(map(len, requests)))
    try:
        whole = _complete(predict(np.concatenate(requests)), ends[-1])
    except BaseException:  # which request is to blame shows when each is alone
        return [_alone(predict, rows) for rows in requests]
    return [whole.slice(end - len(rows), end) for end, rows in zip(ends, requests, strict=True)]


def _alone(predict: Callable[[Rows], Output], rows: Rows) -> Outcome:
    try:
        return _complete(predict(rows), len(rows))
    except StopIteration as error:  # which no future takes
        return RuntimeError(repr(error))
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:  # of the model: it does not end this process
        return RuntimeError(f"the model raised {error!r}")
    except Exception as error:  # whatever a model raises is its answer
        return error


def _complete(output: Output, rows: int) -> Output:
    if len(output.values) != rows:
        raise ValueError(f"the model answered {rows} rows with {len(output.values)} predictions")
    return output
