"""`python -m sluice_operator`: wiring only."""

import argparse
import asyncio
import dataclasses
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import httpx
import kopf
from kubernetes.aio import client, config

from sluice_operator import logs
from sluice_operator import settings as environment
from sluice_operator.api import names
from sluice_operator.controller import health, watch
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.at_rest import AtRest
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.first_looks import FirstLooks
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.lanes import Key, Lanes
from sluice_operator.controller.listeners import Listeners, StatusListener
from sluice_operator.controller.observe import Observer
from sluice_operator.controller.own_namespaces import OwnNamespaces
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.controller.trouble import TellingTrouble
from sluice_operator.controller.user_queries import UserQueries
from sluice_operator.controller.workqueue import Work, Workers, WorkQueue
from sluice_operator.counting.intervals import Intervals
from sluice_operator.kubernetes.cache import Cache
from sluice_operator.kubernetes.children import OWNED_KINDS
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.guard import Guarded
from sluice_operator.kubernetes.guarded_rest import GuardedRest
from sluice_operator.kubernetes.lease import Lease, LeaseLostError
from sluice_operator.kubernetes.lease_thread import LeaseThread
from sluice_operator.kubernetes.port import Kube
from sluice_operator.kubernetes.reflector import Reflector, Source
from sluice_operator.kubernetes.shard import Shard
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Logins
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.servers import Servers
from sluice_operator.settings import Settings
from sluice_operator.telemetry import endpoint, metrics, otlp
from sluice_operator.telemetry.calls import MeasuredClient
from sluice_operator.telemetry.rollouts import Rollouts
from sluice_operator.telemetry.waiting import Waiting


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What watches and work."""

    queue: WorkQueue
    first_looks: FirstLooks
    handlers: kopf.OperatorRegistry
    reflectors: list[Reflector]
    wake_namespace: Callable[[str], None]


async def run(settings: Settings, tracing: tuple[StatusListener, ...]) -> None:
    """Wait for the Lease, then work, until the process gets a signal to end or another operator leads."""
    main_task = asyncio.current_task()
    assert main_task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)  # until kopf has its own
    lease_api = client.ApiClient(await _configuration())  # of its own, because it is used in a thread of its own
    lease = Lease(ApiServer(lease_api), settings.lease_namespace, settings.lease_name, socket.gethostname())
    async with (
        client.ApiClient(await _configuration()) as api,
        MeasuredClient("mlflow") as http,
    ):
        server = ApiServer(api, settings.namespaces)
        shard = Shard(server, settings.namespace_selector) if settings.namespace_selector else None

        def leads(namespace: str) -> bool:
            return lease.held() and (shard is None or shard.may_write(namespace))

        api.rest_client = GuardedRest(api.configuration, leads)
        parts = build(server, Guarded(server, leads), http, settings, tracing, shard)
        checks = [parts.queue.trouble, *(reflector.trouble for reflector in parts.reflectors)]
        await first_to_end(
            health.serve(checks, partial(_role, lease), settings.health_port),
            endpoint.serve(metrics.REGISTRY, settings.metrics_port),
            lead(server, LeaseThread(lease, lease_api.close), parts, settings.namespaces),
            *([shard.run(parts.wake_namespace)] if shard else []),
        )


async def _configuration() -> client.Configuration:
    """Where the API server is, and how to log in."""
    configuration = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(configuration)
    else:
        await config.load_kube_config(client_configuration=configuration)
    return configuration


async def lead(server: ApiServer, lease: LeaseThread, parts: Parts, namespaces: Sequence[str]) -> None:
    """Work as soon as this process holds the Lease, and as long. Raises LeaseLostError."""
    async with lease.acquired() as lost:
        metrics.LEADER.set(1)
        if not await server.has_kind():
            raise SystemExit(f"the API server knows no {names.PLURAL}.{names.GROUP}: install the CRD first")
        watcher = kopf.operator(
            registry=parts.handlers,
            settings=watch.settings(),
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
        reflectors = (reflector.run() for reflector in parts.reflectors)
        await first_to_end(parts.queue.run(), parts.first_looks.run(), watcher, lost, *reflectors)


def _role(lease: Lease) -> str:
    if lease.held():
        return "leads"
    return f"stands by: {lease.holder or 'nobody'} leads" if lease.was_read else ""


def build(
    source: Source,
    kube: Kube,
    http: httpx.AsyncClient,
    settings: Settings,
    tracing: tuple[StatusListener, ...],
    shard: Shard | None,
) -> Parts:
    """Build the parts and connect them. `shard`: the namespaces to work in, if not all."""
    chance = random.Random()  # noqa: S311 - jitter and the order of probes, no secrets

    def clock() -> datetime:
        return datetime.now(UTC)

    def wake(key: Key) -> None:
        first_looks.forget(key)
        queue.add(key)

    logins = Logins(http, kube, settings.registry_credentials)
    asked = Registry(http, settings.tracking_uri, settings.allowed_registries, logins=logins)
    registry = BackgroundRegistry(asked, wake, chance)
    intervals = Intervals(settings.scrape_interval, settings.evaluation_interval)
    servers = Servers(kube, intervals, settings.allowed_prometheus)
    prometheus = from_folder(settings.prometheus_url, settings.prometheus_credentials)
    rollouts = Rollouts()
    metrics.REGISTRY.register(rollouts)
    evaluator = Evaluator(
        Reader(prometheus), intervals, servers, rollouts.weighed, UserQueries(settings.unconfined_queries)
    )
    hosts, lanes, archive = HostClaims(kube, settings.allowed_routes), Lanes(), Archive(kube, evaluator)
    observer = Observer(kube, registry, evaluator, hosts, settings, clock, chance, wake)
    publisher = EventPublisher(kube, instance=socket.gethostname())
    interval, listeners = settings.evaluation_interval, Listeners(rollouts, *tracing)
    reconciler = Reconciler(kube, observer, registry, publisher, archive, interval, listeners, lanes)
    first_looks, namespaces = FirstLooks(wake, lanes), settings.namespaces or ("",)
    kinds = (*OWNED_KINDS, "Pod")
    reflectors = [Reflector(source, kind, wake, first_looks.add, chance, namespaces) for kind in kinds]
    cache = Cache(kube, reflectors)
    at_rest = AtRest(reconciler.reconcile, observer, cache, lanes, archive, listeners, chance)
    work: Work = TellingTrouble(at_rest, kube, publisher, clock)
    if shard is not None:
        work = OwnNamespaces(work, shard, reconciler.forget)
    queue = WorkQueue(work, Workers(settings.workers, settings.rollout_workers), chance, lanes)
    metrics.REGISTRY.register(Waiting(queue.ages))
    handlers = watch.registry(wake, first_looks, hosts, lanes, cache)

    def wake_namespace(namespace: str) -> None:
        for key in cache.keys(namespace):
            first_looks.add(key)

    return Parts(queue, first_looks, handlers, reflectors, wake_namespace)


async def first_to_end(*work: Awaitable[None]) -> None:
    """Run all of them until the first one ends; then cancel the others, and raise what the first one raised.

    Without this, an operator whose queue has died would look healthy and do nothing.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def main() -> int:
    """Returns the exit code: 2 for settings that cannot be used, 1 after the Lease was lost."""
    variables = ", ".join(f"SLUICE_{field.name.upper()}" for field in dataclasses.fields(Settings))
    description = "Rolls out the models of ModelDeployments, in the cluster that it runs in or that KUBECONFIG names."
    argparse.ArgumentParser("sluice_operator", description=description, epilog=f"Settings: {variables}").parse_args()
    try:
        settings = environment.read(os.environ)
        traced = otlp.is_wanted(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    try:
        with otlp.traces(traced) as tracing:
            asyncio.run(run(settings, tracing))
    except asyncio.CancelledError:
        return 0  # told to end while it stood by
    except LeaseLostError as error:
        logging.getLogger(__name__).error("%s: this process ends, and starts again to stand by", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
