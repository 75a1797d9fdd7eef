"""Keeps the board up to date and draws it: a live panel on a terminal, otherwise a line for each change."""

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
RESTART_PAUSE = 0.3  # seconds before a watch that ended is started again


def watched(board: Board, kubectl: Kubectl, example: Example) -> AbstractAsyncContextManager[None]:
    """Keep the board's status up to date while the block runs. While the object does not exist, try again."""
    return beside(_follow(board, kubectl, example))


def drawn(console: Console, board: Board, stream: Stream) -> AbstractAsyncContextManager[None]:
    """Draw the board while the block runs. Without a terminal, only the board's lines are printed."""
    return beside(_paint(console, board, stream)) if console.is_terminal else nullcontext()


async def _follow(board: Board, kubectl: Kubectl, example: Example) -> None:
    while True:
        async with aclosing(kubectl.watch("-n", example.namespace, "modeldeployment", example.name)) as documents:
            async for document in documents:
                board.update(status.parse(document))
        await asyncio.sleep(RESTART_PAUSE)


async def _paint(console: Console, board: Board, stream: Stream) -> None:
    print_line, board.print_line = board.print_line, lambda line: None  # lines would break the panel
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(view.render(_picture(board, stream)), refresh=True)
                await asyncio.sleep(FRAME)
    finally:
        board.print_line = print_line


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
