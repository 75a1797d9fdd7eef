"""A small client of the API server for the benchmark: it writes the stand-in's objects, and watches."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Manifest = dict[str, Any]
_PATHS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "ModelDeployment": "/apis/sluice.dev/v1alpha1/namespaces/{}/modeldeployments",
}
_AT_ONCE = 24  # requests
_PAGE = "500"


class Api:
    """Reads and writes with at most a few requests at once, so that the operator's own requests get through."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session, self._server = session, server
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def create(self, manifest: Manifest) -> Manifest:
        """The object as it was stored, or as it is if it exists already."""
        path = _path(manifest["kind"], manifest["metadata"].get("namespace"))
        return await self._send("POST", path, manifest, accepted=(409,))

    async def patch(self, kind: str, namespace: str, name: str, body: Manifest, part: str = "") -> Manifest:
        """A merge patch. Nothing happens if the object is gone."""
        path = f"{_path(kind, namespace)}/{name}{part}"
        return await self._send("PATCH", path, body, "application/merge-patch+json", accepted=(404,))

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        body = {"gracePeriodSeconds": 0}
        await self._send("DELETE", f"{_path(kind, namespace)}/{name}", body, accepted=(404,))

    async def text(self, path: str) -> str:
        async with self._session.get(self._server + path) as answer:
            return await answer.text()

    async def listed(self, kind: str) -> tuple[list[Manifest], str]:
        """All objects of a kind in all namespaces, and the resourceVersion that a watch goes on from."""
        items, query = list[Manifest](), {"limit": _PAGE}
        while True:
            async with self._session.get(self._server + _path(kind), params=query) as answer:
                page = await answer.json()
            items += page["items"]
            if not (more := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            query = {"limit": _PAGE, "continue": more}

    async def watched(self, kind: str) -> AsyncIterator[tuple[str, Manifest]]:
        """The objects of a kind that there are, as ADDED, and then each change for ever: its type, and the object."""
        items, version = await self.listed(kind)
        for item in items:
            yield "ADDED", item
        while True:
            query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
            async with self._session.get(self._server + _path(kind), params=query, timeout=None) as answer:
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch of {kind} ended: {event['object']}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]

    async def _send(
        self, method: str, path: str, body: Manifest, kind: str = "application/json", accepted: tuple[int, ...] = ()
    ) -> Manifest:
        headers, data = {"Content-Type": kind}, json.dumps(body)
        async with (
            self._slots,
            self._session.request(method, self._server + path, data=data, headers=headers) as answer,
        ):
            if answer.status >= 400 and answer.status not in accepted:
                raise RuntimeError(f"{method} {path}: {answer.status} {(await answer.text())[:300]}")
            stored: Manifest = await answer.json()
            return stored


def connected(kubeconfig: Path) -> tuple[aiohttp.ClientSession, str]:
    """A session as the user of `kubeconfig`, and the address of its server."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    headers = {"Authorization": f"Bearer {user['token']}"}
    session = aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=2**22)
    return session, cluster["server"]


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    return manifest["metadata"].get("labels") or {}


def _path(kind: str, namespace: str | None = None) -> str:
    path = _PATHS[kind]
    return path.format(namespace) if namespace else path.replace("namespaces/{}/", "")
