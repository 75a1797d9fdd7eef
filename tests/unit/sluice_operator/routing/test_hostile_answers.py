"""A pod of a user answers probes with whatever hurts: the operator's time and memory are bounded. Real sockets."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from typing import TypeVar

import pytest

from sluice_operator.api import names
from sluice_operator.api.observation import Proof, Signatures
from sluice_operator.api.place import Place
from sluice_operator.routing import probes, signatures
from sluice_operator.routing.gateway import Access, Gateway
from tests.unit.sluice_operator.routing.gateways import HOST, Reply, serving

T = TypeVar("T")
MEGABYTE = b" " * 1_000_000
HEAD = f"HTTP/1.1 200 OK\r\n{names.HEADER_REVISION}: canary\r\nConnection: close\r\n"


class Taken:
    """How many bytes of its endless answers a server could send."""

    def __init__(self, parts: Iterator[bytes], pause: float = 0.0, headers: str = "") -> None:
        self.parts, self.pause, self.headers, self.bytes = parts, pause, headers, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"{HEAD}{self.headers}\r\n".encode())
            for part in self.parts:
                writer.write(part)
                await writer.drain()
                self.bytes += len(part)
                await asyncio.sleep(self.pause)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def asked(server: Taken, ask: Callable[[Gateway], Awaitable[T]], timeout: float = 5.0) -> T:
    """What `ask` makes of these answers, within a few seconds."""

    async def story() -> T:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            return await ask(Gateway(Access(address, probe_timeout=timeout, smoke_timeout=timeout), Place(HOST)))
        finally:
            listening.close()

    return asyncio.run(asyncio.wait_for(story(), 10))


async def smoke(gateway: Gateway) -> Proof:
    return await probes.smoke(gateway, "x-route", "canary")


async def compared(gateway: Gateway) -> Signatures | Proof:
    return await signatures.signatures(gateway, "x-route", "canary", "canary")


@pytest.mark.parametrize("ask", [smoke, compared])
def test_an_answer_of_a_byte_now_and_then_is_given_up(ask: Callable[[Gateway], Awaitable[Signatures | Proof]]) -> None:
    """The timeout of each read never comes, so there is one for the whole answer."""
    found = asked(Taken(repeat(b" "), pause=0.05), ask, timeout=0.2)
    assert isinstance(found, Proof)
    assert not found.live
    assert "no answer to /metadata" in found.detail


@pytest.mark.parametrize("ask", [smoke, compared])
def test_an_endless_answer_is_read_for_some_megabytes_only(
    ask: Callable[[Gateway], Awaitable[Signatures | Proof]],
) -> None:
    """And is told as too long; sockets on the way hold some more."""
    server = Taken(repeat(MEGABYTE, 200))
    found = asked(server, ask)
    assert found == Signatures(None, None) or (isinstance(found, Proof) and found.by_canary)
    assert server.bytes < 40e6


def test_who_answers_is_in_the_headers_and_bodies_are_not_read() -> None:
    """Two dozen probes at once would otherwise read two dozen bodies."""
    server = Taken(repeat(MEGABYTE, 200))
    answers = asked(server, lambda gateway: probes.plain(gateway, probes.PROBES))
    assert {answer.revision for answer in answers} == {"canary"}
    assert server.bytes < probes.PROBES * 10e6


def test_an_answer_that_was_packed_is_not_unpacked() -> None:
    """A hundred kilobytes would become hundreds of megabytes. Nobody asks for packed ones."""
    packed = gzip.compress(MEGABYTE * 20)
    found = asked(Taken(iter([packed]), headers="Content-Encoding: gzip\r\n"), smoke)
    assert not found.live
    assert "without input_example" in found.detail


@pytest.mark.parametrize("header", ["x" * 30_000, "\x1b]0;owned", "Canary", "a/b"])
def test_only_the_form_of_a_revision_is_one(header: str) -> None:
    """Its text goes into conditions, two dozen times in one probe."""

    async def story() -> Proof:
        async with serving(lambda _: Reply(revision=header)) as gateway:
            return await probes.role(Gateway(Access(gateway.http), Place(HOST)), "stable")

    proof = asyncio.run(asyncio.wait_for(story(), 10))
    assert not proof.live
    assert len(proof.detail) < 500
    assert proof.detail.isprintable()
