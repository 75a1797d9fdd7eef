import asyncio
import random
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from dev.bench.faulty.faulty import Faults, Faulty

ROW = b'{"features": [[7.9, 3.8]]}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was sent."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def scope(path: str = "/predict", probe: bool = False) -> Scope:
    return {"type": "http", "path": path, "headers": [(b"x-sluice-probe", b"always")] if probe else []}


async def asked(faulty: Faulty, of: Scope) -> Any:
    """The body of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": ROW}

    async def send(message: Message) -> None:
        sent.append(message)

    await faulty(of, receive, send)
    return sent[-1]["body"]


def faulty(**environment: str) -> Faulty:
    return Faulty(app, Faults.of(environment), random.Random(7))


def test_without_a_fault_nothing_changes() -> None:
    """The image without variables is the server's."""
    assert Faults.of({}) == Faults()
    assert asyncio.run(asked(faulty(), scope())) == ROW


def test_errors_reach_the_server_as_failures_of_the_model() -> None:
    """The application sees an exception, and so counts the request itself."""
    with pytest.raises(RuntimeError, match="planned"):
        asyncio.run(asked(faulty(FAULT_ERRORS="1"), scope()))


@pytest.mark.parametrize("of", [scope(probe=True), scope("/metadata"), scope("/health/live")])
def test_only_predictions_of_callers_are_touched(of: Scope) -> None:
    """What the operator and the kubelet ask is answered as ever, so that verdicts alone can find the fault."""
    assert asyncio.run(asked(faulty(FAULT_ERRORS="1", FAULT_HANG_AFTER="0"), of)) == ROW


def test_a_slower_answer_is_the_same_answer() -> None:
    """The delay lies before its first byte, where the server still measures."""
    assert asyncio.run(asked(faulty(FAULT_SLOWER="0.5", FAULT_DELAY="0.0001"), scope())) == ROW


def test_it_hangs_after_some_predictions() -> None:
    """Those before are answered."""
    hanging = faulty(FAULT_HANG_AFTER="1")

    async def twice() -> None:
        assert await asked(hanging, scope()) == ROW
        waiting = asyncio.ensure_future(asked(hanging, scope()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(twice())


def test_one_input_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, as a segmentation fault would."""

    class EndedError(Exception):
        pass

    def ended(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr("os._exit", ended)
    assert asyncio.run(asked(faulty(FAULT_CRASH_ON="5.1, 3.5"), scope())) == ROW
    with pytest.raises(EndedError, match="1"):
        asyncio.run(asked(faulty(FAULT_CRASH_ON="7.9, 3.8"), scope()))
