"""A lane: one ModelDeployment with a steady stream of requests, on which canaries are tried one after the other."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dev.bench.canaries import catalogue
from dev.bench.canaries.catalogue import Kind
from dev.demo.board import Board, NotReachedError
from dev.demo.cluster import Kubectl
from dev.demo.models import Version
from dev.demo.status import Status
from dev.demo.traffic import TIMEOUT, Request, Stream

READY_WITHIN = 300.0  # seconds; on a small machine several servers start at the same time
IDLE_WITHIN = 120.0  # seconds from the decision about a canary until it is gone


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What became of one canary. `rolled_back_after`: seconds from its first request; None without a rollback."""

    number: int
    kind: Kind
    exposed: int = 0  # all predictions that were sent to it
    rolled_back_after: float | None = None
    message: str = ""  # of the verdict
    trouble: str = ""  # why this canary proves nothing


class Lane:
    """`stream` runs all the time. Its list of requests is emptied before each canary."""

    def __init__(
        self,
        kubectl: Kubectl,
        namespace: str,
        name: str,
        board: Board,
        stream: Stream,
        *,
        everywhere: Mapping[str, str] = catalogue.NO_FAULTS,  # of all servers
        watch: float = catalogue.WATCH,  # seconds
        ready_within: float = READY_WITHIN,
        timeout: float = TIMEOUT,  # seconds after which each request has ended
    ) -> None:
        self._kubectl, self._namespace, self._name = kubectl, namespace, name
        self._board, self._stream = board, stream
        self._everywhere = everywhere
        self._watch, self._ready_within, self._timeout = watch, ready_within, timeout

    async def try_canary(self, number: int, kind: Kind, models: dict[str, Version]) -> CanaryResult:
        """Start the canary and wait for a verdict against it. If none comes in time, withdraw the canary."""
        self._stream.requests.clear()
        try:
            await self._set_spec(models[kind.model], kind, number)
            revision = await self._traffic()
            decided_at = await self._decision(revision)
            if decided_at is None:
                await self._set_spec(models["good"])
            await self._idle()
            if decided_at is not None:  # requests that the canary does not answer end by their timeout
                await asyncio.sleep(self._timeout)
        except NotReachedError as trouble:
            await self._set_spec(models["good"])
            await self._idle()
            return CanaryResult(number, kind, trouble=str(trouble))
        return self._completed(CanaryResult(number, kind), revision, decided_at)

    def _completed(self, result: CanaryResult, revision: str, decided_at: float | None) -> CanaryResult:
        first, exposed = exposure(self._stream.requests, revision)
        rejections = self._board.status.rejected
        rejection = next((rejection for rejection in rejections if rejection.revision == revision), None)
        if not exposed:
            return replace(result, trouble=f"it never answered: {rejection.message if rejection else 'no rejection'}")
        if rejection is None or decided_at is None:
            return replace(result, exposed=exposed)
        return replace(result, exposed=exposed, rolled_back_after=decided_at - first, message=rejection.message)

    async def _set_spec(self, model: Version, kind: Kind | None = None, number: int = 0) -> None:
        """Write the model and server settings of a canary, or without `kind` those of stable."""
        everywhere = self._everywhere
        server = catalogue.stable_server(everywhere) if kind is None else kind.server(number, everywhere)
        patch = {"spec": {"model": {"uri": model.uri}, "server": server}}
        await self._kubectl.text(
            *("-n", self._namespace, "patch", "modeldeployment", self._name, "--type=merge", "-p", json.dumps(patch)),
        )

    async def _traffic(self) -> str:
        """Wait until the first weight is live, or the canary is rolled back before that. Returns its revision."""
        first, _ = catalogue.STEPS[0]

        def live(status: Status) -> bool:
            stepping = status.phase == "Stepping" and status.weight is not None and status.weight.live == first
            return status.canary is not None and (stepping or status.phase == "RollingBack")

        canary = (await self._board.until("the canary gets traffic", live, self._ready_within)).canary
        assert canary is not None
        return canary.revision

    async def _decision(self, revision: str) -> float | None:
        """Wait until the operator decides against the canary. Returns the time of the stream; None if it does not."""

        def decided(status: Status) -> bool:
            return status.phase == "RollingBack" or any(entry.revision == revision for entry in status.history)

        try:
            await self._board.until("a verdict", decided, self._watch)
        except NotReachedError:
            return None
        return self._stream.now

    async def _idle(self) -> None:
        def idle(status: Status) -> bool:
            return status.phase == "Stable" and status.canary is None

        await self._board.until("there is no canary", idle, IDLE_WITHIN)


def exposure(requests: Sequence[Request], revision: str) -> tuple[float, int]:
    """The time of the canary's first answer (seconds of the stream), and how many predictions were sent to it.

    From then on a request without an answer counts as the canary's: its server hung or crashed.
    """
    predictions = [request for request in requests if request.kind == "predict"]
    first = min((request.at for request in predictions if request.revision == revision), default=math.inf)
    return first, sum(request.at >= first and request.revision in {revision, ""} for request in predictions)
