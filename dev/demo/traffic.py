"""A steady, bounded stream of predictions and labels through the gateway. It keeps each request.

Requests start at a fixed rate, however long the answers take, as those of many independent callers would. After each
answer the true label is posted to /feedback a little later. Counting is in `tally`. The client is aiohttp's, because
the stream shares a small machine with what it measures, and httpx takes more CPU time.
"""

import asyncio
import json
import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import aiohttp
from sklearn.datasets import load_iris

IN_FLIGHT = 200  # predictions at the same time, each with its label; when all of them hang, no more are started
LABEL_DELAY = (0.2, 1.5)  # seconds; random, because a fixed delay could meet the round robin of a gateway in step
TIMEOUT = 10.0  # seconds after which a request counts as not answered

Row: TypeAlias = tuple[tuple[object, ...], int]  # features, as JSON has them; true class


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its result. `failure`: why it counts as failed; empty if it does not."""

    kind: Literal["predict", "feedback"]
    at: float  # seconds from the start of the stream to the start of the request
    latency: float  # seconds
    status: int | None  # None: no answer
    version: str = ""  # the header X-Model-Version
    revision: str = ""  # the header X-Sluice-Revision
    correct: bool | None = None  # of a prediction: whether it was the true class
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
        tls: ssl.SSLContext | None = None,  # for an address with https; the host is the name in the handshake
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests: list[Request] = []
        self._gateway, self._host = gateway, host
        self._rate, self._max_requests, self._max_seconds = rate, max_requests, max_seconds
        self._label_delay = label_delay
        self._rows = iris_rows() if rows is None else rows
        self._tls = tls
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
        """Start no more requests, and wait for those under way, so that one that hangs is counted."""
        self._stopping = True
        if self._sending is not None:
            (result,) = await asyncio.gather(self._sending, return_exceptions=True)
            if isinstance(result, Exception):
                raise result

    async def finished(self) -> None:
        """Wait until a limit is reached and all requests have ended."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        async with (
            aiohttp.ClientSession(
                self._gateway,
                headers={"Host": self._host},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                connector=aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=self._tls or True),
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            slots = asyncio.Semaphore(IN_FLIGHT)
            for number in range(self._max_requests):
                await asyncio.sleep((number + self._random.random()) / self._rate - self.now)
                if self._stopping or self.now > self._max_seconds:
                    return
                await slots.acquire()
                prediction = group.create_task(self._predict(session, *self._random.choice(self._rows)))
                prediction.add_done_callback(lambda _: slots.release())

    async def _predict(self, session: aiohttp.ClientSession, features: tuple[object, ...], label: int) -> None:
        at = self.now
        answer = await self._post(session, "/predict", {"features": [list(features)]})
        request = self._record("predict", at, answer, _prediction_failure(answer), label)
        if not request.failure and isinstance(answer, _Answer):
            await asyncio.sleep(self._random.uniform(*self._label_delay))
            at = self.now
            labelled = {"prediction_id": answer.body["prediction_id"], "label": label}
            answer = await self._post(session, "/feedback", labelled)
            self._record("feedback", at, answer, _failure(answer))

    async def _post(self, session: aiohttp.ClientSession, path: str, content: dict[str, Any]) -> _Answer | str:
        """The answer, or why there is none."""
        name = self._host if self._tls else None
        try:
            async with session.post(path, json=content, server_hostname=name, allow_redirects=False) as response:
                headers = response.headers
                version, revision = headers.get("X-Model-Version", ""), headers.get("X-Sluice-Revision", "")
                return _Answer(response.status, version, revision, await response.text())
        except (aiohttp.ClientError, OSError) as trouble:  # a timeout is an OSError
            return f"no answer: {type(trouble).__name__} {trouble}".rstrip()

    def _record(
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


def _failure(answer: _Answer | str) -> str:
    """Why the request counts as failed; empty if its status is 200."""
    if isinstance(answer, str):
        return answer
    return "" if answer.status == 200 else f"status {answer.status}"


def _prediction_failure(answer: _Answer | str) -> str:
    """Why a prediction of one row counts as failed; empty if it does not."""
    if isinstance(answer, str) or answer.status != 200:
        return _failure(answer)
    match answer.body:
        case {"predictions": [int()], "prediction_id": str(), "model_version": str(version)}:
            if answer.version == version:
                return ""
            return f"wrong shape: X-Model-Version is {answer.version or 'absent'}, the body says {version}"
        case _:
            return f"wrong shape: {answer.text[:100]}"
