"""Sends run records to the store, one after the other in the background. No reconcile waits for it.

The ConfigMaps of the records are the queue: one that was sent is marked with the address of the store. So what was not
sent before a restart, or to another store, is sent by the next process. While the store is silent, nothing but the
names of the objects is kept, and it is asked again with longer pauses.
"""

import asyncio
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
_PASSING = (StoreSilentError, Conflict, NoAnswer, NotLeading, ReadRefused, WriteRefused, TimeoutError)
_SENT = ("name", "namespace", "labels")  # what the store gets to know of a ConfigMap's metadata


class Runs(Protocol):
    """The part of the store that is needed here; see `RunStore`."""

    @property
    def url(self) -> str: ...

    async def put(self, namespace: str, name: str, run: str, document: bytes) -> None: ...


class Sending:
    """The objects whose records are looked through, in the order in which they came."""

    def __init__(self, kube: Kube, store: Runs, chance: random.Random) -> None:
        self._kube = kube
        self._store = store
        self._chance = chance
        self._waiting: dict[Key, None] = {}
        self._came = asyncio.Event()
        self._told = ""  # the trouble that was logged last, until all was sent

    def look(self, key: Key) -> None:
        """Send the records of this object that the store does not have yet. Returns at once."""
        self._waiting[key] = None
        self._came.set()
        metrics.RECORDS_WAITING.set(len(self._waiting))

    def forget(self, key: Key) -> None:
        """Another operator works in the namespace of this object."""
        self._waiting.pop(key, None)

    async def run(self) -> None:
        """Send for ever."""
        tries = 0
        while True:
            while not self._waiting:
                self._told = ""
                self._came.clear()
                await self._came.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            sent = await self._is_sent(key)
            if not sent:
                self._waiting[key] = None  # behind the others, for which there may be no trouble
            metrics.RECORDS_WAITING.set(len(self._waiting))
            if not sent:
                await asyncio.sleep(self._pause(tries))
            tries = 0 if sent else tries + 1

    def _pause(self, tries: int) -> float:
        return min(_MOST, _RETRY * 2.0 ** min(tries, 16)) * self._chance.uniform(1 - _JITTER, 1 + _JITTER)

    async def _is_sent(self, key: Key) -> bool:
        """Whether the store has all records of the object that it takes."""
        try:
            await self._send(key)
            return True
        except _PASSING as error:
            trouble = str(error) or type(error).__name__
            if trouble != self._told:
                _log.warning("%s/%s: a run record is not in the store yet, and is sent again: %s", *key, trouble)
            self._told = trouble
        except Exception:  # a bug here must not end the process: no decision needs a record in the store
            _log.exception("%s/%s: the run records cannot be sent", *key)
        return False

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
