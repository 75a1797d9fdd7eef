"""Reports of runs that have ended. Each is made in a process of its own, with limits.

Whoever may write ConfigMaps can write a run record, and judging a run again takes seconds. In a process of its own,
neither a crafted record nor a long one stops the page for everybody. What such a process says is read up to a limit,
and kept as it came: a text in memory can have four times the bytes.
"""

import asyncio
import os
import sys
from collections import OrderedDict
from contextlib import suppress

import msgspec

from sluice_operator.web.pages.run import MOST_BYTES, Report

_SECONDS = 120.0  # until a report is there, with those before it
_JUDGE_AGAIN = (sys.executable, "-m", "sluice_operator.web.judge_again")


class Reports:
    """Makes one report at a time, and keeps the newest ones: a record does not change. `kept`: how many."""

    def __init__(self, command: tuple[str, ...] = _JUDGE_AGAIN, kept: int = 20) -> None:
        self._command, self._kept = command, kept
        self._turn = asyncio.Semaphore(1)
        self._known: OrderedDict[str, bytes] = OrderedDict()

    async def of(self, key: str, packed: str) -> Report:
        """The report of a packed record in base64. `key`: another one for each version of each record."""
        if key in self._known:
            self._known.move_to_end(key)
            return _decoded(self._known[key])
        try:
            async with asyncio.timeout(_SECONDS), self._turn:
                made = await self._made(packed)
        except TimeoutError:
            return Report(trouble=f"It could not be judged again within {_SECONDS:g} seconds: try it once more.")
        self._known[key] = made
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        return _decoded(made)

    async def _made(self, packed: str) -> bytes:
        """A report as JSON, of MOST_BYTES at most."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, env=_environment())
        try:
            said = await _said(process, packed.encode())
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        try:
            msgspec.json.decode(said, type=Report)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            trouble = f"Judging it again ended with code {code}: it takes too much, or is wrong."
            return msgspec.json.encode(Report(trouble=trouble))
        return said


async def _said(process: asyncio.subprocess.Process, asked: bytes) -> bytes:
    """What the process says to `asked`: all of it, or a part that is longer than a report may be."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(asked)
    process.stdin.close()
    said = bytearray()
    while len(said) <= MOST_BYTES and (part := await process.stdout.read(MOST_BYTES)):
        said += part
    if len(said) <= MOST_BYTES:
        await process.wait()
    return bytes(said)


def _decoded(made: bytes) -> Report:
    return msgspec.json.decode(made, type=Report)


def _environment() -> dict[str, str]:
    """Each thread of numpy's library takes memory that the limit counts, also where it only waits."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
