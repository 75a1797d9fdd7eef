"""Answers of the API server to kopf, whose ModelDeployments are bounded before kopf decodes them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from sluice_operator.kubernetes import bounded
from sluice_operator.kubernetes.answers import lines


class BoundedResponse(aiohttp.ClientResponse):
    """A list is decoded object by object, and in a watch each line by itself."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        response = await super().start(connection)
        self.content = _Changes(self.content)  # type: ignore[assignment]
        return response

    async def json(self, **arguments: Any) -> Any:
        if self.status >= 400:
            return await super().json(**arguments)
        return await asyncio.to_thread(bounded.answer, await self.read())  # one that is deep and large takes seconds


class _Changes:
    """The stream of an answer."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """What kopf reads a watch by."""
        async for line in lines(self._stream):
            yield bounded.change(line) + b"\n"
