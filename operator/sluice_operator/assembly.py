"""The parts of the operator, built from the settings and connected with each other."""

import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import kopf

from sluice_operator.api.owner import Key
from sluice_operator.controller import watch
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.at_rest import AtRest
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.user_queries import UserQueries
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.judged import Judged
from sluice_operator.controller.listeners import Listeners, StatusListener
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.controller.scheduling.first_looks import FirstLooks
from sluice_operator.controller.scheduling.lanes import Lanes
from sluice_operator.controller.scheduling.own_namespaces import OwnNamespaces
from sluice_operator.controller.scheduling.workqueue import Work, Workers, WorkQueue
from sluice_operator.controller.sending import Sending
from sluice_operator.controller.standing_back import StandingBack
from sluice_operator.controller.trouble import TellingTrouble
from sluice_operator.counting.intervals import Intervals
from sluice_operator.http_client import Http
from sluice_operator.kubernetes.cache import Cache, Recent
from sluice_operator.kubernetes.children import BUDGET, JOB, OWNED_KINDS
from sluice_operator.kubernetes.claims import Claims
from sluice_operator.kubernetes.port import Kube, LiveKube
from sluice_operator.kubernetes.reflector import Reflector, Source
from sluice_operator.kubernetes.shard import Shard
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Logins
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.servers import Servers
from sluice_operator.run_store import RunStore
from sluice_operator.settings import Settings
from sluice_operator.telemetry import metrics
from sluice_operator.telemetry.object_series import Rollouts
from sluice_operator.telemetry.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Parts:
    """What watches and works.

    `wake_namespace`: has all objects of a namespace looked at. `is_watched`: whether a namespace has any.

    `sending`: of run records, where there is a store.
    """

    queue: WorkQueue
    first_looks: FirstLooks
    handlers: kopf.OperatorRegistry
    reflectors: list[Reflector]
    wake_namespace: Callable[[str], None]
    is_watched: Callable[[str], bool]
    sending: Sending | None


def build(
    source: Source,
    kube: LiveKube,
    mlflow: Http,
    store: Http,
    settings: Settings,
    tracing: tuple[StatusListener, ...],
    shard: Shard | None,
    claims: Claims,
    everywhere: Kube,
) -> Parts:
    """`source` is watched and `kube` is written to; `mlflow` and `store` are clients of their own.

    `shard`: the namespaces to work in, if not all. `everywhere`: like `kube`, and writes without a claim, too.
    """
    chance = random.Random()  # noqa: S311 - jitter and the order of probes, no secrets

    def wake(key: Key) -> None:
        first_looks.forget(key)
        queue.add(key)

    def forget(namespace: str, name: str) -> None:
        reconciler.forget(namespace, name)
        recent.forget((namespace, name))
        if sending is not None:
            sending.forget((namespace, name))

    lanes, rollouts = Lanes(), Rollouts()
    first_looks, hosts = FirstLooks(wake, lanes), HostClaims(kube, settings.allowed_routes)
    listeners, publisher = Listeners(rollouts, *tracing), EventPublisher(kube, instance=socket.gethostname())
    registry, evaluator = _registry(kube, mlflow, settings, wake, chance), _evaluator(kube, settings, rollouts, wake)
    owned = (*OWNED_KINDS, BUDGET, JOB) if settings.store_url else (*OWNED_KINDS, BUDGET)
    kinds, namespaces = (*owned, "Pod"), settings.namespaces or ("",)
    reflectors = [Reflector(source, kind, wake, first_looks.add, chance, namespaces) for kind in kinds]
    cache = Cache(kube, reflectors)
    observer = Observer(kube, registry, evaluator, hosts, settings, _now, chance, wake, cache, claims.rival)
    url, interval = settings.store_url, settings.evaluation_interval
    sending = Sending(kube, RunStore(store, url, settings.store_key), chance) if url else None
    archive = Archive(kube, evaluator, sending.look) if sending else Archive(kube, evaluator)
    reconciler = Reconciler(kube, observer, registry, publisher, archive, interval, listeners, lanes)

    recent = Recent(cache)
    judged = Judged(reconciler, observer, cache, recent)
    at_rest = AtRest(judged, observer, cache, lanes, archive, listeners, chance)
    work: Work = TellingTrouble(at_rest, kube, publisher, _now)
    work = StandingBack(work, claims, cache, EventPublisher(everywhere, instance=socket.gethostname()), forget)
    if shard is not None:
        work = OwnNamespaces(work, shard, forget)
    queue = WorkQueue(work, Workers(settings.workers, settings.rollout_workers), chance, lanes)
    metrics.REGISTRY.register(rollouts)
    metrics.REGISTRY.register(Waiting(queue.ages))

    def wake_namespace(namespace: str) -> None:
        for key in cache.keys(namespace):
            first_looks.add(key)

    def is_watched(namespace: str) -> bool:
        return bool(cache.keys(namespace))

    handlers = watch.registry(wake, first_looks, hosts, lanes, cache, reconciler.knows)
    return Parts(queue, first_looks, handlers, reflectors, wake_namespace, is_watched, sending)


def _registry(
    kube: Kube, http: Http, settings: Settings, wake: Callable[[Key], None], chance: random.Random
) -> BackgroundRegistry:
    """The model registries. An answer wakes the object that asked."""
    logins = Logins(kube, settings.registry_credentials)
    asked = Registry(http, settings.tracking_uri, settings.allowed_registries, logins=logins)
    return BackgroundRegistry(asked, wake, chance)


def _evaluator(kube: Kube, settings: Settings, rollouts: Rollouts, wake: Callable[[Key], None]) -> Evaluator:
    """What evaluates runs, with the Prometheus of the operator and those that objects name."""
    intervals = Intervals(settings.scrape_interval, settings.evaluation_interval)
    prometheus = from_folder(settings.prometheus_url, settings.prometheus_credentials)
    servers = Servers(kube, intervals, settings.allowed_prometheus)
    queries = UserQueries(settings.unconfined_queries)
    return Evaluator(Reader(prometheus), intervals, servers, rollouts.weighed, queries, wake)


def _now() -> datetime:
    return datetime.now(UTC)
