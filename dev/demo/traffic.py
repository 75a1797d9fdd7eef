"""A steady, bounded stream of iris predictions with feedback through the gateway; every request is recorded.

Requests start on a schedule of their own, whatever the answers take, as those of many independent callers would. Each
prediction that was answered gets its true label posted to /feedback a little later. Counting is in `tally`.
The client is aiohttp's, because the stream shares a small machine with what it measures, and httpx takes more time.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import aiohttp
from sklearn.datasets import load_iris

IN_FLIGHT = 200  # predictions at once, each with its label; when all of them hang, the schedule waits
LABEL_DELAY = (0.2, 1.5)  # seconds; labels at fixed places between predictions would meet a round-robin gateway in step
TIMEOUT = 10.0  # seconds after which a request counts as not answered

Row: TypeAlias = tuple[tuple[float, ...], int]  # features, true class


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what became of it. `failure` says why it counts as failed, and is empty when it does not."""

    kind: Literal["predict", "feedback"]
    at: float  # seconds from the start of the stream to the start of the request
    latency: float  # seconds
    status: int | None  # None: no answer
    version: str = ""  # the header X-Model-Version
    revision: str = ""  # the header X-Sluice-Revision
    correct: bool | None = None  # predictions: whether it was the true class
    failure: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    version: str
    revision: str
    text: str

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def iris_rows() -> tuple[Row, ...]:
    bunch = load_iris()
    return tuple((tuple(map(float, row)), int(label)) for row, label in zip(bunch.data, bunch.target, strict=True))


class Stream:
    """`async with Stream(...) as stream:` sends until the block ends, or `max_requests` or `max_seconds` are reached.

    `requests` grows while it runs, in the order of the answers.
    """

    def __init__(
        self,
        gateway: str,
        host: str,
        *,
        rate: float = 50.0,  # predictions per second
        max_requests: int = 60_000,  # predictions
        max_seconds: float = 1_200.0,
        label_delay: tuple[float, float] = LABEL_DELAY,
        seed: int = 0,
        rows: Sequence[Row] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests: list[Request] = []
        self._gateway, self._host = gateway, host
        self._rate, self._max_requests, self._max_seconds = rate, max_requests, max_seconds
        self._label_delay = label_delay
        self._rows = iris_rows() if rows is None else rows
        self._random = random.Random(seed)
        self._clock = clock
        self._began = clock()
        self._sending: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def now(self) -> float:
        """Seconds since the stream began."""
        return self._clock() - self._began

    async def __aenter__(self) -> Self:
        self._began = self._clock()
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._sending is not None:
            self._sending.cancel()
        await self.stop()

    async def stop(self) -> None:
        """Starts no more requests; those under way are waited for, so that one that hangs is not overlooked."""
        self._stopping = True
        if self._sending is not None:
            (result,) = await asyncio.gather(self._sending, return_exceptions=True)
            if isinstance(result, Exception):
                raise result

    async def finished(self) -> None:
        """Returns when a limit was reached and everything was answered."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        async with (
            aiohttp.ClientSession(
                self._gateway,
                headers={"Host": self._host},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                connector=aiohttp.TCPConnector(limit=IN_FLIGHT),
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            room = asyncio.Semaphore(IN_FLIGHT)
            for number in range(self._max_requests):
                await asyncio.sleep((number + self._random.random()) / self._rate - self.now)
                if self._stopping or self.now > self._max_seconds:
                    return
                await room.acquire()
                one = group.create_task(self._predict(session, *self._random.choice(self._rows)))
                one.add_done_callback(lambda _: room.release())

    async def _predict(self, session: aiohttp.ClientSession, features: tuple[float, ...], label: int) -> None:
        at = self.now
        answer = await _post(session, "/predict", {"features": [list(features)]})
        request = self._recorded("predict", at, answer, _wrong(answer), label)
        if not request.failure and isinstance(answer, _Answer):
            await asyncio.sleep(self._random.uniform(*self._label_delay))
            at = self.now
            answer = await _post(session, "/feedback", {"prediction_id": answer.body["prediction_id"], "label": label})
            self._recorded("feedback", at, answer, _refused(answer))

    def _recorded(
        self,
        kind: Literal["predict", "feedback"],
        at: float,
        answer: _Answer | str,
        failure: str,
        label: int | None = None,
    ) -> Request:
        latency = self.now - at
        if isinstance(answer, str):
            request = Request(kind, at, latency, None, failure=failure)
        else:
            correct = None if failure or label is None else answer.body["predictions"][0] == label
            request = Request(kind, at, latency, answer.status, answer.version, answer.revision, correct, failure)
        self.requests.append(request)
        return request


async def _post(session: aiohttp.ClientSession, path: str, content: dict[str, Any]) -> _Answer | str:
    """The answer, or why there is none."""
    try:
        async with session.post(path, json=content) as response:
            headers = response.headers
            version, revision = headers.get("X-Model-Version", ""), headers.get("X-Sluice-Revision", "")
            return _Answer(response.status, version, revision, await response.text())
    except (aiohttp.ClientError, OSError) as trouble:  # a timeout is an OSError
        return f"no answer: {type(trouble).__name__} {trouble}".rstrip()


def _refused(answer: _Answer | str) -> str:
    if isinstance(answer, str):
        return answer
    return "" if answer.status == 200 else f"status {answer.status}"


def _wrong(answer: _Answer | str) -> str:
    """Why this is no answer to a prediction of one row, or nothing."""
    if isinstance(answer, str) or answer.status != 200:
        return _refused(answer)
    match answer.body:
        case {"predictions": [int()], "prediction_id": str(), "model_version": str(version)}:
            if answer.version == version:
                return ""
            return f"wrong shape: X-Model-Version is {answer.version or 'absent'}, the body says {version}"
        case _:
            return f"wrong shape: {answer.text[:100]}"
