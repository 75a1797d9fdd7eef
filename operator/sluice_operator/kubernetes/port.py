"""The Kubernetes API, as far as the operator needs it: plain mappings in and out, server-side apply, guarded writes."""

from collections.abc import Mapping
from typing import Protocol

from sluice_operator.api.owner import Manifest

FIELD_MANAGER = "sluice"


class Conflict(Exception):  # noqa: N818 - an expected answer, not an error
    """Somebody else wrote the object since it was read (409)."""


class WriteRefused(Exception):  # noqa: N818 - likewise
    """The API server does not allow a write, or will not have the object: trying again at once changes nothing."""


class Kube(Protocol):
    """The verbs that the operator uses.

    Reads return None, or nothing in a list, where there is no object. Writes raise Conflict on a lost race,
    or WriteRefused.
    """

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """Objects with these labels; of all namespaces if `namespace` is empty."""

    async def create(self, manifest: Manifest) -> None: ...

    async def apply(self, manifest: Manifest) -> None: ...

    async def scale(self, deployment: Manifest, replicas: int) -> None: ...

    async def delete(self, manifest: Manifest) -> None: ...

    async def update_status(self, manifest: Manifest) -> None: ...
