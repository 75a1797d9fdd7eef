"""Five ModelDeployments, each in another phase when something breaks.

Each has a steady stream of requests. They are made once: every fault sees the next rollout, from one of two good
versions to the other one and back. In RollingBack, a person takes back the same version each time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from dev.demo import steering
from dev.demo.models import Version
from dev.demo.status import Status
from dev.demo.steering import is_paused
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
    watch = "45s" if phase == "Watching" else "2s"  # until the others are in their phases
    made["spec"]["rollout"] |= {
        "canary": {"steps": [step | ({"pause": {}} if phase in ("Stepping", "RollingBack") else {})]},
        "watchAfterPromotion": watch,
        "stableDeadDeadline": "20s",
    }
    made["spec"]["objectives"] = [{"name": "errors", "errorRate": {"max": "30%"}}]
    return made


class Matrix:
    """The objects. Each rollout leads from one of two `versions` to the other one."""

    def __init__(self, place: Place, subjects: Mapping[str, Subject], versions: Sequence[Version]) -> None:
        self.place, self.subjects = place, subjects
        self._versions = versions

    @property
    def all(self) -> list[Rollout]:
        return [subject.rollout for subject in self.subjects.values()]

    @property
    def phases(self) -> list[str]:
        """The phases in which the objects are now, in the order of PHASES."""
        return [self.subjects[phase].rollout.status.phase for phase in PHASES]

    async def bring_into_phases(self) -> dict[str, Version]:
        """Each object is in its phase; Starting and RollingBack last, because these phases take seconds only.

        Returns the version that each one serves.
        """
        serves = {phase: await self._at_rest(subject.rollout) for phase, subject in self.subjects.items()}
        starting, stepping, watching, back = (self.subjects[phase].rollout for phase in PHASES[:4])
        await asyncio.gather(*(self._move(self.subjects[phase].rollout, serves[phase]) for phase in PHASES[1:4]))
        await stepping.until("it is paused at its step", is_paused)
        await back.until("it is paused at its step", is_paused)
        await watching.until("it is watched", lambda now: now.phase == "Watching", within=ENDS_WITHIN)
        await self._move(starting, serves["Starting"])
        await starting.until("it starts", lambda now: now.phase == "Starting")
        await _ask(back, "abort")
        await back.until("it rolls back", lambda now: now.phase == "RollingBack")
        return serves

    async def _at_rest(self, rollout: Rollout) -> Version:
        """Without a rollout, also after a row that failed. Returns the version that serves."""

        def serving(now: Status) -> Version | None:
            uri = now.stable.model.uri if now.stable is not None else ""
            return next((version for version in self._versions if version.uri == uri), None)

        version = serving(rollout.status)
        if version is not None and rollout.status.phase != "Stable":
            await rollout.follow(version)
        await rollout.until("it rests", lambda now: now.phase == "Stable", within=ENDS_WITHIN)
        version = serving(rollout.status)
        assert version is not None
        return version

    async def _move(self, rollout: Rollout, serves: Version) -> None:
        """Follow the other version, which may have been taken back before."""
        wanted = self._other(serves)
        await rollout.follow(wanted)
        for entry in rollout.status.rejected:
            if entry.model == wanted.uri:
                await _annotate(rollout, f"retry/{entry.revision}/0")

    def _other(self, version: Version) -> Version:
        return next(other for other in self._versions if other != version)

    async def after(
        self, begun: Mapping[str, float], serves: Mapping[str, Version], goes_back: Collection[str]
    ) -> list[Cell]:
        """Resume what waits for a person, wait for all ends, and count.

        `begun`: when the fault did, by stream. `serves`: what each object served then; those of the phases `goes_back`
        end with it.
        """
        since, over = time.monotonic(), {phase: subject.stream.now for phase, subject in self.subjects.items()}
        waiting = (("Stepping", "resume"), ("RollingBack", "abort"))
        asking = [asyncio.create_task(self._ask_again(phase, verb)) for phase, verb in waiting]
        stays = {*goes_back, *ENDS_WHERE_IT_BEGAN}
        wanted = {phase: serves[phase] if phase in stays else self._other(serves[phase]) for phase in PHASES}
        try:
            ends = await asyncio.gather(*(self._end(phase, wanted[phase], since) for phase in PHASES))
        finally:
            for task in asking:
                task.cancel()
        cells = []
        for phase, (end, seconds) in zip(PHASES, ends, strict=True):  # after the last end: all have equal time
            requests, failed, broken, why = self.subjects[phase].since(begun[phase], over[phase])
            cells.append(Cell(phase, end, seconds, requests, failed, broken, why))
        return cells

    async def _end(self, phase: str, wanted: Version, since: float) -> tuple[str, float]:
        """The outcome of the rollout, and how many seconds it took."""
        settled = partial(_has_settled_on, wanted)
        end = await self.subjects[phase].rollout.until(f"it is Stable on {wanted.uri}", settled, within=ENDS_WITHIN)
        outcome = end.history[0].outcome if phase != "Stable" and end.history else "Stable"
        return outcome, time.monotonic() - since

    async def _ask_again(self, phase: str, verb: str) -> None:
        """Ask whenever the rollout waits for a person: also after a fault has cost the answer to the last command."""
        rollout = self.subjects[phase].rollout
        while True:
            if is_paused(rollout.status):
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
    if (fenced := steering.for_run(verb, rollout.status)) is not None:
        await _annotate(rollout, fenced)


async def _annotate(rollout: Rollout, fenced: str) -> None:
    await rollout.command("annotate", "modeldeployment", rollout.name, steering.annotation(fenced), "--overwrite")


def _has_settled_on(version: Version, now: Status) -> bool:
    ready = now.has("Ready", "True") and not now.has("Stalled", "True")
    return now.phase == "Stable" and now.stable is not None and now.stable.model.uri == version.uri and ready
