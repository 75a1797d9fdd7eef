"""Canaries on a fake operator, which answers each change of the spec with statuses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from dev.bench.canaries.catalogue import ERRORS, IDENTICAL, STEPS, Kind
from dev.bench.canaries.lane import CanaryResult, Lane
from dev.demo.board import Board
from dev.demo.cluster import Kubectl
from dev.demo.models import Version
from dev.demo.status import Ended, Model, Rejection, Revision, Status, Weight
from dev.demo.traffic import Request, Stream

GOOD = Version("1", "models:/iris/1", 43, 45)
WEIGHT = STEPS[0][0]
CANARY = Revision("new", Model(GOOD.uri, "1"))
STABLE = Status(phase="Stable")
STEPPING = Status(phase="Stepping", canary=CANARY, weight=Weight(WEIGHT, WEIGHT))
ROLLING_BACK = Status(phase="RollingBack", canary=CANARY)
REJECTED = Status(
    phase="Stable",
    history=(Ended("new", GOOD.uri, "Rejected"),),
    rejected=(Rejection("new", GOOD.uri, "Worse", "5 of 100 failed"),),
)
WITHDRAWN = Status(phase="Stable", history=(Ended("new", GOOD.uri, "Withdrawn"),))


class FakeOperator(Kubectl):
    """Shows the statuses that `answer` gives for a patch of `spec.server`, one after the other."""

    def __init__(self, board: Board, answer: Callable[[Any], list[Status]]) -> None:
        self._board, self._answer = board, answer
        self._showing: list[asyncio.Task[None]] = []

    async def text(self, *arguments: str, stdin: str | None = None) -> str:
        server = json.loads(arguments[-1])["spec"]["server"]
        self._showing.append(asyncio.create_task(self._show(self._answer(server["env"]))))
        await asyncio.sleep(0)
        return ""

    async def _show(self, statuses: list[Status]) -> None:
        for status in statuses:
            self._board.update(status)
            for _ in range(3):
                await asyncio.sleep(0)


async def result_of(kind: Kind, answer: Callable[[Any], list[Status]]) -> CanaryResult:
    """`answer`: the statuses after a patch, by the environment variables in it."""
    board = Board()
    board.update(STABLE)
    stream = Stream("http://gateway", "host", rows=(((1.0,), 0),), clock=lambda: 25.0)
    lane = Lane(
        FakeOperator(board, answer), "canaries", "lane", board, stream, watch=0.05, ready_within=0.05, timeout=0
    )
    result = asyncio.create_task(lane.try_canary(7, kind, {"good": GOOD}))
    await asyncio.sleep(0)
    stream.requests.append(Request("predict", at=-10.0, latency=0.01, status=200, version="1", revision="new"))
    return await result


def test_a_rollback_has_a_time_and_a_message() -> None:
    """The time is from the first request to the status that rolls the canary back."""
    result = asyncio.run(result_of(ERRORS, lambda env: [STEPPING, ROLLING_BACK, REJECTED] if env else []))

    assert result == CanaryResult(7, ERRORS, exposed=1, rolled_back_after=10.0, message="5 of 100 failed")


def test_a_canary_may_be_rolled_back_before_its_weight_is_live() -> None:
    """Evidence against a canary counts from the first write after which it can get requests."""
    result = asyncio.run(result_of(ERRORS, lambda env: [ROLLING_BACK, REJECTED] if env else []))

    assert result.rolled_back_after == 10.0


def test_a_canary_that_is_not_rolled_back_is_withdrawn() -> None:
    """After WATCH seconds the spec names the stable revision again."""
    result = asyncio.run(result_of(IDENTICAL, lambda env: [STEPPING] if env else [ROLLING_BACK, WITHDRAWN]))

    assert result == CanaryResult(7, IDENTICAL, exposed=1)


def test_a_canary_that_gets_no_traffic_is_trouble() -> None:
    """Its result proves nothing, and the next canary starts without one before it."""
    starting = Status(phase="Starting", canary=CANARY, message="0 of 1 pods are ready")
    result = asyncio.run(result_of(IDENTICAL, lambda env: [starting] if env else [STABLE]))

    assert "the canary gets traffic" in result.trouble
    assert "0 of 1 pods are ready" in result.trouble
    assert (result.exposed, result.rolled_back_after) == (0, None)
