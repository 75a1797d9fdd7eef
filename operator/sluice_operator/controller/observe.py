"""One snapshot of everything that a decision needs: the object, its children, the model, the gateway, the evidence.

Events are hints; the truth is read here. Only what the phase needs is looked at.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sluice_operator.analysis import criteria, hold_out
from sluice_operator.api import names, spec, status
from sluice_operator.api.observation import Defaults, HoldOuts, Observation, Proof, Refusal, Workload
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.quantities import Number
from sluice_operator.api.status import Phase, Revision, Run, Status, Verdict
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.pods import by_revision
from sluice_operator.kubernetes.port import Kube
from sluice_operator.mlflow.client import Registry
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.rollout.roles import serves
from sluice_operator.routing import probes
from sluice_operator.routing.router import router_for
from sluice_operator.settings import Settings

_UNSETTLED = (Phase.PENDING, Phase.STARTING, Phase.STABLE)  # in which another object's claim to the host matters
_JUDGED = (Phase.STEPPING, Phase.PROMOTING, Phase.WATCHING)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was observed, with the objects that writes are guarded by."""

    body: Manifest
    owner: Owner
    children: Children
    observed: Observation


class Observer:
    """Reads the world for one ModelDeployment at a time."""

    def __init__(
        self,
        kube: Kube,
        registry: Registry,
        trials: Evaluator,
        hosts: HostClaims,
        settings: Settings,
        clock: Callable[[], datetime],
        chance: random.Random,
    ) -> None:
        self._kube = kube
        self._registry = registry
        self._evaluator = trials
        self._hosts = hosts
        self._settings = settings
        self._clock = clock
        self._chance = chance

    async def observe(self, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        """None if the object is gone, or going. `refused`: what the API server said to the last writes."""
        body = await self._kube.get(names.KIND, namespace, name)
        if body is None or body["metadata"].get("deletionTimestamp"):
            self._evaluator.forget(namespace, name)
            return None
        wanted, current = spec.parse(body["spec"]), status.parse(body.get("status"))
        owner = Owner(namespace, name, body["metadata"]["uid"], self._settings.trusted_types)
        owned = await children.read(self._kube, namespace, name, owner.uid, current)
        pods = await self._kube.find("Pod", namespace, {names.LABEL_OWNER: name})
        workloads = by_revision(pods)
        registry_uri = wanted.model.registry.tracking_uri
        poll_seconds = wanted.model.poll_interval.total_seconds()
        weight, smoke = await self._prove_weight(current, workloads)
        observed = Observation(
            now=self._clock(),
            name=name,
            generation=body["metadata"]["generation"],
            spec=wanted,
            status=current,
            defaults=Defaults(self._settings.server_image, self._settings.tracking_uri),
            resolution=await self._registry.resolve(wanted.model.uri, registry_uri, poll_seconds),
            workloads=workloads,
            foreign=owned.foreign,
            host_taken=await self._hosts.older(body) if current.phase in _UNSETTLED else "",
            refused=refused,
            weight=weight,
            smoke=smoke,
            swap=await self._prove_swap(owner, wanted, current, pods, workloads),
            hold_outs=await self._trained(current),
            rate=await self._rate(owner, current),
            latency_thresholds=await self._slow(owner, current) if smoke is not None and smoke.live else {},
            metrics_refusal=await self._unasked(owner, current),
            verdict=await self._verdict(owner, current, workloads),
            alias_version=await self._alias(current),
        )
        return Snapshot(body, owner, owned, observed)

    async def _prove_weight(self, current: Status, workloads: dict[str, Workload]) -> tuple[Proof | None, Proof | None]:
        """Whether the weight that was written is live, and the smoke request that follows it in Starting."""
        run, weight, stable, canary = current.run, current.weight, current.stable, current.canary
        if run is None or weight is None or stable is None or canary is None:
            return None, None
        ready = workloads.get(canary.revision, Workload()).ready
        if ready == 0:
            return None, None
        gateway, header = self._gateway(run), router_for(run.traffic).probe_header(weight)
        proof = Proof(True)
        if weight.verified_at is None:
            proof = await probes.weight(gateway, header, stable.revision, canary.revision, self._chance)
        if current.phase is not Phase.STARTING or not proof.live:
            return proof, None
        return proof, await probes.smoke(gateway, header, canary.revision)

    async def _prove_swap(
        self,
        owner: Owner,
        wanted: spec.Spec,
        current: Status,
        pods: list[Manifest],
        workloads: dict[str, Workload],
    ) -> Proof | None:
        """Whether Service NAME and the gateway agree on who serves, while that changes."""
        run, serving = current.run, serves(current)
        swapping = current.phase is Phase.PROMOTING and run is not None and run.swapped
        returning = current.phase is Phase.ROLLING_BACK and current.weight is None
        complete = any(found.ready >= wanted.server.replicas for found in workloads.values())
        arriving = current.phase is Phase.STARTING and current.stable is None and complete
        if run is None or serving is None or not (swapping or returning or arriving):
            return None
        revision_of = {pod["metadata"]["name"]: pod["metadata"]["labels"].get(names.LABEL_REVISION) for pod in pods}
        service = {"kubernetes.io/service-name": owner.name}
        slices = await self._kube.find("EndpointSlice", owner.namespace, service)
        ready = [
            revision_of.get(endpoint.get("targetRef", {}).get("name"))
            for one in slices
            for endpoint in one.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready")
        ]
        others = sum(revision != serving.revision for revision in ready)
        if others or len(ready) < wanted.server.replicas:
            return Proof(False, f"Service {owner.name} has {len(ready)} ready endpoints, {others} of another revision")
        return await probes.role(self._gateway(run), serving.revision)

    def _gateway(self, run: Run) -> probes.Gateway:
        return probes.Gateway(self._settings.gateway_address, run.traffic.host)

    async def _trained(self, current: Status) -> HoldOuts | None:
        """What the hold-outs say, while objectives ask for them."""
        if current.phase is not Phase.STARTING or current.run is None or current.canary is None:
            return None
        asked = hold_out.whose(current.run.objectives, current.canary, current.stable)
        found = [await self._registry.hold_out(one.model, one.tracking_uri) for one in asked]
        return HoldOuts(*found) if found else None

    async def _unasked(self, owner: Owner, current: Status) -> Refusal | None:
        """Whether a run will have metrics is told before it has traffic."""
        if current.run is None or current.phase not in (Phase.STARTING, *_JUDGED):
            return None
        return await self._evaluator.refusal(owner.namespace, current.run.prometheus)

    async def _rate(self, owner: Owner, current: Status) -> float | None:
        """How many requests there are, while a run without steps of its own waits for them."""
        run, stable = current.run, current.stable
        if current.phase is not Phase.STARTING or run is None or run.steps or stable is None:
            return None
        now = self._clock()
        return await self._evaluator.rate(owner.namespace, owner.name, stable.revision, now, run.prometheus)

    async def _slow(self, owner: Owner, current: Status) -> Mapping[str, Number] | None:
        """What stable's requests take, while latencies without a limit wait for that."""
        run, stable = current.run, current.stable
        if current.phase is not Phase.STARTING or run is None or stable is None:
            return {}
        if not criteria.without_limit(run.objectives):
            return {}
        key = owner.namespace, owner.name
        try:
            return await self._evaluator.latency_thresholds(
                key, stable.revision, run.objectives, self._clock(), run.prometheus
            )
        except MetricsLostError:
            return None

    async def _verdict(self, owner: Owner, current: Status, workloads: dict[str, Workload]) -> Verdict | None:
        run = current.run
        if current.phase not in _JUDGED or run is None or run.traffic_started_at is None:
            self._evaluator.forget(owner.namespace, owner.name)
            return None
        watching = current.phase is Phase.WATCHING
        canary, other = (current.stable, current.previous) if watching else (current.canary, current.stable)
        if canary is None:
            return None
        revisions = ComparedRevisions(canary.revision, other.revision if other else None)
        subject = Subject(owner.namespace, owner.name, run, revisions)
        return await self._evaluator.verdict(subject, current, _crashes(run, workloads, canary, other), self._clock())

    async def _alias(self, current: Status) -> str | None:
        alias = current.alias
        if alias is None or alias.done:
            return None
        return await self._registry.alias_version(alias.tracking_uri, alias.model, alias.name)


def _crashes(run: Run, workloads: dict[str, Workload], subject: Revision, other: Revision | None) -> int:
    """Terminations of the subject's containers in this run, beyond those of the other side."""

    def ended(revision: Revision | None, before: int) -> int:
        pods = workloads.get(revision.revision, Workload()) if revision else Workload()
        return max(0, pods.restarts - before)

    return ended(subject, run.canary_restarts) - ended(other, run.stable_restarts)
