"""Everything around the operator: a real API server, and stand-ins for nodes, gateway, Prometheus and the registry."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from dev import api_server, processes
from dev.bench.fleet import registry as registries
from dev.bench.fleet.api import Api, connected
from dev.bench.fleet.fleet import Fleet, Key
from dev.bench.fleet.gateway import Gateway
from dev.bench.fleet.nodes import Nodes
from dev.bench.fleet.process import AUDIT_POLICY, USER, Operator
from dev.bench.fleet.prometheus import Prometheus
from dev.bench.fleet.registry import Registry
from dev.bench.fleet.stages import Stages

_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class World:
    """`settings`: environment variables of an operator in it. `hanging`: address of a registry that never answers."""

    api: Api
    fleet: Fleet
    prometheus: Prometheus
    registry: Registry
    settings: dict[str, str]
    hanging: str

    def stages(self, operator: Operator) -> Stages:
        return Stages(self.fleet, self.prometheus, self.registry, operator)

    async def is_settled(self, keys: list[Key]) -> bool:
        """Whether all of these serve already, from an earlier use of the same folder."""
        listed, _ = await self.api.listed("ModelDeployment")
        stable = {
            (body["metadata"]["namespace"], body["metadata"]["name"])
            for body in listed
            if (body.get("status") or {}).get("phase") == "Stable"
        }
        return stable.issuperset(keys)


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[World]:
    """Start all of it, with its files in `folder`. It ends with the block."""
    port, etcd_port, peer_port, health, http, hanging = _ports(folder, 6)
    admin, operator = api_server.write_credentials(folder, port, "admin", USER)
    async with AsyncExitStack() as ending:
        _start_api_server(ending, folder, port, etcd_port, peer_port)
        api = await _connected(ending, admin)
        nodes = Nodes(api)
        gateway, registry, fleet = Gateway(api, nodes), Registry(), Fleet(api)
        prometheus = Prometheus(gateway, nodes)
        await _serve(ending, http, gateway, registry, prometheus)
        follow = (nodes.run, gateway.follow_ingresses, gateway.follow_services, fleet.follow, fleet.follow_weights)
        _in_background(ending, *(work() for work in follow), prometheus.scrape(), registries.hanging(hanging))
        address = f"http://127.0.0.1:{http}"
        settings = {
            "KUBECONFIG": str(operator),
            "SLUICE_SERVER_IMAGE": "bench",
            "SLUICE_TRACKING_URI": address,
            "SLUICE_PROMETHEUS_URL": address,
            "SLUICE_GATEWAY_ADDRESS": address,
            "SLUICE_ALLOWED_REGISTRIES": "127.0.0.1:*",
            "SLUICE_HEALTH_PORT": str(health),
        }
        yield World(api, fleet, prometheus, registry, settings, f"http://127.0.0.1:{hanging}")


def _ports(folder: Path, count: int) -> list[int]:
    """The same in each use of a folder: the objects in it name them, and would have to be written anew."""
    kept = folder / "ports"
    if not kept.exists():
        kept.write_text(" ".join(map(str, processes.free_ports(count))))
    return [int(port) for port in kept.read_text().split()]


def _start_api_server(ending: AsyncExitStack, folder: Path, port: int, etcd_port: int, peer_port: int) -> None:
    programs, policy = api_server.find_programs(), folder / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    etcd = api_server.etcd_command(programs["etcd"], folder, etcd_port, peer_port)
    command = [
        *api_server.apiserver_command(programs["kube-apiserver"], folder, port, etcd_port),
        "--disable-admission-plugins=ServiceAccount",  # nobody makes the service accounts of the namespaces
        f"--audit-policy-file={policy}",
        f"--audit-log-path={folder / 'audit.log'}",
        "--service-cluster-ip-range=10.0.0.0/16",
    ]
    ending.enter_context(processes.running(etcd, folder / "etcd.log"))
    ending.enter_context(processes.running(command, folder / "apiserver.log"))


async def _connected(ending: AsyncExitStack, kubeconfig: Path) -> Api:
    """A client of the API server, once it is ready and knows ModelDeployments."""
    deadline = time.monotonic() + _START_SECONDS
    crd = yaml.safe_load((api_server.ROOT / "crds" / "modeldeployments.yaml").read_text())
    while True:
        try:
            session, address = connected(kubeconfig)  # its certificate is there only after the start
            api = Api(await ending.enter_async_context(session), address)
            if await api.text("/readyz") == "ok":
                await api.create(crd)
                await api.patch(crd["kind"], "", crd["metadata"]["name"], {"spec": crd["spec"]})
                await api.listed("ModelDeployment")
                return api
        except (OSError, aiohttp.ClientError, KeyError, RuntimeError):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.5)


async def _serve(
    ending: AsyncExitStack, port: int, gateway: Gateway, registry: Registry, prometheus: Prometheus
) -> None:
    """One HTTP server for all three: their paths differ."""
    application = web.Application()
    application.router.add_route("*", "/api/v1/{query}", prometheus.answer)
    application.router.add_route("*", "/api/2.0/mlflow/{call:.*}", registry.answer)
    application.router.add_route("*", "/{path:.*}", gateway.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    ending.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()


def _in_background(ending: AsyncExitStack, *work: Coroutine[Any, Any, None]) -> None:
    """Run these until the block ends. One that fails ends the benchmark."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler({"message": "a stand-in failed", "exception": error})
            main.cancel()

    for coroutine in work:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(ended)
        ending.callback(task.cancel)
