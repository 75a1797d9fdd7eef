"""Asks through the gateway what a phase needs to know: is the weight live, does the canary answer, who serves?

A look waits for that a moment only: the answers come from pods of users, and may take as long as these like.
"""

import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from sluice_operator.api import names
from sluice_operator.api.observation import Proof, Signatures, Workload
from sluice_operator.api.owner import Key, Manifest, Owner
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Route, Status
from sluice_operator.controller.scheduling.namespace_limit import NamespaceLimit
from sluice_operator.controller.scheduling.patience import Patience
from sluice_operator.kubernetes.port import Kube
from sluice_operator.rollout.roles import serves
from sluice_operator.routing import probes, signatures
from sluice_operator.routing.canary_share import probe_header
from sluice_operator.routing.gateway import Access, Gateway

_NO_ROUTE = Proof(False, "there is no route: no host is granted")
_AWAITED = Proof(False, "the gateway has not answered yet")
_AT_ONCE = 8  # questions of one namespace

Answer = TypeVar("Answer", Proof, Signatures | Proof)
Workloads = Mapping[str, Workload]  # by revision


class Proofs:
    """Proofs for one look at an object. Each method answers one question, or None where the phase does not ask it.

    What the gateway says is waited for until `until`, by the clock of the event loop. After that, nothing is proven.
    `wake`: is called with an object whose answer came later.
    """

    def __init__(
        self, kube: Kube, access: Access, chance: random.Random, wake: Callable[[Key], None] = lambda key: None
    ) -> None:
        self._kube = kube
        self._access = access
        self._chance = chance
        self._limit = NamespaceLimit(_AT_ONCE)
        self._weights, self._smokes, self._swaps = Patience[Proof](wake), Patience[Proof](wake), Patience[Proof](wake)
        self._signatures = Patience[Signatures | Proof](wake)

    def forget(self, key: Key) -> None:
        """Drop an object that is gone."""
        for kind in (self._weights, self._smokes, self._swaps, self._signatures):
            kind.forget(key)

    async def of_canary(
        self, key: Key, current: Status, workloads: Workloads, until: float
    ) -> tuple[Proof | None, Proof | None, Signatures | None]:
        """Of its weight, of the smoke request, and what it takes and answers: each once the one before is there."""
        weight = await self.weight(key, current, workloads, until)
        smoke = await self.smoke(key, current, weight, until)
        compared = await self.signatures(key, current, workloads, smoke, until)
        if isinstance(compared, Proof):  # the gateway led elsewhere: as if the smoke request had
            return weight, compared, None
        return weight, smoke, compared

    async def weight(self, key: Key, current: Status, workloads: Workloads, until: float) -> Proof | None:
        """Is the desired weight live? None without a canary that has ready pods."""
        weight, stable, canary = current.weight, current.stable, current.canary
        if current.run is None or weight is None or stable is None or canary is None:
            return None
        if workloads.get(canary.revision, Workload()).ready == 0:
            return None
        if weight.verified_at is not None:
            return Proof(True)
        if current.route is None:
            return _NO_ROUTE
        split = probes.Split(
            probe_header(weight),
            stable.revision,
            canary.revision,
            weight.desired,
            stable_ready=workloads.get(stable.revision, Workload()).ready > 0,
        )
        gateway = self._gateway(current.route, key[0])
        return await self._asked(
            self._weights, key, (gateway, split), lambda: probes.weight(gateway, split, self._chance), until
        )

    async def smoke(self, key: Key, current: Status, weight_proof: Proof | None, until: float) -> Proof | None:
        """Does the canary answer a real prediction? Asked in Starting, as soon as weight 0 is live, but in no pause."""
        route, weight, canary, run = current.route, current.weight, current.canary, current.run
        if route is None or weight is None or canary is None or current.phase is not Phase.STARTING:
            return None
        if run is not None and run.pause is not None:
            return None
        if weight_proof is None or not weight_proof.live:
            return None
        question = self._gateway(route, key[0]), probe_header(weight), canary.revision
        return await self._asked(self._smokes, key, question, lambda: probes.smoke(*question), until)

    async def signatures(
        self, key: Key, current: Status, workloads: Workloads, smoke_proof: Proof | None, until: float
    ) -> Signatures | Proof | None:
        """What do stable and the canary take and answer? Asked in Starting, once the smoke request was answered.

        A Proof if the gateway led elsewhere. None if stable has no pod that could answer: it has no callers to protect.
        """
        route, weight, stable, canary = current.route, current.weight, current.stable, current.canary
        if smoke_proof is None or not smoke_proof.live or route is None or weight is None:
            return None
        if stable is None or canary is None or workloads.get(stable.revision, Workload()).ready == 0:
            return None
        header = probe_header(weight)
        question = self._gateway(route, key[0]), header, stable.revision, canary.revision
        return await self._asked(self._signatures, key, question, lambda: signatures.signatures(*question), until)

    async def swap(
        self, owner: Owner, replicas: int, current: Status, pods: list[Manifest], workloads: Workloads, until: float
    ) -> Proof | None:
        """Do Service NAME and the gateway lead to the revision that should serve? None while that does not change."""
        run, serving = current.run, serves(current)
        if run is None or serving is None or not _who_serves_changes(current, workloads):
            return None
        if current.phase in (Phase.INITIALIZING, Phase.FAILOVER):  # one pod is better than none
            replicas = min(replicas, workloads.get(serving.revision, Workload()).ready)
        revisions = await self._revisions_of_endpoints(owner, pods)
        others = sum(revision != serving.revision for revision in revisions)
        if others or len(revisions) < replicas:
            detail = f"Service {owner.name} has {len(revisions)} ready endpoints, {others} of another revision"
            return Proof(False, detail)
        if current.route is None:
            return _NO_ROUTE
        key, question = (owner.namespace, owner.name), (self._gateway(current.route, owner.namespace), serving.revision)
        asked = (*question, current.phase, run.id)
        return await self._asked(self._swaps, key, asked, lambda: probes.role(*question), until)

    async def _asked(
        self,
        patience: Patience[Answer],
        key: Key,
        question: object,
        ask: Callable[[], Coroutine[Any, Any, Answer]],
        until: float,
    ) -> Answer:
        async def in_turn() -> Answer:
            async with self._limit.turn(key[0]):
                return await ask()

        return await patience.answer(key, question, in_turn, until) or _AWAITED

    async def _revisions_of_endpoints(self, owner: Owner, pods: list[Manifest]) -> list[str | None]:
        """The revision of each ready endpoint of Service NAME; None for a pod that is not ours."""
        revision_of = {pod["metadata"]["name"]: pod["metadata"]["labels"].get(names.LABEL_REVISION) for pod in pods}
        service = {"kubernetes.io/service-name": owner.name}
        return [
            revision_of.get(endpoint.get("targetRef", {}).get("name"))
            for endpoint_slice in await self._kube.find("EndpointSlice", owner.namespace, service)
            for endpoint in endpoint_slice.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready")
        ]

    def _gateway(self, route: Route, namespace: str) -> Gateway:
        return Gateway(self._access.of(route.traffic.gateways(namespace)), route.traffic.place)


def _who_serves_changes(current: Status, workloads: Workloads) -> bool:
    """Whether Service NAME is being led to another revision: a promotion, a rollback after it, or a first revision."""
    match current.phase:
        case Phase.SWAPPING | Phase.FAILOVER:
            return True
        case Phase.ROLLING_BACK:
            return current.weight is None
        case Phase.INITIALIZING:
            return any(workload.ready > 0 for workload in workloads.values())
        case _:
            return False
