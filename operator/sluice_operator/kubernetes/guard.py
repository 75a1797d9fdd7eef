"""Lets only the holder of the Lease write, and only in its namespaces.

An operator that was stalled for a while learns here that it is too late.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Kube, LiveKube


class NotLeading(Exception):  # noqa: N818 - an expected answer and not an error
    """The Lease was not renewed in time, or another operator has the namespace. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """`LiveKube` whose writes raise NotLeading unless `leads(namespace)` is true at that moment."""

    kube: LiveKube
    leads: Callable[[str], bool]

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self.kube.get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return await self.kube.find(kind, namespace, labels)

    def each(self, kind: str, labels: Mapping[str, str]) -> AsyncIterator[Manifest]:
        return self.kube.each(kind, labels)

    async def create(self, manifest: Manifest) -> None:
        await self._writer(manifest).create(manifest)

    async def apply(self, manifest: Manifest) -> None:
        await self._writer(manifest).apply(manifest)

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        await self._writer(deployment).scale(deployment, replicas)

    async def remove(self, live: Manifest, fields: Manifest) -> None:
        await self._writer(live).remove(live, fields)

    async def delete(self, manifest: Manifest) -> None:
        await self._writer(manifest).delete(manifest)

    async def update_status(self, manifest: Manifest) -> str:
        return await self._writer(manifest).update_status(manifest)

    def _writer(self, manifest: Manifest) -> Kube:
        if not self.leads(namespace := manifest["metadata"]["namespace"]):
            raise NotLeading(f"another operator may lead by now: nothing is written in namespace {namespace}")
        return self.kube
