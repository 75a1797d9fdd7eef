"""Makes the cluster equal to what was rendered. Idempotent; an object that somebody else owns is never touched.

Each write carries the resourceVersion from the snapshot (or creates what must not exist yet), so an operator that was
stalled cannot bring back an old weight.
"""

import secrets
from collections.abc import Awaitable, Container, Iterable, Iterator, Mapping
from typing import Any

from sluice_operator.api.owner import Manifest, Owner, is_owned
from sluice_operator.kubernetes.children import OWNED_KINDS, Children, Reference
from sluice_operator.kubernetes.port import Conflict, Kube, WriteRefused
from sluice_operator.manifests.builders import feedback_secret


async def apply(kube: Kube, owner: Owner, children: Children, rendered: Iterable[Manifest]) -> list[str]:
    """Create, change, then delete; returns what it wrote, in words.

    A write that fails does not keep the others back: a weight must not wait for a pod. Raises Conflict when something
    moved since the snapshot (observe again), or WriteRefused.
    """
    wanted = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in rendered}
    written, failed = [], list[Conflict | WriteRefused]()
    for write in _writes(kube, owner, children, wanted):
        try:
            if change := await write:
                written.append(change)
        except (Conflict, WriteRefused) as error:
            failed.append(error)
    if failed:
        raise min(failed, key=lambda error: isinstance(error, Conflict))  # a refusal needs a person: it goes first
    return written


def _writes(
    kube: Kube, owner: Owner, children: Children, wanted: Mapping[Reference, Manifest]
) -> Iterator[Awaitable[str]]:
    if wanted and not children.has_feedback_key:
        yield _create(kube, feedback_secret(owner, secrets.token_hex(32)))
    for reference, manifest in wanted.items():
        yield _apply_one(kube, owner, children.objects.get(reference), manifest)
    for kind in reversed(OWNED_KINDS):  # routes before the pods that they lead to
        for live in _superfluous(owner, children, kind, wanted):
            yield _delete(kube, live)


async def _create(kube: Kube, manifest: Manifest) -> str:
    await kube.create(manifest)
    return f"created {manifest['kind']} {manifest['metadata']['name']}"


async def _delete(kube: Kube, live: Manifest) -> str:
    await kube.delete(live)
    return f"deleted {live['kind']} {live['metadata']['name']}"


def _superfluous(owner: Owner, children: Children, kind: str, wanted: Container[Reference]) -> list[Manifest]:
    return [
        live
        for reference, live in children.objects.items()
        if reference[0] == kind
        and reference not in wanted
        and is_owned(live, owner.uid)
        and not live["metadata"].get("deletionTimestamp")
    ]


async def _apply_one(kube: Kube, owner: Owner, live: Manifest | None, manifest: Manifest) -> str:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if live is None:
        return await _create(kube, manifest)
    if not is_owned(live, owner.uid):
        return ""
    if kind == "Deployment":  # proven pods are not touched: only their number changes
        replicas = manifest["spec"]["replicas"]
        if live["spec"].get("replicas") != replicas:
            await kube.scale(live, replicas)
            return f"scaled {name} to {replicas}"
    elif not covers(live, manifest):
        version = live["metadata"]["resourceVersion"]
        await kube.apply({**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}})
        return f"changed {kind} {name}"
    return ""


def covers(live: Any, wanted: Any) -> bool:
    """Whether `live` holds all of `wanted`; what the API server or others added does not matter.

    A selector must be the same: one more label selects other pods, or none.
    """
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return False
        shared = wanted.keys() & live.keys()
        same = {
            key: live[key] == wanted[key] if key == "selector" else covers(live[key], wanted[key]) for key in shared
        }
        return len(same) == len(wanted) and all(same.values())
    if isinstance(wanted, list):
        same_length = isinstance(live, list) and len(live) == len(wanted)
        return same_length and all(covers(one, other) for one, other in zip(live, wanted, strict=True))
    return bool(live == wanted)
