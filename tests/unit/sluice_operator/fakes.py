"""A Kubernetes API in memory, with conditional writes, and a way to kill the operator after any write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from sluice_operator.api import merge
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Conflict

T = TypeVar("T")
Reference = tuple[str, str]  # kind, name


class CutOffError(BaseException):
    """The operator was killed. No `except Exception` can catch it."""


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, because the fakes answer at once."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("waits for something outside")


def copied(value: Any) -> Any:
    """What comes out of an API server after `value` was sent there: plain JSON, shared with nobody."""
    return msgspec.json.decode(msgspec.json.encode(value))


def merged(live: Any, change: Any) -> Any:
    """`change` applied to `live`: mappings are merged by key, everything else is replaced."""
    if isinstance(live, dict) and isinstance(change, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in change.items()}}
    return copied(change)


def _leaves(manifest: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The values in nested mappings, by the names on the way there. A list is one value."""
    if not isinstance(manifest, dict):
        return {path: manifest}
    return {at: leaf for name, value in manifest.items() for at, leaf in _leaves(value, (*path, name)).items()}


def _without(live: Manifest, paths: Iterable[tuple[str, ...]]) -> Manifest:
    pruned: Manifest = copied(live)
    for *parents, name in paths:
        holder = pruned
        for parent in parents:
            holder = holder.get(parent, {})
        holder.pop(name, None)
    return pruned


class FakeKube:
    """`Kube` for one namespace. `before_write` is called with each write before it is done."""

    def __init__(self) -> None:
        self.objects: dict[Reference, Manifest] = {}
        self.events: list[str] = []
        self.writes = 0
        self.cut_after: int | None = None
        self.before_write: Callable[[str, Manifest], None] = lambda verb, manifest: None
        self._version = 0
        self._applied: dict[Reference, dict[tuple[str, ...], Any]] = {}  # by `apply`, and by nobody else

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        stored: Manifest | None = copied(self.objects.get((kind, name)))
        return stored

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        return [
            copied(manifest)
            for (stored_kind, _), manifest in self.objects.items()
            if stored_kind == kind and labels.items() <= manifest["metadata"].get("labels", {}).items()
        ]

    async def named(self, kind: str, namespace: str, name: str) -> list[Manifest]:
        found = await self.find(kind, namespace, {})
        return [manifest for manifest in found if manifest["metadata"]["name"] == name]

    async def each(self, kind: str, labels: Mapping[str, str]) -> AsyncIterator[Manifest]:
        for manifest in await self.find(kind, "", labels):
            yield manifest

    async def create(self, manifest: Manifest) -> None:
        reference = _reference(manifest)
        if reference in self.objects:
            raise Conflict(f"{reference} already exists")
        self.before_write("create", manifest)
        if manifest["kind"] == "Event":
            self.events.append(manifest["reason"])
        else:
            self.put(manifest)
        self._written()

    async def apply(self, manifest: Manifest) -> None:
        """As the API server does it: what an apply brought and the next one leaves out is deleted.

        Not so what the object was created with, or what others have written.
        """
        live = self._guarded(manifest)
        self.before_write("apply", manifest)
        there, wanted, before = _leaves(live), _leaves(manifest), self._applied.get(_reference(manifest), {})
        left_out = [path for path, value in before.items() if path not in wanted and there.get(path) == value]
        self._applied[_reference(manifest)] = {
            path: value for path, value in wanted.items() if path in before or there.get(path) != value
        }
        self.put(merged(_without(live, left_out), manifest))
        self._written()

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        live = self._guarded(deployment)
        changed = merged(live, {"spec": {"replicas": replicas}})
        self.before_write("scale", changed)
        self.put(changed)
        self._written()

    async def remove(self, live: Manifest, fields: Manifest) -> None:
        changed = merge.merged(self._guarded(live), fields)
        self.before_write("remove", changed)
        self.put(changed)
        self._written()

    async def delete(self, manifest: Manifest) -> None:
        if _reference(manifest) in self.objects:
            live = self._guarded(manifest)
            self.before_write("delete", live)
            del self.objects[_reference(manifest)]
            self._applied.pop(_reference(manifest), None)
            self._written()

    async def update_status(self, manifest: Manifest) -> str:
        live = self._guarded(manifest)
        self.before_write("status", manifest)
        self.put({**live, "status": copied(manifest["status"])})
        version = str(self.objects[_reference(manifest)]["metadata"]["resourceVersion"])
        self._written()
        return version

    async def replace(self, manifest: Manifest) -> Manifest | None:
        self._guarded(manifest)
        self.put(manifest)
        written: Manifest = copied(self.objects[_reference(manifest)])
        return written

    def put(self, manifest: Manifest) -> None:
        """Store an object under a new resourceVersion, as any writer may."""
        self._version += 1
        stored = self.objects.get(_reference(manifest), {"metadata": {"uid": f"uid-{self._version}"}})
        metadata = {"uid": stored["metadata"]["uid"], **manifest["metadata"], "resourceVersion": str(self._version)}
        self.objects[_reference(manifest)] = copied({**manifest, "metadata": metadata})

    def touch(self, reference: Reference) -> None:
        """Write the object as somebody else would, without any change but that of its resourceVersion."""
        if reference in self.objects:
            self.put(self.objects[reference])

    def _guarded(self, manifest: Manifest) -> Manifest:
        live = self.objects.get(_reference(manifest))
        if live is None:
            raise Conflict("it is gone")
        for guard in ("uid", "resourceVersion"):
            if manifest["metadata"].get(guard, live["metadata"][guard]) != live["metadata"][guard]:
                raise Conflict(f"another {guard}")
        return live

    def _written(self) -> None:
        self.writes += 1
        if self.cut_after is not None and self.writes >= self.cut_after:
            self.cut_after = None
            raise CutOffError


def _reference(manifest: Manifest) -> Reference:
    return manifest["kind"], manifest["metadata"]["name"]
