"""Models from a store: MLflow and then the store itself are away, and pods of a model are made all the same."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from dev.demo import promises
from dev.demo.cluster import CLUSTER_SH, Kubectl, process_of
from dev.demo.models import Versions
from dev.demo.traffic import Stream
from tests.e2e.rollouts import READY_WITHIN, Manifest, Place, Rollout, deployed, eventually, manifest

pytestmark = pytest.mark.anyio

RATE = 20.0  # requests per second


async def _install(**settings: str) -> None:
    process = await asyncio.create_subprocess_exec(CLUSTER_SH, "install", env=os.environ | settings)
    assert await process.wait() == 0


@pytest.fixture(scope="module")
async def with_store(place: Place) -> AsyncIterator[Place]:
    """The store is installed, and the operator knows it; afterwards it does not any more."""
    await _install(SLUICE_WITH_STORE="yes")
    yield place
    await _install()


@asynccontextmanager
async def away(kubectl: Kubectl, namespace: str, service: str) -> AsyncIterator[None]:
    """Nothing answers at a Service. Its files stay, and connections that are open end soon."""

    async def patch(operation: str) -> None:
        change = f'[{{"op": "{operation}", "path": "/spec/selector/nobody", "value": "here"}}]'
        await kubectl.text("-n", namespace, "patch", "service", service, "--type=json", "-p", change)

    await patch("add")
    try:
        yield
    finally:
        await patch("remove")


async def test_pods_are_made_while_mlflow_and_the_store_are_away(with_store: Place, versions: Versions) -> None:
    """A Job prepares the model once. Then a pod is deleted, and others are added, and no request fails."""
    document = manifest("iris-store")
    document["spec"]["server"]["replicas"] = 2
    async with deployed(with_store, document, versions.first) as iris:
        await iris.until_ready()
        stable = await _stable(iris)
        assert stable["fromStore"] is True
        kubectl = with_store.kubectl
        stream = Stream(with_store.gateway, iris.host, rate=RATE, max_requests=8_000, max_seconds=400.0)
        async with stream, away(kubectl, "mlflow", "mlflow"):
            await _replace_a_pod(iris, stable["revision"])
            await _scale(iris, stable["revision"], 3)
            async with away(kubectl, "sluice-system", "sluice-store"):
                await _scale(iris, stable["revision"], 4)
        assert (await _stable(iris))["model"]["digest"] == stable["model"]["digest"]
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found


async def test_a_node_restarts_while_mlflow_and_the_store_are_away(with_store: Place, versions: Versions) -> None:
    """All containers of its pods end at once, and their init containers run again. They find what they had fetched."""
    document = manifest("iris-node")
    document["spec"]["server"]["replicas"] = 2
    async with deployed(with_store, document, versions.first) as iris:
        await iris.until_ready()
        revision = (await _stable(iris))["revision"]
        before = await iris.pod_documents(revision)
        async with (
            away(with_store.kubectl, "mlflow", "mlflow"),
            away(with_store.kubectl, "sluice-system", "sluice-store"),
        ):
            for pod in before:
                _end_sandbox(pod)
            await eventually(
                "the fetch container of each pod has run again", lambda: _all_began_again(iris, revision, before)
            )
            await _until_available(iris, revision)
        after = await iris.pod_documents(revision)
        assert {pod["metadata"]["uid"] for pod in after} == {pod["metadata"]["uid"] for pod in before}


def _end_sandbox(pod: Manifest) -> None:
    """Kill all processes of a pod, also the one that holds its network, as when the node is switched off."""
    (server,) = pod["status"]["containerStatuses"]
    status = Path(f"/proc/{process_of(server['containerID'])}/status").read_text(encoding="utf-8")
    (shim,) = (line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
    for children in Path(f"/proc/{shim}/task").glob("*/children"):
        for process in children.read_text(encoding="utf-8").split():
            with suppress(ProcessLookupError):  # it has ended with the one that held its namespaces
                os.kill(int(process), signal.SIGKILL)


async def _all_began_again(iris: Rollout, revision: str, before: list[Manifest]) -> bool | None:
    """Whether the fetch container of each pod has run once more."""
    ran = {pod["metadata"]["uid"]: _fetched_at(pod) for pod in before}
    return all(_fetched_at(pod) > ran[pod["metadata"]["uid"]] for pod in await iris.pod_documents(revision)) or None


def _fetched_at(pod: Manifest) -> str:
    """When its fetch container ended the last time; empty while it runs."""
    (fetch,) = pod["status"]["initContainerStatuses"]
    return str(fetch["state"].get("terminated", {}).get("finishedAt", ""))


async def _stable(iris: Rollout) -> Manifest:
    document = json.loads(await iris.command("get", "modeldeployment", iris.name, "-o", "json"))
    stable: Manifest = document["status"]["stable"]
    return stable


async def _replace_a_pod(iris: Rollout, revision: str) -> None:
    first, *_ = await iris.pods(revision)
    await iris.command("delete", "pod", first.name, "--wait=true")
    await _until_available(iris, revision)


async def _scale(iris: Rollout, revision: str, replicas: int) -> None:
    await iris.patch({"server": {"replicas": replicas}})
    await _until_available(iris, revision, replicas)


async def _until_available(iris: Rollout, revision: str, replicas: int = 2) -> None:
    condition = f"--for=jsonpath={{.status.availableReplicas}}={replicas}"
    await iris.command("wait", condition, f"deployment/{iris.name}-{revision}", f"--timeout={READY_WITHIN:.0f}s")
