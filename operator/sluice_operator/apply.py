"""Makes the cluster equal to what was rendered. Idempotent; an object that somebody else owns is never touched.

Each write carries the resourceVersion from the snapshot (or creates what must not exist yet), so an operator that was
stalled cannot bring back an old weight.
"""

import secrets
from collections.abc import Container, Iterable
from typing import Any

from sluice_operator.kube import Kube, Manifest
from sluice_operator.resources import Owner, feedback_secret
from sluice_operator.snapshot import OWNED_KINDS, Reference, Snapshot, is_owned


async def apply(kube: Kube, owner: Owner, children: Snapshot, rendered: Iterable[Manifest]) -> list[str]:
    """Create, change, then delete; returns what it wrote, in words.

    Raises Conflict when something moved since the snapshot: observe again.
    """
    written = []
    wanted = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in rendered}
    if wanted and not children.has_feedback_key:
        await kube.create(feedback_secret(owner, secrets.token_hex(32)))
    for reference, manifest in wanted.items():
        if change := await _apply_one(kube, owner, children.objects.get(reference), manifest):
            written.append(change)
    for kind in reversed(OWNED_KINDS):  # routes before the pods that they lead to
        for live in _superfluous(owner, children, kind, wanted):
            await kube.delete(live)
            written.append(f"deleted {kind} {live['metadata']['name']}")
    return written


def _superfluous(owner: Owner, children: Snapshot, kind: str, wanted: Container[Reference]) -> list[Manifest]:
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
        await kube.create(manifest)
        return f"created {kind} {name}"
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
    """Whether `live` holds all of `wanted`; what the API server or others added does not matter."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and covers(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        same_length = isinstance(live, list) and len(live) == len(wanted)
        return same_length and all(covers(one, other) for one, other in zip(live, wanted, strict=True))
    return bool(live == wanted)
