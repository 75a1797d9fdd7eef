"""Feeds the board from the cluster and draws it: a live panel on a terminal, else a line for each change."""

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

from rich.console import Console
from rich.live import Live

from dev.demo import status, tally, view
from dev.demo.board import Board
from dev.demo.cluster import Kubectl
from dev.demo.example import Example
from dev.demo.tasks import beside
from dev.demo.traffic import Stream

FRAME = 0.25  # seconds between two pictures
SPARK_SECONDS = 40
AGAIN = 0.3  # seconds before a watch that ended is started again


def watched(board: Board, kubectl: Kubectl, example: Example) -> AbstractAsyncContextManager[None]:
    """Keeps the board's status up to date while the block runs; before the object exists it asks again."""
    return beside(_follow(board, kubectl, example))


def drawn(console: Console, board: Board, stream: Stream) -> AbstractAsyncContextManager[None]:
    """Draws while the block runs. Where there is no terminal, the board's own lines are all that is shown."""
    return beside(_paint(console, board, stream)) if console.is_terminal else nullcontext()


async def _follow(board: Board, kubectl: Kubectl, example: Example) -> None:
    while True:
        async with aclosing(kubectl.watch("-n", example.namespace, "modeldeployment", example.name)) as documents:
            async for document in documents:
                board.saw(status.parse(document))
        await asyncio.sleep(AGAIN)


async def _paint(console: Console, board: Board, stream: Stream) -> None:
    plain, board.tell = board.tell, lambda line: None  # lines would tear the panel; what they say is in it
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(view.render(_picture(board, stream)), refresh=True)
                await asyncio.sleep(FRAME)
    finally:
        board.tell = plain


def _picture(board: Board, stream: Stream) -> view.Picture:
    return view.Picture(
        now=board.now,
        parts=board.parts,
        status=board.status,
        rates=tally.rates(stream.requests, stream.now, SPARK_SECONDS),
        totals=tally.totals(stream.requests),
        failed=len(tally.failures(stream.requests)),
        notices=board.notices,
    )
