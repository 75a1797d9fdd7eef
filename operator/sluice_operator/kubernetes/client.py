"""The Kubernetes API over the official asyncio client.

The paths of the API are written here and not discovered: the kinds are few and fixed, and a missing CRD fails at once.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
from kubernetes.aio import client

from sluice_operator.api import names
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes import answers
from sluice_operator.kubernetes.answers import Page, TooLarge
from sluice_operator.kubernetes.port import (
    FIELD_MANAGER,
    Conflict,
    Expired,
    NoAnswer,
    NoSuchKind,
    ReadRefused,
    WriteRefused,
)
from sluice_operator.telemetry.calls import measured

_TIMEOUT_SECONDS = 10.0
_WATCH_SECONDS, _PATIENCE_SECONDS = 50, 10  # of a watch, and until it must have ended
_PAGE, _FEWER = 100, 5  # objects of a part of a list, and times as few where these are too large
_NO_SUCH_FIELD = (
    "failed to create typed patch object"  # of a fault in the manifest, which the API server answers with 500
)
_PATHS = {
    "ModelDeployment": "/apis/sluice.dev/v1alpha1/namespaces/{}/modeldeployments",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "Event": "/apis/events.k8s.io/v1/namespaces/{}/events",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}


class ApiServer:
    """`LiveKube` over the official asyncio client. `namespaces`: those that may be read; without any, all of them."""

    def __init__(self, api: client.ApiClient, namespaces: Sequence[str] = ()) -> None:
        self._api = api
        self._namespaces = namespaces or ("",)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        text = await self._text("GET", _path(kind, namespace, name), absent_is_none=True)
        return None if text is None else answers.manifest(kind, text)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        if not namespace:
            return [manifest async for manifest in self.each(kind, labels)]
        page = await self._page(kind, namespace, labels)  # without a limit the API server answers from its memory
        return list(page.items)

    async def named(self, kind: str, namespace: str, name: str) -> list[Manifest]:
        """The object of this name, or those of all namespaces if `namespace` is empty; nobody else's are read."""
        only = (("fieldSelector", f"metadata.name={name}"),)
        return [item async for items, _ in self.pages(kind, namespace, {}, only) for item in items]

    async def each(self, kind: str, labels: Mapping[str, str]) -> AsyncIterator[Manifest]:
        try:
            for namespace in self._namespaces:
                async for items, _ in self.pages(kind, namespace, labels):
                    for item in items:
                        yield item
        except Expired as error:  # between two pages
            raise NoAnswer(f"the list of {kind} objects took too long: {error}") from error

    async def pages(
        self, kind: str, namespace: str, labels: Mapping[str, str], only: Sequence[tuple[str, str]] = ()
    ) -> AsyncIterator[tuple[Iterator[Manifest], str]]:
        """All objects with these labels, in parts; with the last one, the version from which a watch goes on.

        `only`: what else the query asks for.

        Others can work between two parts. To parse one of 100 pods takes 30 ms, and nothing else runs meanwhile; it
        would not in a thread either. Large objects come fewer at a time.
        """
        after, limit = "", _PAGE
        while True:
            try:
                page = await self._page(kind, namespace, labels, [*only, ("limit", str(limit)), ("continue", after)])
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // _FEWER)
                continue
            yield page.items, page.version
            if not (after := page.after):
                return

    async def _page(
        self, kind: str, namespace: str, labels: Mapping[str, str], part: Sequence[tuple[str, str]] = ()
    ) -> Page:
        query = [("labelSelector", _selector(labels)), *part]
        text = await self._text("GET", _path(kind, namespace), query=query)
        assert text is not None
        return answers.page(kind, text)

    async def watch(
        self, kind: str, namespace: str, labels: Mapping[str, str], version: str
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """Each change since `version` with its type, and a bookmark now and then, for about a minute.

        Raises Expired if that version is too old.
        """
        query = [("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(_WATCH_SECONDS))]
        query += [("labelSelector", _selector(labels)), ("resourceVersion", version)]
        with measured("kubernetes", "watch") as call:  # until it begins
            response = await self._send("GET", _path(kind, namespace), None, query, _WATCH_SECONDS + _PATIENCE_SECONDS)
            call.answered(response.status)
        stream: aiohttp.ClientResponse = response.response
        try:
            if response.status != 200:
                _raise_for("GET", _path(kind, namespace), response.status, await answers.body(stream))
            async for line in answers.lines(stream.content):
                change = answers.decoded(line)
                if change["type"] == "ERROR":
                    _raise_for("GET", _path(kind, namespace), change["object"].get("code", 500), line)
                yield change["type"], change["object"]
        except aiohttp.ClientError as error:
            raise NoAnswer(f"{type(error).__name__}, {error}") from error
        finally:
            stream.close()

    async def namespaces(self, selector: str) -> frozenset[str]:
        """The namespaces with these labels; `selector` is written as for kubectl."""
        answer = await self._request("GET", "/api/v1/namespaces", query=[("labelSelector", selector)])
        assert answer is not None
        return frozenset(item["metadata"]["name"] for item in answer["items"])

    async def has_kind(self) -> bool:
        """Whether the API server knows ModelDeployments."""
        path = _path(names.KIND, self._namespaces[0])
        return await self._text("GET", path, query=[("limit", "1")], absent_is_none=True) is not None

    async def own_rules(self, namespace: str) -> list[Manifest]:
        """What this account may do in the namespace, as rules of a Role."""
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        answer = await self._request("POST", path, {**kind, "spec": {"namespace": namespace}})
        assert answer is not None
        return list(answer["status"]["resourceRules"])

    async def create(self, manifest: Manifest) -> None:
        """Create an object. Raises Conflict if it exists."""
        path = _path(manifest["kind"], manifest["metadata"]["namespace"])
        await self._text("POST", path, manifest, query=[("fieldManager", FIELD_MANAGER)])

    async def apply(self, manifest: Manifest) -> None:
        """Server-side apply. With a resourceVersion in the metadata, only if the object still has that version."""
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        await self._text("PATCH", _path_of(manifest), manifest, query=query, kind="application/apply-patch+yaml")

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        """Write only the number of replicas, and only if the Deployment still has the version that was read."""
        body = {
            "metadata": {"resourceVersion": deployment["metadata"]["resourceVersion"]},
            "spec": {"replicas": replicas},
        }
        query = [("fieldManager", FIELD_MANAGER)]
        path = f"{_path_of(deployment)}/scale"
        await self._text("PATCH", path, body, query=query, kind="application/merge-patch+json")

    async def remove(self, live: Manifest, fields: Manifest) -> None:
        """Remove the fields that are None in `fields`, and only if the object still has the version that was read."""
        metadata = {**fields.get("metadata", {}), "resourceVersion": live["metadata"]["resourceVersion"]}
        query = [("fieldManager", FIELD_MANAGER)]
        body = {**fields, "metadata": metadata}
        await self._text("PATCH", _path_of(live), body, query=query, kind="application/merge-patch+json")

    async def delete(self, manifest: Manifest) -> None:
        """Delete the object, if it still has the version that was read. If it is gone already, nothing happens."""
        metadata = manifest["metadata"]
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {"preconditions": preconditions, "propagationPolicy": "Background"}
        await self._text("DELETE", _path_of(manifest), body, absent_is_none=True)

    async def replace(self, manifest: Manifest) -> Manifest | None:
        """Replace the whole object, if it still has the version that was read. Returns it as it is then."""
        return await self._request("PUT", _path_of(manifest), manifest, query=[("fieldManager", FIELD_MANAGER)])

    async def update_status(self, manifest: Manifest) -> str:
        """Replace the status, if the object still has the version that was read. Returns the new version."""
        query = [("fieldManager", FIELD_MANAGER)]
        text = await self._text("PUT", f"{_path_of(manifest)}/status", manifest, query=query)
        assert text is not None
        return answers.version(text)

    async def _request(
        self, method: str, path: str, body: Manifest | None = None, *, query: list[tuple[str, str]] | None = None
    ) -> Manifest:
        text = await self._text(method, path, body, query=query)
        assert text is not None
        answer: Manifest = answers.decoded(text)
        return answer

    async def _text(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        query: list[tuple[str, str]] | None = None,
        kind: str = "application/json",
        absent_is_none: bool = False,
    ) -> bytes | None:
        with measured("kubernetes", method.lower()) as call:
            response = await self._send(method, path, body, query, _TIMEOUT_SECONDS, kind)
            try:
                text = await answers.body(response.response)
            except aiohttp.ClientError as error:
                raise NoAnswer(f"{method} {path}: {type(error).__name__}, {error}") from error
            call.answered(response.status)
        if response.status == 404 and absent_is_none:
            return None
        if response.status >= 400:
            _raise_for(method, path, response.status, text)
        return text

    async def _send(
        self,
        method: str,
        path: str,
        body: Manifest | None,
        query: list[tuple[str, str]] | None,
        seconds: float,
        kind: str = "application/json",
    ) -> Any:
        """The answer as soon as its first line is there; its body is to be read within the same time."""
        request = await self._api.param_serialize(
            method,
            path,
            query_params=query,
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            return await self._api.call_api(*request, _request_timeout=seconds)
        except aiohttp.ClientError as error:
            raise NoAnswer(f"{method} {path}: {type(error).__name__}, {error}") from error


def _raise_for(method: str, path: str, status: int, text: bytes) -> NoReturn:
    """Raise what an answer with this status, of 400 or above, means."""
    message = _message(text)
    gone = status == 404 and method in ("PUT", "PATCH")  # it was deleted after it was read
    if status == 409 or gone:
        raise Conflict(message)
    if status == 410:
        raise Expired(message)
    if _NO_SUCH_FIELD in message:
        raise WriteRefused(message)
    if status == 404 and method == "GET":  # of a list: one object that is not there is None
        raise NoSuchKind(f"the API server knows no {path}: {message}")
    if status == 404 and "/gateway.networking.k8s.io/" in path:
        raise WriteRefused(f"this cluster has no HTTPRoute: install the CRDs of the Gateway API ({message})")
    if status == 429 or status >= 500:
        raise NoAnswer(f"{method} {path}: status {status}, {message}")
    raise ReadRefused(message) if method == "GET" else WriteRefused(message)


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _path(kind: str, namespace: str, name: str | None = None) -> str:
    path = _PATHS[kind].format(quote(namespace, safe="")) if namespace else _PATHS[kind].replace("namespaces/{}/", "")
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _path_of(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return _path(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def _message(text: bytes | str) -> str:
    try:
        return str(json.loads(text).get("message", ""))
    except ValueError:
        return in_one_line(text if isinstance(text, str) else text.decode(errors="replace"))
