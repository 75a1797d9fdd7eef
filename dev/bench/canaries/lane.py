"""One ModelDeployment under a steady stream, on which canaries are tried one after the other."""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dev.bench.canaries import catalogue
from dev.bench.canaries.catalogue import Kind
from dev.demo.board import Board, NotReachedError
from dev.demo.cluster import Kubectl
from dev.demo.models import Version
from dev.demo.status import Status
from dev.demo.traffic import TIMEOUT, Request, Stream

READY_WITHIN = 300.0  # seconds; several servers start at once on a small machine
BACK_WITHIN = 120.0  # from a decided end to a canary without traffic


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one canary. Times are seconds from its first request, None if there was no verdict against it."""

    number: int
    kind: Kind
    exposed: int = 0  # predictions that it was sent, until it got none any more
    found_after: float | None = None
    message: str = ""  # of the verdict
    trouble: str = ""  # why nothing can be said


class Lane:
    """`stream` runs all the time; it keeps only the requests of the present canary."""

    def __init__(
        self,
        kubectl: Kubectl,
        namespace: str,
        name: str,
        board: Board,
        stream: Stream,
        *,
        watch: float = catalogue.WATCH,  # seconds
        ready_within: float = READY_WITHIN,
        hanging: float = TIMEOUT,  # seconds after which no request is still under way
    ) -> None:
        self._kubectl, self._namespace, self._name = kubectl, namespace, name
        self._board, self._stream = board, stream
        self._watch, self._ready_within, self._hanging = watch, ready_within, hanging

    async def tried(self, number: int, kind: Kind, models: dict[str, Version]) -> Tried:
        """Starts the canary, watches it, and rolls it back if the operator does not."""
        self._stream.requests.clear()
        try:
            await self._wish(models[kind.model], kind, number)
            revision = await self._given_traffic()
            found_at = await self._watched(revision)
            if found_at is None:
                await self._wish(models["good"])
            await self._at_rest()
            if found_at is not None:  # what it does not answer is still under way
                await asyncio.sleep(self._hanging)
        except NotReachedError as trouble:
            await self._wish(models["good"])
            await self._at_rest()
            return Tried(number, kind, trouble=str(trouble))
        return self._outcome(Tried(number, kind), revision, found_at)

    def _outcome(self, tried: Tried, revision: str, found_at: float | None) -> Tried:
        first, exposed = exposure(self._stream.requests, revision)
        rejection = next((one for one in self._board.status.rejected if one.revision == revision), None)
        if not exposed:
            return replace(tried, trouble=f"it never answered: {rejection.message if rejection else 'no rejection'}")
        if rejection is None or found_at is None:
            return replace(tried, exposed=exposed)
        return replace(tried, exposed=exposed, found_after=found_at - first, message=rejection.message)

    async def _wish(self, model: Version, kind: Kind | None = None, number: int = 0) -> None:
        """Writes what is to serve: a canary, or what serves already."""
        server = {"image": None, "env": None} if kind is None else kind.server(number)
        patch = {"spec": {"model": {"uri": model.uri}, "server": server}}
        await self._kubectl.text(
            *("-n", self._namespace, "patch", "modeldeployment", self._name, "--type=merge", "-p", json.dumps(patch)),
        )

    async def _given_traffic(self) -> str:
        """The canary's revision, once its first weight was seen live, or it was found before."""
        first, _ = catalogue.STEPS[0]

        def live(now: Status) -> bool:
            stepping = now.phase == "Stepping" and now.weight is not None and now.weight.live == first
            return now.canary is not None and (stepping or now.phase == "RollingBack")

        canary = (await self._board.until("the canary gets traffic", live, self._ready_within)).canary
        assert canary is not None
        return canary.revision

    async def _watched(self, revision: str) -> float | None:
        """When in the stream the operator decided against the canary; None if it did not while it was watched."""

        def decided(now: Status) -> bool:
            return now.phase == "RollingBack" or any(entry.revision == revision for entry in now.history)

        try:
            await self._board.until("a verdict", decided, self._watch)
        except NotReachedError:
            return None
        return self._stream.now

    async def _at_rest(self) -> None:
        def at_rest(now: Status) -> bool:
            return now.phase == "Stable" and now.canary is None

        await self._board.until("nothing is on trial", at_rest, BACK_WITHIN)


def exposure(requests: Sequence[Request], revision: str) -> tuple[float, int]:
    """When the canary was first asked, and how many predictions it was sent.

    A request without an answer of either revision counts as the canary's: it hung or crashed.
    """
    predictions = [request for request in requests if request.kind == "predict"]
    first = min((one.at for one in predictions if one.revision == revision), default=math.inf)
    return first, sum(one.at >= first and one.revision in {revision, ""} for one in predictions)
