"""What the demo knows while it runs: its parts and their times, the latest status, every change of it, and notices.

The story waits here for the status that it expects; the view draws what is here.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dev.demo.status import Status


class NotReachedError(Exception):
    """What the story waited for did not come in time; the text says what, for how long, and what was there instead."""


@dataclass(slots=True)
class Part:
    title: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed in the rollout, with the time since the demo began."""

    at: float
    part: str
    stage: str


@dataclass(slots=True)
class Board:
    clock: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] = lambda line: None  # called for each change and notice
    parts: list[Part] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    status: Status = field(default_factory=Status)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def now(self) -> float:
        """Seconds since the demo began."""
        return self.clock() - self._began

    @contextmanager
    def part(self, title: str) -> Iterator[None]:
        part = Part(title, self.now)
        self.parts.append(part)
        self.tell(f"== {title}")
        try:
            yield
        finally:
            part.ended = self.now

    def notice(self, text: str) -> None:
        self.notices.append(text)
        self.tell(text)

    def saw(self, status: Status) -> None:
        """Takes in a newer status and wakes who waits for one."""
        before, self.status = self.status, status
        if not self.changes or stage(status) != self.changes[-1].stage:
            self.changes.append(Change(self.now, self.parts[-1].title if self.parts else "", stage(status)))
        if headline(status) != headline(before):
            self.tell(line(status))
        self._news.set()

    async def until(self, what: str, true: Callable[[Status], bool], within: float) -> Status:
        """The first status for which `true` holds. Raises NotReachedError after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not true(self.status):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            message = f"not within {within:.0f} s: {what}; instead {line(self.status)}"
            raise NotReachedError(message) from None
        return self.status


def stage(status: Status) -> str:
    """The phase, and in Stepping the step and its weight: what the summary gives a time for."""
    if status.phase != "Stepping" or status.run is None or status.weight is None:
        return status.phase
    return f"Stepping, step {status.run.step + 1} at {status.weight.desired} %"


def line(status: Status) -> str:
    """The status in one line, with the operator's own sentence."""
    return f"{headline(status)}. {status.message}".rstrip()


def headline(status: Status) -> str:
    """The status without its sentence, whose numbers change with every look at the evidence."""
    serving = f"stable {status.stable.model.version}" if status.stable else "no stable"
    trial = f", canary {status.canary.model.version}" if status.canary else ""
    weight = f", weight {status.weight.desired} % (live {status.weight.live} %)" if status.weight else ""
    verdict = f", verdict {status.verdict.result}" if status.verdict else ""
    return f"{status.phase}: {serving}{trial}{weight}{verdict}"
