"""Five ModelDeployments, each in another phase when something breaks.

Each has a steady stream of requests. They are made once: every fault sees the next rollout, from one of two good
versions to the other one and back. In RollingBack, a person takes back the same version each time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dev.demo.models import Version
from dev.demo.status import Status
from dev.demo.traffic import Stream
from tests.e2e.rollouts import Place, Rollout, deployed, manifest

PHASES = ("Starting", "Stepping", "Watching", "RollingBack", "Stable")
ENDS_WHERE_IT_BEGAN = ("RollingBack", "Stable")
RATE = 10.0  # predictions per second and object
ENDS_WITHIN = 240.0  # seconds from the end of a fault to the end of all rollouts
STREAM_SECONDS = 7_200.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one object: the end of its rollout, its requests since the fault began, and the time it took.

    `seconds`: from the end of the fault to the end of the rollout. `broken`: from the end of the fault to the start of
    the last request that failed; negative if all were before. `why`: how requests failed, the most frequent first.
    """

    phase: str
    end: str
    seconds: float
    requests: int
    failed: int
    broken: float
    why: str

    def __str__(self) -> str:
        until = f" (until {self.broken:+.0f} s)" if self.failed else ""
        return f"{self.end}, {self.failed} of {self.requests} failed{until}, {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the objects, with its stream."""

    rollout: Rollout
    stream: Stream

    def since(self, began: float, ended: float) -> tuple[int, int, float, str]:
        """The requests of a cell, from two moments of the stream on: when the fault began, and when it ended."""
        requests = [request for request in self.stream.requests if request.at >= began]
        failed = [request for request in requests if request.failure]
        broken = max((request.at for request in failed), default=ended) - ended
        why = Counter(request.failure for request in failed).most_common(2)
        return len(requests), len(failed), broken, "; ".join(f"{count} times {text}" for text, count in why)


def document(phase: str) -> dict[str, Any]:
    """An object whose rollout is short. Those of Stepping and RollingBack wait for a person at their only step."""
    made = manifest(f"iris-{phase.lower()}")
    step: dict[str, Any] = {"weight": 50, "minRequests": 20, "minDuration": "2s"}
    watch = "20s" if phase == "Watching" else "2s"
    made["spec"]["rollout"] |= {
        "canary": {"steps": [step | ({"pause": {}} if phase in ("Stepping", "RollingBack") else {})]},
        "watchAfterPromotion": watch,
        "stableDeadDeadline": "20s",
    }
    made["spec"]["objectives"] = [{"name": "errors", "errorRate": {"max": "30%"}}]
    return made


class Matrix:
    """The objects. `versions`: the one that serves, and the one of the next rollout; they change places."""

    def __init__(self, place: Place, subjects: Mapping[str, Subject], versions: Sequence[Version]) -> None:
        self.place, self.subjects = place, subjects
        self.now, self.next = versions
        self.resting, self.rejected = versions  # those of the objects that end where they began

    @property
    def moving(self) -> list[Rollout]:
        """The objects whose rollout promotes."""
        return [self.subjects[phase].rollout for phase in PHASES if phase not in ENDS_WHERE_IT_BEGAN]

    @property
    def all(self) -> list[Rollout]:
        return [subject.rollout for subject in self.subjects.values()]

    @property
    def phases(self) -> list[str]:
        """The phases in which the objects are now, in the order of PHASES."""
        return [self.subjects[phase].rollout.status.phase for phase in PHASES]

    async def bring_into_phases(self) -> None:
        """Each object is in its phase; Starting and RollingBack last, because these phases take seconds only."""
        starting, stepping, watching, back = (self.subjects[phase].rollout for phase in PHASES[:4])
        await asyncio.gather(stepping.follow(self.next), watching.follow(self.next), self._try_again(back))
        await stepping.until("it is paused at its step", _is_paused)
        await back.until("it is paused at its step", _is_paused)
        await watching.until("it is watched", lambda now: now.phase == "Watching", within=ENDS_WITHIN)
        await starting.follow(self.next)
        await starting.until("it starts", lambda now: now.phase == "Starting")
        await _ask(back, "abort")
        await back.until("it rolls back", lambda now: now.phase == "RollingBack")

    async def _try_again(self, rollout: Rollout) -> None:
        """The version that was taken back is tried once more."""
        await rollout.follow(self.rejected)
        if rollout.status.rejected:
            await _annotate(rollout, f"retry/{rollout.status.rejected[-1].revision}/0")

    async def after(self, begun: Mapping[str, float], ends_on: Version) -> list[Cell]:
        """Resume what waits for a person, wait for all ends, and count. `begun`: when the fault did, by stream."""
        since, over = time.monotonic(), {phase: subject.stream.now for phase, subject in self.subjects.items()}
        asking = [
            asyncio.create_task(self._ask_again(*work)) for work in (("Stepping", "resume"), ("RollingBack", "abort"))
        ]
        try:
            ends = await asyncio.gather(*(self._end(phase, ends_on, since) for phase in PHASES))
        finally:
            for task in asking:
                task.cancel()
        cells = []
        for phase, (end, seconds) in zip(PHASES, ends, strict=True):  # after the last end: all have equal time
            requests, failed, broken, why = self.subjects[phase].since(begun[phase], over[phase])
            cells.append(Cell(phase, end, seconds, requests, failed, broken, why))
        return cells

    async def _end(self, phase: str, ends_on: Version, since: float) -> tuple[str, float]:
        """The outcome of the rollout, and how many seconds it took."""
        wanted = self.resting if phase in ENDS_WHERE_IT_BEGAN else ends_on
        settled = partial(_has_settled_on, wanted)
        end = await self.subjects[phase].rollout.until(f"it is Stable on {wanted.uri}", settled, within=ENDS_WITHIN)
        outcome = end.history[0].outcome if phase != "Stable" and end.history else "Stable"
        return outcome, time.monotonic() - since

    async def _ask_again(self, phase: str, verb: str) -> None:
        """Ask whenever the rollout waits for a person: also after a fault has cost the answer to the last command."""
        rollout = self.subjects[phase].rollout
        while True:
            if _is_paused(rollout.status):
                await _ask(rollout, verb)
            await asyncio.sleep(2.0)  # between two looks; a command is asked for again if it came too early


@asynccontextmanager
async def matrix(place: Place, versions: Sequence[Version]) -> AsyncIterator[Matrix]:
    """The objects, all of them serving the first of `versions`."""
    async with AsyncExitStack() as stack:
        subjects = {}
        for phase in PHASES:
            rollout = await stack.enter_async_context(deployed(place, document(phase), versions[0]))
            stream = Stream(place.gateway, rollout.host, rate=RATE, max_seconds=STREAM_SECONDS, max_requests=100_000)
            subjects[phase] = Subject(rollout, stream)
        for subject in subjects.values():
            await subject.rollout.until_ready()
            await stack.enter_async_context(subject.stream)
        yield Matrix(place, subjects, versions)


def table(rows: Mapping[str, Sequence[Cell]], line: Callable[[Sequence[str]], str]) -> str:
    """The matrix as text, a row for each fault. `line` joins the cells of one row."""
    rule = "|".join(["", *("---" for _ in range(len(PHASES) + 1)), ""])
    return "\n".join([line(["fault", *PHASES]), rule, *(line([name, *map(str, row)]) for name, row in rows.items())])


async def _ask(rollout: Rollout, verb: str) -> None:
    """A command for the present run."""
    now = rollout.status
    if now.canary is not None and now.run is not None:
        await _annotate(rollout, f"{verb}/{now.canary.revision}/{now.run.step}")


async def _annotate(rollout: Rollout, command: str) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    await rollout.command(
        "annotate", "modeldeployment", rollout.name, f"sluice.dev/command={command}/{at}", "--overwrite"
    )


def _is_paused(now: Status) -> bool:
    return now.has("Paused", "True") and now.phase == "Stepping"


def _has_settled_on(version: Version, now: Status) -> bool:
    ready = now.has("Ready", "True") and not now.has("Stalled", "True")
    return now.phase == "Stable" and now.stable is not None and now.stable.model.uri == version.uri and ready
