"""One canary after the other on an operator that is played: it answers each change of the spec with statuses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from dev.bench.canaries.catalogue import ERRORS, IDENTICAL, STEPS, Kind
from dev.bench.canaries.lane import Lane, Tried
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


class Played(Kubectl):
    """Shows the statuses that `answer` gives to a patch of `spec.server`, one after the other."""

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
            self._board.saw(status)
            for _ in range(3):
                await asyncio.sleep(0)


async def tried(kind: Kind, answer: Callable[[Any], list[Status]]) -> Tried:
    board = Board()
    board.saw(STABLE)
    stream = Stream("http://gateway", "host", rows=(((1.0,), 0),), clock=lambda: 25.0)
    lane = Lane(Played(board, answer), "canaries", "lane", board, stream, watch=0.05, ready_within=0.05, hanging=0)
    trial = asyncio.create_task(lane.tried(7, kind, {"good": GOOD}))
    await asyncio.sleep(0)
    stream.requests.append(Request("predict", at=-10.0, latency=0.01, status=200, version="1", revision="new"))
    return await trial


def test_a_verdict_against_it_has_a_time_and_a_sentence() -> None:
    """Time runs from its first request to the status that rolls it back."""
    found = asyncio.run(tried(ERRORS, lambda env: [STEPPING, ROLLING_BACK, REJECTED] if env else []))

    assert found == Tried(7, ERRORS, exposed=1, found_after=10.0, message="5 of 100 failed")


def test_a_verdict_may_come_before_the_weight_was_seen_live() -> None:
    """Evidence against a canary counts from the first write that could let traffic in."""
    found = asyncio.run(tried(ERRORS, lambda env: [ROLLING_BACK, REJECTED] if env else []))

    assert found.found_after == 10.0


def test_a_canary_that_is_not_taken_back_is_withdrawn() -> None:
    """After the watch the spec names again what serves, and no verdict is reported."""
    stays = asyncio.run(tried(IDENTICAL, lambda env: [STEPPING] if env else [ROLLING_BACK, WITHDRAWN]))

    assert stays == Tried(7, IDENTICAL, exposed=1)


def test_a_canary_that_gets_no_traffic_is_trouble() -> None:
    """Nothing is said about verdicts, and the next canary finds a ModelDeployment at rest."""
    starting = Status(phase="Starting", canary=CANARY, message="0 of 1 pods are ready")
    stuck = asyncio.run(tried(IDENTICAL, lambda env: [starting] if env else [STABLE]))

    assert "the canary gets traffic" in stuck.trouble
    assert "0 of 1 pods are ready" in stuck.trouble
    assert (stuck.exposed, stuck.found_after) == (0, None)
