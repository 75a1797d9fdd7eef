"""Sends run records to the store, one after the other in the background. No reconcile waits for it.

The ConfigMaps of the records are the queue: one that was sent is marked with the address of the store. So what was not
sent before a restart, or to another store, is sent by the next process. While the store is silent, nothing but the
names of the objects is kept, and it is asked again with longer pauses.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping
from typing import Protocol

import msgspec

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.kubernetes.guard import NotLeading
from sluice_operator.kubernetes.port import Conflict, Kube, NoAnswer, ReadRefused, WriteRefused
from sluice_operator.run_store import RecordRefusedError, StoreSilentError
from sluice_operator.telemetry import metrics

_log = logging.getLogger(__name__)
_RETRY, _MOST = 5.0, 300.0  # seconds between two tries: the first pause, and the longest
_JITTER = 0.1
_OF_ONE_OBJECT = (Conflict, NoAnswer, NotLeading, ReadRefused, WriteRefused, TimeoutError)
_SENT = ("name", "namespace", "labels")  # what the store gets to know of a ConfigMap's metadata


class Runs(Protocol):
    """The part of the store that is needed here; see `RunStore`."""

    @property
    def url(self) -> str: ...

    async def put(self, namespace: str, name: str, run: str, document: bytes) -> None: ...


class Sending:
    """The objects whose records are looked through: first those that came first, and those with trouble later.

    While the store is silent, all wait for it. What is wrong with one object, such as a namespace in which the operator
    may read no ConfigMaps, holds up no other.
    """

    def __init__(self, kube: Kube, store: Runs, chance: random.Random) -> None:
        self._kube = kube
        self._store = store
        self._chance = chance
        self._waiting: dict[Key, float] = {}  # until when, in the time of the loop
        self._tries: dict[Key, int] = {}  # in vain, of those that wait
        self._came = asyncio.Event()
        self._told = ""  # the trouble that was logged last, until all was sent

    def look(self, key: Key) -> None:
        """Send the records of this object that the store does not have yet. Returns at once."""
        self._waiting[key] = 0.0
        self._came.set()
        metrics.RECORDS_WAITING.set(len(self._waiting))

    def forget(self, key: Key) -> None:
        """Another operator works in the namespace of this object."""
        self._waiting.pop(key, None)
        self._tries.pop(key, None)

    async def run(self) -> None:
        """Send for ever."""
        silent = 0  # how often the store has been, since it last answered
        while True:
            key = await self._next()
            try:
                sent = await self._is_sent(key)
            except StoreSilentError as error:
                self._tell(key, error)
                self._waiting.setdefault(key, 0.0)
                await asyncio.sleep(self._pause(silent))
                silent += 1
                continue
            silent = 0
            if sent:
                self._tries.pop(key, None)
            else:
                tries = self._tries[key] = self._tries.get(key, -1) + 1
                self._waiting.setdefault(key, asyncio.get_running_loop().time() + self._pause(tries))
            metrics.RECORDS_WAITING.set(len(self._waiting))

    async def _next(self) -> Key:
        """The next object whose time has come; it does not wait any more."""
        loop = asyncio.get_running_loop()
        while True:
            self._came.clear()
            if not self._waiting:
                self._told = ""
                await self._came.wait()
                continue
            key, due = min(self._waiting.items(), key=lambda item: item[1])
            if due <= loop.time():
                del self._waiting[key]
                return key
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), due - loop.time())

    def _pause(self, tries: int) -> float:
        return min(_MOST, _RETRY * 2.0 ** min(tries, 16)) * self._chance.uniform(1 - _JITTER, 1 + _JITTER)

    async def _is_sent(self, key: Key) -> bool:
        """Whether the store has all records of the object that it takes. Raises StoreSilentError."""
        try:
            await self._send(key)
            return True
        except _OF_ONE_OBJECT as error:
            self._tell(key, error)
        except StoreSilentError:
            raise
        except Exception:  # a bug here must not end the process: no decision needs a record in the store
            _log.exception("%s/%s: the run records cannot be sent", *key)
        return False

    def _tell(self, key: Key, error: Exception) -> None:
        trouble = str(error) or type(error).__name__
        if trouble != self._told:
            _log.warning("%s/%s: a run record is not in the store yet, and is sent again: %s", *key, trouble)
        self._told = trouble

    async def _send(self, key: Key) -> None:
        namespace, name = key
        labels = {names.LABEL_OWNER: name, names.LABEL_RECORD: names.RUN_RECORD}
        for record in await self._kube.find("ConfigMap", namespace, labels):
            if record["metadata"].get("annotations", {}).get(names.ANNOTATION_STORE) == self._store.url:
                continue
            run = record["metadata"]["name"].removeprefix(names.run_record(name, ""))
            try:
                await self._store.put(namespace, name, run, msgspec.json.encode(document(record)))
            except RecordRefusedError as error:
                _log.error("%s/%s: the store does not take the record of run %s: %s", namespace, name, run, error)
                continue
            await self._kube.apply(_marked(record, self._store.url))


def document(record: Manifest) -> Manifest:
    """What the store keeps of a ConfigMap: a ConfigMap, too, so that `kubectl sluice replay --record` reads it."""
    metadata = {field: record["metadata"][field] for field in _SENT if field in record["metadata"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **_content(record)}


def _marked(record: Manifest, url: str) -> Manifest:
    """What is applied to the version that was sent: one that was completed meanwhile is sent again."""
    kept = {field: record["metadata"][field] for field in (*_SENT, "ownerReferences") if field in record["metadata"]}
    annotations = {names.ANNOTATION_STORE: url}
    metadata = {**kept, "resourceVersion": record["metadata"]["resourceVersion"], "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **_content(record)}


def _content(record: Manifest) -> Mapping[str, object]:
    return {field: record[field] for field in ("immutable", "data", "binaryData") if field in record}
