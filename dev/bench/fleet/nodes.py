"""Stands in for what a cluster does with Deployments and Services: pods that are ready at once, and their endpoints.

It writes Pods, the status of Deployments, and EndpointSlices into the real API server. It leaves out ReplicaSets, the
scheduler, the time that a pod needs to start, and pods that fail.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from dev.bench.fleet.api import Api, Manifest, labels_of
from sluice_operator.api import names

_Key = tuple[str, str]  # namespace and name
_NODE = "bench"
_DIGEST = '{"digest": "sha256:' + "0" * 64 + '", "runtime": "sklearn"}'


class Nodes:
    """Keeps pods and endpoints as Deployments and Services ask for them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: defaultdict[_Key, dict[str, Manifest]] = defaultdict(dict)  # by namespace and ModelDeployment
        self._services: defaultdict[_Key, dict[str, Manifest]] = defaultdict(dict)  # likewise
        self._slices: dict[_Key, tuple[str, ...]] = {}  # by Service: the pods that its slice has
        self._locks: defaultdict[_Key, asyncio.Lock] = defaultdict(asyncio.Lock)  # by Deployment
        self._publishing: defaultdict[_Key, asyncio.Lock] = defaultdict(asyncio.Lock)  # by Service
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        for pod in (await self._api.listed("Pod"))[0]:
            self._pods[_owned_by(pod)][pod["metadata"]["name"]] = pod
        for endpoint_slice in (await self._api.listed("EndpointSlice"))[0]:
            if names.LABEL_OWNER not in labels_of(endpoint_slice):  # that of the API server itself
                continue
            service = labels_of(endpoint_slice)["kubernetes.io/service-name"]
            ready = tuple(endpoint["targetRef"]["name"] for endpoint in endpoint_slice["endpoints"] or ())
            self._slices[endpoint_slice["metadata"]["namespace"], service] = ready
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_deployments())
            group.create_task(self._follow_services())

    def ready(self, namespace: str, selector: dict[str, str]) -> list[Manifest]:
        """The pods that `selector` selects: they are ready from the beginning."""
        pods = self._pods[namespace, selector.get(names.LABEL_OWNER, "")].values()
        return [pod for pod in pods if selector.items() <= labels_of(pod).items()]

    async def _follow_deployments(self) -> None:
        async for change, deployment in self._api.watched("Deployment"):
            self._start(self._scale(deployment, 0 if change == "DELETED" else deployment["spec"]["replicas"]))

    async def _follow_services(self) -> None:
        async for change, service in self._api.watched("Service"):
            if change == "DELETED":
                self._services[_owned_by(service)].pop(service["metadata"]["name"], None)
            elif labels_of(service).get(names.LABEL_OWNER):
                self._services[_owned_by(service)][service["metadata"]["name"]] = service
                self._start(self._publish(service))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            print(f"the stand-in of the nodes failed: {task.exception()}")

    async def _scale(self, deployment: Manifest, replicas: int) -> None:
        namespace, name = _key(deployment)
        async with self._locks[namespace, name]:
            pods = self._pods[_owned_by(deployment)]
            of_deployment = {pod["metadata"]["name"] for pod in self._of(deployment)}
            wanted = {f"{name}-{number}" for number in range(replicas)}
            created, surplus = wanted - of_deployment, of_deployment - wanted
            for pod in surplus:
                del pods[pod]
            await asyncio.gather(
                *(self._create_pod(deployment, pod) for pod in created),
                *(self._api.delete("Pod", namespace, pod) for pod in surplus),
            )
            if created or surplus:
                await asyncio.gather(*map(self._publish, self._services[_owned_by(deployment)].values()))
            if (deployment.get("status") or {}).get("readyReplicas", 0) != replicas:
                status = _deployment_status(deployment, replicas)
                await self._api.patch("Deployment", namespace, name, {"status": status}, "/status")

    def _of(self, deployment: Manifest) -> list[Manifest]:
        return self.ready(deployment["metadata"]["namespace"], deployment["spec"]["selector"]["matchLabels"])

    async def _create_pod(self, deployment: Manifest, name: str) -> None:
        namespace, template = deployment["metadata"]["namespace"], deployment["spec"]["template"]
        labels, owners = template["metadata"]["labels"], [_owner(deployment)]
        await self._api.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners},
                "spec": {**template["spec"], "nodeName": _NODE},
            }
        )
        pod = await self._api.patch("Pod", namespace, name, {"status": _pod_status()}, "/status")
        self._pods[_owned_by(deployment)][name] = pod

    async def _publish(self, service: Manifest) -> None:
        async with self._publishing[
            _key(service)
        ]:  # an older list of endpoints must not be the last one that is written
            await self._write_slice(self._services[_owned_by(service)].get(service["metadata"]["name"], service))

    async def _write_slice(self, service: Manifest) -> None:
        namespace, name = _key(service)
        pods = self.ready(namespace, service["spec"].get("selector") or {})
        ready = tuple(sorted(pod["metadata"]["name"] for pod in pods))
        if self._slices.get((namespace, name)) == ready:
            return
        self._slices[namespace, name] = ready
        endpoints = [
            {
                "addresses": ["10.1.0.1"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod, "namespace": namespace},
            }
            for pod in ready
        ]
        metadata = {
            "name": f"{name}-bench",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name, **labels_of(service)},
        }
        body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        await self._api.create({**body, "addressType": "IPv4", "endpoints": endpoints})
        await self._api.patch("EndpointSlice", namespace, f"{name}-bench", {"endpoints": endpoints})


def _key(manifest: Manifest) -> _Key:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _owned_by(manifest: Manifest) -> _Key:
    """Namespace and name of the ModelDeployment that an object belongs to."""
    return manifest["metadata"]["namespace"], labels_of(manifest).get(names.LABEL_OWNER, "")


def _owner(deployment: Manifest) -> Manifest:
    metadata = deployment["metadata"]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
    return {**reference, "controller": True}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _pod_status() -> Manifest:
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now(), "message": _DIGEST}
    container = {"image": "bench", "imageID": "bench", "restartCount": 0, "ready": True}
    return {
        "phase": "Running",
        "podIP": "10.1.0.1",
        "startTime": _now(),
        "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "Ready")],
        "initContainerStatuses": [{**container, "name": "fetch", "state": {"terminated": ended}}],
        "containerStatuses": [{**container, "name": "server", "state": {"running": {"startedAt": _now()}}}],
    }


def _deployment_status(deployment: Manifest, replicas: int) -> Manifest:
    numbers = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), replicas)
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    return {**numbers, "observedGeneration": deployment["metadata"]["generation"], "conditions": [available]}
