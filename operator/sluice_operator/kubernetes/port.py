"""The part of the Kubernetes API that the operator uses, as a port. Objects are plain mappings.

Writes are conditional: they fail if the object was changed or created since it was read.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from sluice_operator.api.owner import Manifest

FIELD_MANAGER = "sluice"


class Conflict(Exception):  # noqa: N818 - an expected answer and not an error
    """Somebody else has written, created or deleted the object since it was read (status 409, or 404 for a write)."""


class WriteRefused(Exception):  # noqa: N818 - likewise
    """The API server forbids the write or finds the object invalid. Another try at once would give the same answer."""


class ReadRefused(Exception):  # noqa: N818 - likewise
    """The API server forbids the read, or does not know what is asked for."""


class NoSuchKind(ReadRefused):
    """The API server does not know objects of this kind: their CRD is not installed."""


class Expired(Exception):  # noqa: N818 - likewise
    """The API server does not know any more what has changed since a version: list again."""


class NoAnswer(OSError):  # noqa: N818 - likewise
    """The API server gave no answer that can be used: the connection broke, or its status is 429, or 500 and above."""


class Reads(Protocol):
    """The reading half of `Kube`, which a cache has as well."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        """All objects with these labels; in all namespaces if `namespace` is empty."""


class Kube(Reads, Protocol):
    """The verbs that the operator uses.

    `get` returns None and `find` an empty list if there is no such object; both raise ReadRefused. Writes raise
    Conflict or WriteRefused. All of them raise NoAnswer or TimeoutError.
    """

    async def create(self, manifest: Manifest) -> None: ...

    async def apply(self, manifest: Manifest) -> None: ...

    async def scale(self, deployment: Manifest, replicas: int) -> None: ...

    async def remove(self, live: Manifest, fields: Manifest) -> None:
        """Removes the fields that are None in `fields`."""

    async def delete(self, manifest: Manifest) -> None: ...

    async def update_status(self, manifest: Manifest) -> str:
        """Returns the new resourceVersion."""


class LiveKube(Kube, Protocol):
    """The API server itself, which can list what no watch tells."""

    def each(self, kind: str, labels: Mapping[str, str]) -> AsyncIterator[Manifest]:
        """As `find` in all namespaces, one object after the other: together they may fill the memory."""
