"""`python -m sluice_operator`: the process. Reads the settings, waits for the Lease, and runs the parts."""

import argparse
import asyncio
import dataclasses
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Sequence
from functools import partial

import kopf
from kubernetes.aio import client

from sluice_operator import logs
from sluice_operator import settings as environment
from sluice_operator.api import names
from sluice_operator.assembly import Parts, build
from sluice_operator.controller import health, watch
from sluice_operator.controller.listeners import StatusListener
from sluice_operator.http_client import HttpClient
from sluice_operator.kubernetes.claims import Claims
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.configuration import configuration
from sluice_operator.kubernetes.guard import Guarded
from sluice_operator.kubernetes.guarded_rest import GuardedRest
from sluice_operator.kubernetes.lease import Lease, LeaseLostError
from sluice_operator.kubernetes.lease_thread import LeaseThread
from sluice_operator.kubernetes.shard import Shard
from sluice_operator.settings import Settings
from sluice_operator.telemetry import endpoint, metrics, otlp

# For which a thread that computes keeps the others waiting, in seconds. With the interpreter's own 5 ms, each answer of
# the API server could wait that long while evidence is computed.
_SWITCH_SECONDS = 0.001
# New objects before the garbage collector looks at the young ones. With the interpreter's own 700, collections took a
# fifth of the time of a fleet: JSON becomes hundreds of objects, which are gone a moment later without a collector.
_YOUNG_OBJECTS = 25_000


async def run(settings: Settings, tracing: tuple[StatusListener, ...]) -> None:
    """Wait for the Lease, then work, until the process gets a signal to end or another operator leads."""
    main_task = asyncio.current_task()
    assert main_task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)  # until kopf has its own
    lease_api = client.ApiClient(await configuration())  # of its own, because it is used in a thread of its own
    lease = Lease(ApiServer(lease_api), settings.lease_namespace, settings.lease_name, socket.gethostname())
    async with (
        client.ApiClient(await configuration()) as api,
        client.ApiClient(await configuration()) as claims_api,
        HttpClient("mlflow") as mlflow,
        HttpClient("store") as store,
    ):
        server = ApiServer(api, settings.namespaces)
        claims_api.rest_client = GuardedRest(claims_api.configuration, lambda _: lease.held())
        shard = Shard(server, settings.namespace_selector) if settings.namespace_selector else None
        everywhere, identity = ApiServer(claims_api), f"{settings.lease_namespace}/{settings.lease_name}"
        claims = Claims(everywhere, identity, settings.namespaces, lambda name: shard is None or name in shard)

        def leads(namespace: str) -> bool:
            return lease.held() and (shard is None or shard.may_write(namespace)) and claims.may_write(namespace)

        api.rest_client = GuardedRest(api.configuration, leads)
        parts = build(server, Guarded(server, leads), mlflow, store, settings, tracing, shard, claims, everywhere)
        checks = [parts.queue.trouble, *(reflector.trouble for reflector in parts.reflectors)]
        await first_to_end(
            health.serve(
                checks,
                partial(_role, lease, claims),
                settings.health_port,
                hindrance=shard.trouble if shard else lambda: "",
            ),
            endpoint.serve(metrics.REGISTRY, settings.metrics_port),
            lead(server, LeaseThread(lease, lease_api.close), parts, claims, settings.namespaces),
            *([shard.run(parts.wake_namespace)] if shard else []),
        )


async def lead(server: ApiServer, lease: LeaseThread, parts: Parts, claims: Claims, namespaces: Sequence[str]) -> None:
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
        sending = [parts.sending.run()] if parts.sending else []
        claiming = claims.run(parts.wake_namespace, parts.is_watched)
        await first_to_end(parts.queue.run(), parts.first_looks.run(), watcher, lost, claiming, *reflectors, *sending)


def _role(lease: Lease, claims: Claims) -> str:
    if lease.held():
        refused = "".join(f"\ndoes nothing in {name}: {other} works there" for name, other in claims.refused().items())
        return f"leads{refused}"
    return f"stands by: {lease.holder or 'nobody'} leads" if lease.was_read else ""


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
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_YOUNG_OBJECTS)
    gc.freeze()  # what was imported stays
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
