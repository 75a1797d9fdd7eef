"""Asks through the gateway what a phase needs to know: is the weight live, does the canary answer, who serves?"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.observation import Proof, Signatures, Workload
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Route, Status
from sluice_operator.kubernetes.port import Kube
from sluice_operator.rollout.roles import serves
from sluice_operator.routing import probes, signatures
from sluice_operator.routing.gateway import Access, Gateway
from sluice_operator.routing.router import router_for

_NO_ROUTE = Proof(False, "there is no route: no host was granted yet")

Workloads = Mapping[str, Workload]  # by revision


@dataclass(frozen=True, slots=True)
class Proofs:
    """Proofs for one look at an object. Each method answers one question, or None where the phase does not ask it."""

    kube: Kube
    access: Access
    chance: random.Random

    async def weight(self, current: Status, workloads: Workloads) -> Proof | None:
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
            router_for(current.route.traffic).probe_header(weight),
            stable.revision,
            canary.revision,
            weight.desired,
            stable_ready=workloads.get(stable.revision, Workload()).ready > 0,
        )
        return await probes.weight(self._gateway(current.route), split, self.chance)

    async def smoke(self, current: Status, weight_proof: Proof | None) -> Proof | None:
        """Does the canary answer a real prediction? Asked in Starting, as soon as weight 0 is live."""
        route, weight, canary = current.route, current.weight, current.canary
        if route is None or weight is None or canary is None or current.phase is not Phase.STARTING:
            return None
        if weight_proof is None or not weight_proof.live:
            return None
        header = router_for(route.traffic).probe_header(weight)
        return await probes.smoke(self._gateway(route), header, canary.revision)

    async def signatures(
        self, current: Status, workloads: Workloads, smoke_proof: Proof | None
    ) -> Signatures | Proof | None:
        """What do stable and the canary take and answer? Asked in Starting, once the smoke request was answered.

        A Proof if the gateway led elsewhere. None if stable has no pod that could answer: it has no callers to protect.
        """
        route, weight, stable, canary = current.route, current.weight, current.stable, current.canary
        if smoke_proof is None or not smoke_proof.live or route is None or weight is None:
            return None
        if stable is None or canary is None or workloads.get(stable.revision, Workload()).ready == 0:
            return None
        header = router_for(route.traffic).probe_header(weight)
        return await signatures.signatures(self._gateway(route), header, stable.revision, canary.revision)

    async def swap(
        self, owner: Owner, replicas: int, current: Status, pods: list[Manifest], workloads: Workloads
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
        return await probes.role(self._gateway(current.route), serving.revision)

    async def _revisions_of_endpoints(self, owner: Owner, pods: list[Manifest]) -> list[str | None]:
        """The revision of each ready endpoint of Service NAME; None for a pod that is not ours."""
        revision_of = {pod["metadata"]["name"]: pod["metadata"]["labels"].get(names.LABEL_REVISION) for pod in pods}
        service = {"kubernetes.io/service-name": owner.name}
        return [
            revision_of.get(endpoint.get("targetRef", {}).get("name"))
            for endpoint_slice in await self.kube.find("EndpointSlice", owner.namespace, service)
            for endpoint in endpoint_slice.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready")
        ]

    def _gateway(self, route: Route) -> Gateway:
        return Gateway(self.access, route.traffic.host)


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
