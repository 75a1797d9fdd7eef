"""Lets only the holder of the Lease write. An operator that was stalled for a while learns here that it is too late."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Kube


class NotLeading(Exception):  # noqa: N818 - an expected answer and not an error
    """The Lease was not renewed in time. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """`Kube` whose writes raise NotLeading unless `leads()` is true at that moment."""

    kube: Kube
    leads: Callable[[], bool]

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return await self.kube.get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return await self.kube.find(kind, namespace, labels)

    async def create(self, manifest: Manifest) -> None:
        await self._writer().create(manifest)

    async def apply(self, manifest: Manifest) -> None:
        await self._writer().apply(manifest)

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        await self._writer().scale(deployment, replicas)

    async def delete(self, manifest: Manifest) -> None:
        await self._writer().delete(manifest)

    async def update_status(self, manifest: Manifest) -> None:
        await self._writer().update_status(manifest)

    def _writer(self) -> Kube:
        if not self.leads():
            raise NotLeading("another operator may lead by now: nothing is written")
        return self.kube
