"""The story of the demo: the first version serves, the better one is promoted, the bad one is rejected.

It only acts and waits. The board has what happened, and `promises` checks it.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import httpx

from dev.demo import promises
from dev.demo.board import Board, NotReachedError
from dev.demo.chaos import Chaos
from dev.demo.cluster import Kubectl
from dev.demo.example import Example
from dev.demo.models import Aliases, Version, Versions
from dev.demo.promises import Pod, Promise
from dev.demo.status import Status
from dev.demo.tasks import first_answer
from dev.demo.traffic import Stream

READY_WITHIN = 180.0  # seconds; the first pods of a cold cluster start slowly
RUN_WITHIN = 240.0  # seconds from the change of the alias to the end of the run, with kills of the operator
ALIAS_WITHIN = 10.0  # seconds from the end of a run until Sluice has moved the alias


class Story:
    def __init__(
        self,
        board: Board,
        kubectl: Kubectl,
        aliases: Aliases,
        example: Example,
        chaos: Chaos | None = None,
        afterwards: float = 8.0,  # seconds of traffic after a run, while its retiring pods end
    ) -> None:
        self.promises: list[Promise] = []
        self._board, self._kubectl, self._aliases, self._example = board, kubectl, aliases, example
        self._chaos, self._afterwards = chaos, afterwards
        self._promoted_pods: list[Pod] = []

    async def clear(self) -> None:
        """Remove the object and the aliases of an earlier demo. Its registered versions stay in MLflow."""
        await self._kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._example.namespace}}
        )
        await self._kubectl.text(
            *("-n", self._example.namespace, "delete", "modeldeployment", self._example.name),
            *("--ignore-not-found", "--cascade=foreground", "--timeout=120s"),
        )
        for alias in ("challenger", "champion"):
            await self._aliases.remove(alias)

    async def serve_first(self, versions: Versions, gateway: str) -> float:
        """Apply the example. Returns the seconds from then to the first prediction."""
        first = versions.first.version
        await self._aliases.set("challenger", first)
        applied = self._board.now
        await self._kubectl.text("apply", "-f", str(self._example.path))
        await self._first_prediction(gateway)
        seconds = self._board.now - applied
        status = await self._board.until("condition Ready is True", lambda now: now.has("Ready", "True"), READY_WITHIN)
        stable = _stable_version(status)
        self.promises.append(Promise(f"version {first} serves", stable == first, f"stable is {stable or 'none'}"))
        return seconds

    async def good_run(self, versions: Versions, stream: Stream) -> None:
        """Move the alias to the better version and wait for the end of its run."""
        better = versions.better
        async with self._kills("good run"):
            await self._aliases.set("challenger", better.version)
            await self._reaches(better, "gets requests", {"Stepping", "Promoting", "Swapping", "Watching"})
            await self._reaches(better, "takes over", {"Promoting", "Swapping", "Watching"})
            end = await self._reaches(better, "is promoted", set())
        champion = await self._champion(better.version)
        self.promises += promises.promoted(end, better.uri, better.version, champion)
        phases = {change.phase_and_step for change in self._board.changes if change.part == "good run"}
        self.promises.append(promises.reached(phases, self._example.weights, "good run"))
        await self._only_answer_now(stream, better.version)

    async def bad_run(self, versions: Versions, stream: Stream) -> None:
        """Move the alias to the bad version and wait for the end of its run."""
        bad, better = versions.bad, versions.better
        async with self._kills("bad run"):
            await self._aliases.set("challenger", bad.version)
            end = await self._reaches(bad, "is rejected", set())
        champion = await self._aliases.get("champion")
        self.promises += promises.rejected(end, bad.uri, better.version, champion)
        await self._only_answer_now(stream, better.version)

    async def look_back(self, versions: Versions, stream: Stream) -> None:
        """Check what can only be known after both runs."""
        self.promises.append(promises.same_pods(self._promoted_pods, await self._pods(versions.better)))
        names = [version.version for version in (versions.first, versions.better, versions.bad)]
        self.promises.append(promises.took_part(stream.requests, names))
        if self._chaos is not None:
            self.promises.append(promises.killed(self._chaos.kills, await self._chaos.restarts(), runs=2))

    async def _reaches(self, version: Version, what: str, phases: set[str]) -> Status:
        """Wait until the version is in one of the phases, or its run has ended. Note its pods if `phases` are given."""

        def reached(status: Status) -> bool:
            in_phase = status.phase in phases and status.revision_of(version.uri) is not None
            return in_phase or (status.phase == "Stable" and status.outcome_of(version.uri) is not None)

        status = await self._board.until(f"version {version.version} {what}", reached, RUN_WITHIN)
        if phases:
            self._promoted_pods += await self._pods(version)
        return status

    async def _pods(self, version: Version) -> list[Pod]:
        revision = self._board.status.revision_of(version.uri)
        documents = await self._kubectl.items(
            *("pods", "-n", self._example.namespace, "-l"),
            f"sluice.dev/model-deployment={self._example.name},sluice.dev/revision={revision}",
        )
        return [pod_of(document) for document in documents]

    async def _champion(self, version: str) -> str | None:
        """Wait until alias champion names the version. After ALIAS_WITHIN seconds, what it names instead."""
        until = self._board.now + ALIAS_WITHIN

        async def result() -> tuple[str | None] | None:  # a tuple, because the alias itself may be None
            champion = await self._aliases.get("champion")
            return (champion,) if champion == version or self._board.now > until else None

        (champion,) = await first_answer(result)
        return champion

    async def _only_answer_now(self, stream: Stream, version: str) -> None:
        since = stream.now
        await asyncio.sleep(self._afterwards)
        self.promises.append(promises.only_answers_now(stream.requests, since, version))

    async def _first_prediction(self, gateway: str) -> None:
        headers = {"host": self._example.host}
        async with httpx.AsyncClient(base_url=gateway, headers=headers, timeout=2.0, trust_env=False) as client:

            async def predict() -> bool | None:
                try:
                    answer = await client.post("/predict", json={"features": [[5.1, 3.5, 1.4, 0.2]]})
                except httpx.TransportError:
                    return None
                return True if answer.is_success else None

            try:
                await asyncio.wait_for(first_answer(predict, every=0.1), READY_WITHIN)
            except TimeoutError:
                instead = self._board.status.message or "no status"
                message = f"not within {READY_WITHIN:.0f} s: a first prediction; instead {instead}"
                raise NotReachedError(message) from None

    def _kills(self, run: str) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._chaos is None else self._chaos.during(run)


def _stable_version(status: Status) -> str:
    return status.stable.model.version if status.stable else ""


def pod_of(document: dict[str, Any]) -> Pod:
    """A pod as kubectl prints it, parsed."""
    containers = document["status"].get("containerStatuses", [])
    return Pod(
        uid=document["metadata"]["uid"],
        name=document["metadata"]["name"],
        restarts=sum(int(container["restartCount"]) for container in containers),
    )
