"""Reports of runs that have ended. Each is made in a process of its own, with limits.

Whoever may write ConfigMaps can write a run record, and judging a run again takes seconds. In a process of its own,
neither a crafted record nor a long one stops the page for everybody.
"""

import asyncio
import os
import sys
from collections import OrderedDict
from contextlib import suppress

import msgspec

from sluice_operator.web.pages.run import Report

_SECONDS = 120.0  # until a report is there, with those before it
_JUDGE_AGAIN = (sys.executable, "-m", "sluice_operator.web.judge_again")


class Reports:
    """Makes one report at a time, and keeps the newest ones: a record does not change. `kept`: how many."""

    def __init__(self, command: tuple[str, ...] = _JUDGE_AGAIN, kept: int = 20) -> None:
        self._command, self._kept = command, kept
        self._turn = asyncio.Semaphore(1)
        self._known: OrderedDict[str, Report] = OrderedDict()

    async def of(self, key: str, packed: str) -> Report:
        """The report of a packed record in base64. `key`: another one for each version of each record."""
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        try:
            async with asyncio.timeout(_SECONDS), self._turn:
                report = await self._made(packed)
        except TimeoutError:
            return Report(trouble=f"It could not be judged again within {_SECONDS:g} seconds: try it once more.")
        self._known[key] = report
        while len(self._known) > self._kept:
            self._known.popitem(last=False)
        return report

    async def _made(self, packed: str) -> Report:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, env=_environment())
        try:
            out, _ = await process.communicate(packed.encode())
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return msgspec.json.decode(out, type=Report)
        except msgspec.MsgspecError:
            return Report(
                trouble=f"Judging it again ended with code {process.returncode}: it takes too much, or is wrong."
            )


def _environment() -> dict[str, str]:
    """Each thread of numpy's library takes memory that the limit counts, also where it only waits."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
