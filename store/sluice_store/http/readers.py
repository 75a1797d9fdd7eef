"""Answers that take memory for as long as their client takes to read: some at a time, shared by the namespaces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sluice_store.http.errors import busy
from sluice_store.shares import Shares

AT_ONCE = 128  # each takes up to some 400 KiB while its client does not read


class Readers:
    """Who reads now. `total`: answers at a time."""

    def __init__(self, total: int = AT_ONCE) -> None:
        self._shares = Shares(total)

    def turn(self, namespace: str) -> ExitStack:
        """One answer, until the stack is closed; raises HTTPException 503 if the namespace must wait."""
        if not self._shares.take(namespace):
            raise busy(f"as many answers are read as the store can give, or as is fair for {namespace} now: ask again")
        turn = ExitStack()
        turn.callback(self._shares.give, namespace)
        return turn


class Streamed(StreamingResponse):
    """An answer in chunks. `turn` is closed with it, also where nobody reads it to its end."""

    def __init__(
        self, chunks: AsyncIterator[bytes], turn: ExitStack, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._turn:
            await super().__call__(scope, receive, send)
