"""Reads all that a decision needs: the object, its children and pods, the model, the gateway, the evidence.

One method answers one question, and fills in one field of the Observation. Only what the phase needs is read. Events
are hints: what is true is read here.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice_operator.analysis import hold_out
from sluice_operator.api import allowed_trust, names, pod_template, spec
from sluice_operator.api.command import asked
from sluice_operator.api.observation import (
    NO_DEPLOYMENT,
    Defaults,
    HoldOuts,
    HostTrouble,
    Observation,
    Resolution,
    RouteEdit,
    Workload,
)
from sluice_operator.api.owner import Key, Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import BEFORE_TRAFFIC
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Alias, Status
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.observation import adoption
from sluice_operator.controller.observation.callers import Callers
from sluice_operator.controller.observation.gateway_answers import GatewayAnswers
from sluice_operator.controller.observation.host_claims import HostClaims, granted_before_noted, served_since
from sluice_operator.controller.observation.metric_questions import MetricQuestions
from sluice_operator.controller.observation.proofs import Proofs
from sluice_operator.controller.observation.route_edits import RouteEdits
from sluice_operator.controller.scheduling.patience import PATIENCE
from sluice_operator.credentials import store_token
from sluice_operator.kubernetes import preparation
from sluice_operator.kubernetes.children import Budgets, Children
from sluice_operator.kubernetes.pods import by_revision
from sluice_operator.kubernetes.port import LiveKube, Reads
from sluice_operator.mlflow import uris
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.rollout import preparation as preparing
from sluice_operator.rollout.commands import waits
from sluice_operator.rollout.roles import full_size
from sluice_operator.routing.gateway import Access
from sluice_operator.routing.router import router_for
from sluice_operator.settings import Settings
from sluice_operator.telemetry.stages import stage


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one call of `observe` read: the Observation for `decide`, and the objects that writes need.

    Writes are conditional on the resourceVersions in `body` and `children`, so what was decided from an old snapshot is
    not written.
    """

    body: Manifest  # the ModelDeployment itself, as it was read
    owner: Owner
    children: Children
    observation: Observation
    adopted: str = ""  # why the status is not the one in `body`, but made from what serves


class Observer:
    """Reads a snapshot of one ModelDeployment at a time."""

    def __init__(
        self,
        kube: LiveKube,
        registry: BackgroundRegistry,
        evaluator: Evaluator,
        hosts: HostClaims,
        settings: Settings,
        clock: Callable[[], datetime],
        chance: random.Random,
        wake: Callable[[Key], None] = lambda key: None,
        watched: Reads | None = None,  # what watches have told, for objects that no decision depends on
        rival: Callable[[str], str] = lambda namespace: "",  # which other operator watches it
    ) -> None:
        self._kube = kube
        self._watched = watched or kube
        self._rival = rival
        self._registry = registry
        self._metrics = MetricQuestions(evaluator, clock, wake)
        self._hosts = hosts
        self._settings = settings
        self._clock = clock
        self._defaults = Defaults(settings.server_image, settings.server_pyfunc_image, bool(settings.store_url))
        self._route_edits = RouteEdits()
        self._gateway_answers = GatewayAnswers()
        access = _access(settings)
        self._proofs = Proofs(kube, access, chance, wake)
        self._callers = Callers(kube, access, chance, clock, wake)

    async def observe(self, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        """None if the object is gone or being deleted. `refused`: why the API server refused the last writes."""
        return await self.observe_in(self._kube, namespace, name, refused)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is known of an object that is gone."""
        self._metrics.forget((namespace, name))
        self._route_edits.forget(namespace, name)
        self._gateway_answers.forget(namespace, name)
        self._callers.forget(namespace, name)
        self._registry.forget((namespace, name))
        self._proofs.forget((namespace, name))

    async def observe_in(self, reads: Reads, namespace: str, name: str, refused: str = "") -> Snapshot | None:
        """As `observe`, with objects from a cache or from the API server."""
        with stage("read"):
            body = await reads.get(names.KIND, namespace, name)
        if body is None or body["metadata"].get("deletionTimestamp"):
            self.forget(namespace, name)
            return None
        wanted, owner, looked_at = spec.parse(body["spec"]), self._owner(body), self._clock()
        routes = router_for(wanted.traffic).objects(name)
        budgets = Budgets(self._watched, wanted.server.pod_disruption_budget)
        with stage("read"):
            followed = await adoption.read(reads, owner, body, routes, budgets, looked_at)
            current, owned = followed.status, followed.children
            pods = await reads.find("Pod", namespace, {names.LABEL_OWNER: name})
            prepared = await self._preparation(reads, owner, current, owned)
        made = by_revision(pods, owned.objects.values())
        workloads, selected = preparing.workloads(current, made, prepared), owned.selected(owner)
        lost = bool(followed.adopted)
        shown_since = served_since(owned, owner, wanted.traffic.place) if lost else None
        edits = self._route_edits.look(owner, current, owned, looked_at)
        trouble = self._callers.look(owner, current, workloads)
        command = asked(body)
        urgent = waits(command, current)  # a person has asked for something: then nobody else is waited for
        key, until = (namespace, name), asyncio.get_running_loop().time() + (0.0 if urgent else PATIENCE)
        weight, smoke, compared = await self._proofs.of_canary(key, current, workloads, until)
        unjudged = urgent or _in_doubt(current, edits, trouble)
        observation = Observation(
            now=self._clock(),
            namespace=namespace,
            name=name,
            generation=body["metadata"]["generation"],
            spec=wanted,
            status=current,
            defaults=self._defaults,
            resolution=self._resolution(owner, wanted),
            workloads=workloads,
            selected=selected,
            answered=made.get(selected, NO_DEPLOYMENT).ready > 0,
            adopted=lost,
            foreign=owned.foreign,
            host_taken=await self._hosts.holder(body, wanted.traffic.place, shown_since),
            route_taken=await self._hosts.holder(body, current.route.traffic.place) if current.route else "",
            route_refusal=self._settings.allowed_routes.refusal(namespace, wanted.traffic),
            granted_at=None if lost else granted_before_noted(body),
            route_edits=edits,
            host_trouble=trouble,
            gateway_refusal=self._gateway_answers.look(owner, current, owned, looked_at),
            refused=refused,
            unreadable=owned.unreadable,
            rival=self._rival(namespace),
            weight=weight,
            smoke=smoke,
            swap=await self._proofs.swap(owner, full_size(wanted, current), current, pods, workloads, until),
            signatures=compared,
            hold_outs=self._hold_outs(owner, wanted, current),
            rate=await self._metrics.rate(key, current),
            latency_thresholds=await self._metrics.latency_thresholds(key, current, smoke),
            metrics_refusal=await self._metrics.refusal(key, current),
            verdict=None if unjudged else await self._metrics.verdict(key, current, workloads),
            alias_version=self._alias_version(owner, wanted, current),
            alias_trouble=self._registry.alias_trouble((namespace, name)),
            command=command,
        )
        return Snapshot(body, owner, owned, observation, followed.adopted)

    def _owner(self, body: Manifest) -> Owner:
        metadata, settings = body["metadata"], self._settings
        return Owner(
            metadata["namespace"],
            metadata["name"],
            metadata["uid"],
            settings.trusted_types,
            settings.tracking_uri,
            settings.store_url,
            store_token.make(settings.store_key, metadata["namespace"]) if settings.store_url else "",
        )

    async def _preparation(self, reads: Reads, owner: Owner, current: Status, owned: Children) -> dict[str, Workload]:
        """What has become of the Jobs that prepare models? Asked as long as their digests are not known."""
        if not (jobs := preparing.jobs(current)):
            return {}
        prepared: dict[str, Workload] = {}
        pods = await reads.find("Pod", owner.namespace, {names.LABEL_PREPARES: owner.name})
        for _, run in jobs:
            prepared |= preparation.by_revision(pods, owned.objects.values(), run)
        return prepared

    def _resolution(self, owner: Owner, wanted: Spec) -> Resolution:
        """Which version does the URI name? Read anew every `pollInterval`, if it has an alias."""
        model, key = wanted.model, (owner.namespace, owner.name)
        if refused := allowed_trust.refusal(self._settings.allowed_trust, owner.namespace, model.trust):
            return refused
        allowed = self._settings.allowed_host_access
        if refused := pod_template.refusal(allowed, owner.namespace, wanted.server):
            return refused
        via = Connection.of(owner.namespace, model.registry)
        return self._registry.resolve(key, model.uri, via, model.poll_interval.total_seconds())

    def _hold_outs(self, owner: Owner, wanted: Spec, current: Status) -> HoldOuts | None:
        """What are the results on hold-outs? Asked in Starting, if objectives need them."""
        if current.phase not in BEFORE_TRAFFIC or current.run is None or current.canary is None:
            return None
        revisions = hold_out.revisions_to_read(current.run.objectives, current.canary, current.stable)
        key = owner.namespace, owner.name
        questions = [(revision.model, _registry_of(revision, owner, wanted)) for revision in revisions]
        results = self._registry.hold_outs(key, questions)
        return HoldOuts(*results) if results else None

    def _alias_version(self, owner: Owner, wanted: Spec, current: Status) -> str | None:
        """Which version has the alias, or stage, of the last promotion? Asked until that is the promoted one."""
        alias = current.alias
        if alias is None or alias.done:
            return None
        key = owner.namespace, owner.name
        return self._registry.alias_version(key, _registry_of(alias, owner, wanted), uris.of_alias(alias))


def _registry_of(source: Revision | Alias, owner: Owner, wanted: Spec) -> Connection:
    """The registry that a revision or an alias came from."""
    return Connection.to(source.tracking_uri, owner.namespace, wanted.model.registry)


def _in_doubt(current: Status, edits: Sequence[RouteEdit], trouble: HostTrouble | None) -> bool:
    """Whether status still calls a weight live that it may not be any more: then no requests are judged by it."""
    disturbed = bool(edits) or (trouble is not None and trouble.by_another)
    return disturbed and current.weight is not None and current.weight.verified_at is not None


def _access(settings: Settings) -> Access:
    """How the settings say that the gateway is reached."""
    return Access(
        settings.gateway_address,
        settings.gateway_headers,
        settings.gateway_ca,
        settings.probe_timeout,
        settings.smoke_timeout,
        addresses=settings.gateway_addresses,
    )
