"""What is asked of the store for a run record, and what each answer of it means."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from sluice_operator.run_store import RecordRefusedError, RunStore, StoreSilentError
from sluice_store import tokens
from tests.unit.sluice_operator.loopback import Asked, Behaviour, client_of

KEY = "0123456789abcdef"


def put(behaviour: Behaviour, key: str = KEY) -> None:
    async def scenario() -> None:
        async with client_of(behaviour, dependency="store") as http:
            await RunStore(http, "http://store.example/base", key).put("models", "iris", "bbbbbbbbbb-1", b"{}")

    asyncio.run(scenario())


@pytest.mark.parametrize("key", [KEY, ""])
def test_a_record_is_put_with_the_token_of_the_operator(key: str) -> None:
    """Which the store takes for records of all namespaces. An open store gets no token."""
    asked: list[Asked] = []

    def kept(request: Asked) -> web.StreamResponse:
        asked.append(request)
        return web.json_response({"run": "bbbbbbbbbb-1"}, status=201)

    put(kept, key)
    [request] = asked
    assert (request.method, request.path, request.body) == ("PUT", "/base/runs/models/iris/bbbbbbbbbb-1", b"{}")
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    assert tokens.namespace_of(KEY.encode(), token) == ("*" if key else None)


@pytest.mark.parametrize(
    ("status", "text", "error", "message"),
    [
        (413, '{"detail": "over the limit"}', RecordRefusedError, "HTTP 413, over the limit"),
        (401, '{"detail": "no token"}', StoreSilentError, "give it the store's key as SLUICE_STORE_KEY"),
        (503, '{"detail": "the volume is gone"}', StoreSilentError, "HTTP 503, the volume is gone"),
        (502, "<html>Bad gateway", StoreSilentError, "HTTP 502, which is no answer of a store: check SLUICE_STORE_URL"),
        (302, "", StoreSilentError, "HTTP 302"),
    ],
)
def test_an_answer_says_whether_another_try_may_succeed(
    status: int, text: str, error: type[Exception], message: str
) -> None:
    """A record that is refused holds up no other; all else is the store's, and what to do is said."""
    with pytest.raises(error, match=message.replace("(", r"\(")):
        put(lambda _: web.Response(status=status, text=text))


def test_a_store_that_breaks_off_is_silent() -> None:
    """As one that is restarted."""

    def breaks_off(_: Asked) -> web.StreamResponse:
        raise RuntimeError("ended by a test")

    with pytest.raises(StoreSilentError, match="HTTP 500"):
        put(breaks_off)
