"""`python -m sluice_operator`: wiring only."""

import argparse
import asyncio
import dataclasses
import os
import random
import socket
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import kopf
from kubernetes.aio import client, config

from sluice_operator import logs
from sluice_operator import settings as environment
from sluice_operator.api import names
from sluice_operator.controller import watch
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.lanes import Key, Lanes
from sluice_operator.controller.observe import Observer
from sluice_operator.controller.reconcile import Reconciler
from sluice_operator.controller.trouble import TellingTrouble
from sluice_operator.controller.workqueue import Workers, WorkQueue
from sluice_operator.counting.intervals import Intervals
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.servers import Servers
from sluice_operator.settings import Settings
from sluice_operator.telemetry import endpoint, metrics
from sluice_operator.telemetry.calls import MeasuredClient
from sluice_operator.telemetry.rollouts import Rollouts


async def run(settings: Settings) -> None:
    """Build the parts, connect them, and run until the process gets a signal to end."""
    chance = random.Random()  # noqa: S311 - jitter and the order of probes, no secrets
    configuration = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(configuration)
    else:
        await config.load_kube_config(client_configuration=configuration)
    async with client.ApiClient(configuration) as api, MeasuredClient("mlflow") as http:
        kube = ApiServer(api)

        def wake(key: Key) -> None:
            queue.add(key)

        registry = BackgroundRegistry(Registry(http, settings.tracking_uri, settings.allowed_registries), wake, chance)
        intervals = Intervals(settings.scrape_interval, settings.evaluation_interval)
        servers = Servers(kube, intervals, settings.allowed_prometheus)
        prometheus = from_folder(settings.prometheus_url, settings.prometheus_credentials)
        rollouts = Rollouts()
        metrics.REGISTRY.register(rollouts)
        evaluator = Evaluator(Reader(prometheus), intervals, servers, rollouts.weighed)
        hosts = HostClaims(kube)
        observer = Observer(kube, registry, evaluator, hosts, settings, lambda: datetime.now(UTC), chance)
        publisher = EventPublisher(kube, instance=socket.gethostname())
        archive, lanes = Archive(kube, evaluator), Lanes()
        reconciler = Reconciler(
            kube, observer, registry, publisher, archive, settings.evaluation_interval, rollouts, lanes
        )
        workers = Workers(settings.workers, settings.rollout_workers)
        work = TellingTrouble(reconciler.reconcile, kube, publisher, lambda: datetime.now(UTC))
        queue = WorkQueue(work, workers, chance, lanes)
        if not await kube.has_kind():
            raise SystemExit(f"the API server knows no {names.PLURAL}.{names.GROUP}: install the CRD first")
        watcher = kopf.operator(
            registry=watch.registry(queue, hosts, lanes),
            settings=watch.settings(),
            clusterwide=True,
            liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
        )
        await first_to_end(queue.run(), watcher, endpoint.serve(metrics.REGISTRY, settings.metrics_port))


async def first_to_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all of them until the first one ends; then cancel the others, and raise what the first one raised.

    Without this, an operator whose queue has died would look healthy and do nothing.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def main() -> int:
    """Returns the exit code: 2 for settings that cannot be used."""
    variables = ", ".join(f"SLUICE_{field.name.upper()}" for field in dataclasses.fields(Settings))
    description = "Rolls out the models of ModelDeployments, in the cluster that it runs in or that KUBECONFIG names."
    argparse.ArgumentParser("sluice_operator", description=description, epilog=f"Settings: {variables}").parse_args()
    try:
        settings = environment.read(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
