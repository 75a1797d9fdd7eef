"""The state of the demo while it runs: its parts and their times, the latest status, all changes of it, and notices.

The story waits here for the status that it expects. The view draws what is here.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dev.demo.status import Status


class NotReachedError(Exception):
    """An expected status did not come in time. The text says which, after how long, and what the status was instead."""


@dataclass(slots=True)
class Part:
    """A part of the demo. Times are seconds since the demo began."""

    title: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The beginning of a phase, or of a step with its weight. `at`: seconds since the demo began."""

    at: float
    part: str
    phase_and_step: str


@dataclass(slots=True)
class Board:
    clock: Callable[[], float] = time.monotonic
    print_line: Callable[[str], None] = lambda line: None  # called for each change and notice
    parts: list[Part] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    status: Status = field(default_factory=Status)
    _updated: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def now(self) -> float:
        """Seconds since the demo began."""
        return self.clock() - self._began

    @contextmanager
    def part(self, title: str) -> Iterator[None]:
        """A part that begins and ends with the block."""
        part = Part(title, self.now)
        self.parts.append(part)
        self.print_line(f"== {title}")
        try:
            yield
        finally:
            part.ended = self.now

    def notice(self, text: str) -> None:
        self.notices.append(text)
        self.print_line(text)

    def update(self, status: Status) -> None:
        """Take a newer status. It wakes whoever waits in `until`."""
        before, self.status = self.status, status
        if not self.changes or phase_and_step(status) != self.changes[-1].phase_and_step:
            self.changes.append(Change(self.now, self.parts[-1].title if self.parts else "", phase_and_step(status)))
        if headline(status) != headline(before):
            self.print_line(line(status))
        self._updated.set()

    async def until(self, what: str, matches: Callable[[Status], bool], within: float) -> Status:
        """Wait for the first status that matches. Raises NotReachedError after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not matches(self.status):
                    self._updated.clear()
                    await self._updated.wait()
        except TimeoutError:
            message = f"not within {within:.0f} s: {what}; instead {line(self.status)}"
            raise NotReachedError(message) from None
        return self.status


def phase_and_step(status: Status) -> str:
    """The phase; in Stepping also the step and its weight. The summary shows the time of each."""
    if status.phase != "Stepping" or status.run is None or status.weight is None:
        return status.phase
    return f"Stepping, step {status.run.step + 1} at {status.weight.desired} %"


def line(status: Status) -> str:
    """The status in one line, with its message."""
    return f"{headline(status)}. {status.message}".rstrip()


def headline(status: Status) -> str:
    """The status in one line without its message, whose numbers change at each evaluation."""
    serving = f"stable {status.stable.model.version}" if status.stable else "no stable"
    canary = f", canary {status.canary.model.version}" if status.canary else ""
    weight = f", weight {status.weight.desired} % (live {status.weight.live} %)" if status.weight else ""
    verdict = f", verdict {status.verdict.result}" if status.verdict else ""
    return f"{status.phase}: {serving}{canary}{weight}{verdict}"
