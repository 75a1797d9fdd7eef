"""What watches have told, in the form in which the API server would tell it.

It may be behind by a moment, or by as long as a watch was deaf. So it may only say that nothing is to be done, or what
was seen; whatever moves is decided from what the API server says itself.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest, Reference
from sluice_operator.kubernetes.copies import Packing
from sluice_operator.kubernetes.port import Reads
from sluice_operator.kubernetes.reflector import Reflector

_UNWATCHED = ("Secret", "ConfigMap")  # a watch would tell of those of everybody
_RECENT = 60.0  # seconds


class Cache:
    """`Reads` for ModelDeployments and what they own. What it does not have, it reads from the API server."""

    def __init__(self, live: Reads, reflectors: Sequence[Reflector]) -> None:
        self._live = live
        self._reflectors = {reflector.kind: reflector for reflector in reflectors}
        self._packing = Packing()
        self._bodies: dict[Key, tuple[str, bytes]] = {}  # of ModelDeployments: version, copy

    def see(self, body: Manifest) -> None:
        """Note a ModelDeployment as it is now."""
        metadata = body["metadata"]
        self._bodies[metadata["namespace"], metadata["name"]] = metadata["resourceVersion"], self._packing.packed(body)

    def version(self, key: Key) -> str:
        """The resourceVersion of a ModelDeployment that was seen; empty for all others."""
        return self._bodies[key][0] if key in self._bodies else ""

    def keys(self, namespace: str) -> list[Key]:
        """The ModelDeployments of a namespace."""
        return [key for key in self._bodies if key[0] == namespace]

    def forget(self, key: Key) -> None:
        """Drop a ModelDeployment that is gone."""
        self._bodies.pop(key, None)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        if kind == names.KIND:
            body = self._bodies.get((namespace, name))
            found: Manifest | None = self._packing.unpacked(body[1]) if body else None
        else:
            found = reflector.get(namespace, name) if (reflector := self._reflectors.get(kind)) else None
        return await self._live.get(kind, namespace, name) if found is None else found

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        reflector = self._reflectors.get(kind)
        by_owner = len(labels) == 1 and labels.keys() <= {names.LABEL_OWNER, names.LABEL_PREPARES}
        if reflector is None or not reflector.listed.is_set() or not by_owner:
            return await self._live.find(kind, namespace, labels)
        owned = reflector.owned(namespace, *labels.values())
        return [manifest for manifest in owned if labels.items() <= manifest["metadata"].get("labels", {}).items()]


class Recent:
    """What was read for one object after the other from the API server, because no watch tells of it, for a minute."""

    def __init__(self, reads: Reads, clock: Callable[[], float] = time.monotonic) -> None:
        self._reads = reads
        self._clock = clock
        self._known: dict[Key, tuple[float, dict[Reference, Manifest]]] = {}  # with since when; oldest first

    def of(self, key: Key) -> Reads:
        """`Reads` for a look at the object `key`."""
        self._drop_old()
        _, known = self._known.setdefault(key, (self._clock(), {}))
        return _Recent(self._reads, known)

    def forget(self, key: Key) -> None:
        """The object is gone, or what belongs to it is about to be written."""
        self._known.pop(key, None)

    def _drop_old(self) -> None:
        """Thousands of objects are looked at once in an hour: what they read would fill the memory meanwhile."""
        oldest = self._clock() - _RECENT
        for key in [key for key, _ in takewhile(lambda each: each[1][0] <= oldest, self._known.items())]:
            del self._known[key]


@dataclass(frozen=True, slots=True)
class _Recent:
    """`known`: what was read in the last minute."""

    reads: Reads
    known: dict[Reference, Manifest]

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        if kind not in _UNWATCHED:
            return await self.reads.get(kind, namespace, name)
        if (kind, name) in self.known:
            return self.known[kind, name]
        found = await self.reads.get(kind, namespace, name)
        if found is not None:
            self.known[kind, name] = found
        return found

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return await self.reads.find(kind, namespace, labels)


class DryRun:
    """`Kube` that reads from somewhere and writes nothing."""

    def __init__(self, reads: Reads) -> None:
        self.get, self.find = reads.get, reads.find

    async def create(self, manifest: Manifest) -> None:
        """Nothing."""

    async def apply(self, manifest: Manifest) -> None:
        """Nothing."""

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        """Nothing."""

    async def remove(self, live: Manifest, fields: Manifest) -> None:
        """Nothing."""

    async def delete(self, manifest: Manifest) -> None:
        """Nothing."""

    async def update_status(self, manifest: Manifest) -> str:
        """Nothing."""
        return str(manifest["metadata"]["resourceVersion"])
