"""A steady, bounded stream of iris predictions with feedback through the gateway; every request is recorded.

Requests start on a schedule of their own, whatever the answers take, as those of many independent callers would. Each
prediction that was answered gets its true label posted to /feedback a little later. Counting is in `tally`.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import httpx
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
        max_requests: int = 60_000,
        max_seconds: float = 1_200.0,
        seed: int = 0,
        rows: Sequence[Row] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests: list[Request] = []
        self._client = httpx.AsyncClient(
            base_url=gateway,
            headers={"host": host},
            timeout=TIMEOUT,
            transport=transport,
            limits=httpx.Limits(max_connections=IN_FLIGHT),
            trust_env=False,
        )
        self._rate, self._max_requests, self._max_seconds = rate, max_requests, max_seconds
        self._rows = iris_rows() if rows is None else rows
        self._random = random.Random(seed)
        self._clock = clock
        self._began = clock()
        self._sending: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        """Seconds since the stream began."""
        return self._clock() - self._began

    async def __aenter__(self) -> Self:
        self._began = self._clock()
        self._sending = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Starts no more requests and closes the connections; requests under way are cancelled and not recorded."""
        if self._sending is not None:
            self._sending.cancel()
            (result,) = await asyncio.gather(self._sending, return_exceptions=True)
            await self._client.aclose()
            if isinstance(result, Exception):
                raise result

    async def finished(self) -> None:
        """Returns when a limit was reached and everything was answered."""
        if self._sending is not None:
            await self._sending

    async def _send_all(self) -> None:
        room = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            for number in range(self._max_requests):
                await asyncio.sleep((number + self._random.random()) / self._rate - self.now)
                if self.now > self._max_seconds:
                    return
                await room.acquire()
                sending = group.create_task(self._one(*self._random.choice(self._rows)))
                sending.add_done_callback(lambda _: room.release())

    async def _one(self, features: tuple[float, ...], label: int) -> None:
        answer, body = await self._post("predict", "/predict", {"features": [list(features)]}, label)
        self.requests.append(answer)
        if not answer.failure:
            await asyncio.sleep(self._random.uniform(*LABEL_DELAY))
            feedback, _ = await self._post(
                "feedback", "/feedback", {"prediction_id": body["prediction_id"], "label": label}
            )
            self.requests.append(feedback)

    async def _post(
        self, kind: Literal["predict", "feedback"], path: str, content: dict[str, Any], label: int | None = None
    ) -> tuple[Request, Any]:
        at = self.now
        try:
            response = await self._client.post(path, json=content)
        except httpx.TransportError as trouble:
            failure = f"no answer: {type(trouble).__name__} {trouble}".rstrip()
            return Request(kind, at, self.now - at, None, failure=failure), None
        body = _json(response)
        failure = _wrong(response, body) if kind == "predict" else _refused(response)
        request = Request(
            kind,
            at,
            self.now - at,
            response.status_code,
            version=response.headers.get("x-model-version", ""),
            revision=response.headers.get("x-sluice-revision", ""),
            correct=None if failure or label is None else body["predictions"][0] == label,
            failure=failure,
        )
        return request, body


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refused(response: httpx.Response) -> str:
    return "" if response.is_success else f"status {response.status_code}"


def _wrong(response: httpx.Response, body: Any) -> str:
    """Why this is no answer to a prediction of one row, or nothing."""
    if not response.is_success:
        return _refused(response)
    match body:
        case {"predictions": [int()], "prediction_id": str(), "model_version": str(version)}:
            header = response.headers.get("x-model-version")
            return "" if header == version else f"wrong shape: X-Model-Version is {header}, the body says {version}"
        case _:
            return f"wrong shape: {response.text[:100]}"
