"""Keeps a copy of all objects of one kind with our labels, by list and watch as every Kubernetes controller does.

A change of an object wakes its ModelDeployment.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from typing import Protocol

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.kubernetes.copies import Packing
from sluice_operator.kubernetes.port import Expired, NoAnswer, NoSuchKind, ReadRefused

_log = logging.getLogger(__name__)
_LABELS = {names.LABEL_MANAGED_BY: names.MANAGED_BY}
_PAUSE_FIRST, _PAUSE_MAX = 0.5, 10.0  # seconds, after a request that failed
_PAUSE_UNKNOWN = 30.0  # seconds, while there is no such kind
_DEAF = 180.0  # seconds without a sign of life from a watch; it is opened anew every minute


class Source(Protocol):
    """List and watch. Both raise ReadRefused, NoAnswer, TimeoutError or Expired."""

    def pages(self, kind: str, namespace: str, labels: dict[str, str]) -> AsyncIterator[tuple[Iterable[Manifest], str]]:
        """The objects, in parts; with the last one, the version from which a watch goes on."""

    def watch(
        self, kind: str, namespace: str, labels: dict[str, str], version: str
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """Each change since `version` with its type, until the server ends the answer."""


class Reflector:
    """The copies of one kind.

    `wake`: is called with namespace and name of the ModelDeployment of a changed object. `found`: the same, if the
    change was found in a list, where there may be thousands.
    """

    def __init__(
        self,
        source: Source,
        kind: str,
        wake: Callable[[Key], None],
        found: Callable[[Key], None],
        chance: random.Random,
        namespaces: Sequence[str] = ("",),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self.kind = kind
        self._wake = wake
        self._found = found
        self._chance = chance
        self._namespaces = namespaces
        self._clock = clock
        self._packing = Packing()
        self._objects: dict[Key, tuple[str, str, bytes]] = {}  # version, owner, copy
        self._by_owner: dict[Key, set[str]] = defaultdict(set)
        self._missing = set(namespaces)  # those that were not listed yet
        self._told: dict[str, str] = {}  # by namespace, what keeps it from being watched
        self._heard_at: dict[str, float] = {}  # by namespace, while they are watched
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Follow all changes until this is cancelled."""
        self._heard_at = dict.fromkeys(self._namespaces, self._clock())
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    def get(self, namespace: str, name: str) -> Manifest | None:
        found = self._objects.get((namespace, name))
        return self._packing.unpacked(found[2]) if found else None

    def owned(self, namespace: str, owner: str) -> list[Manifest]:
        """All objects with the label of this owner, and the pods that prepare a model for it."""
        owned = self._by_owner.get((namespace, owner), set())
        return [self._packing.unpacked(self._objects[namespace, name][2]) for name in sorted(owned)]

    def trouble(self) -> str:
        """Whether the watch is deaf, as a sentence; empty if it is not."""
        silent = self._clock() - min(self._heard_at.values(), default=self._clock())
        return f"the watch of {self.kind} objects has heard nothing for {silent:.0f} s" if silent > _DEAF else ""

    async def _follow(self, namespace: str) -> None:
        version, pause = "", _PAUSE_FIRST
        while True:
            try:
                if not version:
                    version = await self._list(namespace)
                began = self._clock()
                async for change, manifest in self._source.watch(self.kind, namespace, _LABELS, version):
                    version = manifest["metadata"]["resourceVersion"]
                    self._heard_at[namespace] = self._clock()
                    self._take(change, manifest)
                self._heard_at[namespace] = self._clock()
                if self._clock() >= began + _PAUSE_FIRST:
                    pause = _PAUSE_FIRST
                    continue
            except Expired:
                version = ""
            except NoSuchKind:  # its CRD may be installed later
                version, pause = "", _PAUSE_UNKNOWN
                self._listed_all(namespace, set())
                self._say(namespace, f"{self.kind} objects are not watched: their CRD is not installed")
            except ReadRefused as error:  # that is not deafness, and a new process would hear no more
                self._heard_at[namespace] = self._clock()
                self._say(namespace, f"{self.kind} objects cannot be watched: {error}")
            except (NoAnswer, TimeoutError) as error:
                _log.info("the watch of %s objects broke: %s", self.kind, str(error) or type(error).__name__)
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1.0))
            pause = min(_PAUSE_MAX, 2 * pause)

    def _say(self, namespace: str, trouble: str) -> None:
        """Once, until it is over. What many namespaces have in common is said once for all."""
        if trouble not in self._told.values():
            _log.warning("%s", trouble)
        self._told[namespace] = trouble

    async def _list(self, namespace: str) -> str:
        there, version = set[Key](), ""
        async for listed, version in self._source.pages(self.kind, namespace, _LABELS):  # noqa: B007 - the last one
            for manifest in listed:
                there.add((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))
                self._put(manifest, self._found)
            self._heard_at[namespace] = self._clock()
        self._listed_all(namespace, there)
        self._told.pop(namespace, None)
        return version

    def _listed_all(self, namespace: str, there: Container[Key]) -> None:
        for key in [key for key in self._objects if key not in there and namespace in ("", key[0])]:
            self._drop(key)
        self._heard_at[namespace] = self._clock()
        self._missing.discard(namespace)
        if not self._missing:
            self.listed.set()

    def _take(self, change: str, manifest: Manifest) -> None:
        if change in ("ADDED", "MODIFIED"):
            self._put(manifest, self._wake)
        elif change == "DELETED":
            self._drop((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))

    def _put(self, manifest: Manifest, wake: Callable[[Key], None]) -> None:
        metadata = manifest["metadata"]
        key, version = (metadata["namespace"], metadata["name"]), metadata["resourceVersion"]
        known = self._objects.get(key)
        if known is not None and known[0] == version:
            return
        labels = metadata.get("labels", {})
        owner = labels.get(names.LABEL_OWNER) or labels.get(names.LABEL_PREPARES, "")
        if known is not None and known[1] != owner:
            self._drop(key)
        self._objects[key] = version, owner, self._packing.packed({**manifest, "kind": self.kind})
        self._by_owner[key[0], owner].add(key[1])
        wake((key[0], owner))

    def _drop(self, key: Key) -> None:
        known = self._objects.pop(key, None)
        if known is None:
            return
        owner = key[0], known[1]
        self._by_owner[owner].discard(key[1])
        if not self._by_owner[owner]:
            del self._by_owner[owner]
        self._wake(owner)
