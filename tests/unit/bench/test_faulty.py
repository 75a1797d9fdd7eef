import asyncio
import random
import time
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from dev.bench.faulty.faulty import Faults, Faulty, Slow

ROW = b'{"features": [[7.9, 3.8]]}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body of the request."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def scope(path: str = "/predict", probe: bool = False) -> Scope:
    return {"type": "http", "path": path, "headers": [(b"x-sluice-probe", b"always")] if probe else []}


async def answer(faulty: Faulty, scope: Scope) -> Any:
    """The body of the answer to a request with ROW."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": ROW}

    async def send(message: Message) -> None:
        sent.append(message)

    await faulty(scope, receive, send)
    return sent[-1]["body"]


def faulty(**environment: str) -> Faulty:
    return Faulty(app, Faults.of(environment), random.Random(7))


def test_without_a_fault_nothing_changes() -> None:
    """Without its variables the image serves as the server's image does."""
    assert Faults.of({}) == Faults()
    assert asyncio.run(answer(faulty(), scope())) == ROW


def test_errors_reach_the_server_as_failures_of_the_model() -> None:
    """The application gets an exception and counts the request by itself."""
    with pytest.raises(RuntimeError, match="planned"):
        asyncio.run(answer(faulty(FAULT_ERRORS="1"), scope()))


@pytest.mark.parametrize("other", [scope(probe=True), scope("/metadata"), scope("/health/live")])
def test_only_predictions_of_callers_are_changed(other: Scope) -> None:
    """Probes of operator and kubelet are answered as without faults, so that only verdicts can find a fault."""
    assert asyncio.run(answer(faulty(FAULT_ERRORS="1", FAULT_HANG_AFTER="0"), other)) == ROW


def test_a_slow_prediction_is_the_same_one() -> None:
    """It comes later. Probes do not wait."""

    async def predict(*arguments: Any) -> Any:
        return arguments

    async def told() -> list[tuple[Any, float]]:
        slow, found = Slow(Faults(delay=0.2), random.Random(7)).slowed(predict), []
        for probe in (False, True):
            began = time.perf_counter()
            found.append((await slow("plane", "rows", "gateway", probe, "gone"), time.perf_counter() - began))
        return found

    (prediction, seconds), (of_probe, seconds_of_probe) = asyncio.run(told())
    assert prediction == ("plane", "rows", "gateway", False, "gone", None)
    assert of_probe == ("plane", "rows", "gateway", True, "gone", None)
    assert seconds >= 0.2
    assert seconds_of_probe < seconds


def test_it_hangs_after_some_predictions() -> None:
    """Predictions before that are answered."""
    hanging = faulty(FAULT_HANG_AFTER="1")

    async def twice() -> None:
        assert await answer(hanging, scope()) == ROW
        waiting = asyncio.ensure_future(answer(hanging, scope()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(twice())


def test_one_input_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Immediately, as a segmentation fault does."""

    class EndedError(Exception):
        pass

    def ended(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr("os._exit", ended)
    assert asyncio.run(answer(faulty(FAULT_CRASH_ON="5.1, 3.5"), scope())) == ROW
    with pytest.raises(EndedError, match="1"):
        asyncio.run(answer(faulty(FAULT_CRASH_ON="7.9, 3.8"), scope()))


def test_a_stall_makes_all_predictions_of_a_moment_wait_for_its_end() -> None:
    """They stand still for 100 ms, about every four seconds, and so a fortieth of them waits."""
    stalling = Slow(Faults(stall=0.1, stall_every=4.0), random.Random(1))
    waits = [stalling.stalled_for(millisecond / 1000) for millisecond in range(2_000_000)]
    assert 0.02 < sum(wait > 0 for wait in waits) / len(waits) < 0.03
    assert max(waits) <= 0.1
    begins = next(at for at, wait in enumerate(waits) if wait)
    ends = next(at for at in range(begins, len(waits)) if not waits[at])
    assert {round(at / 1000 + waits[at], 6) for at in range(begins, ends)} == {round(begins / 1000 + waits[begins], 6)}
    assert Slow(Faults(), random.Random(1)).stalled_for(1.0) == 0
