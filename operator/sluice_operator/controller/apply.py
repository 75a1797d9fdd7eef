"""Makes the objects in the cluster equal to the rendered manifests. Idempotent; objects of other owners are left alone.

Each write has the resourceVersion that was read, or creates an object that must not exist yet. So an operator that was
stalled for a while cannot write an old weight over a newer one.
"""

import secrets
from collections.abc import Awaitable, Container, Iterable, Iterator, Mapping

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference, is_orphan, is_owned
from sluice_operator.api.status import Status
from sluice_operator.controller import leftovers
from sluice_operator.controller.observation.observe import Snapshot
from sluice_operator.kubernetes import preparation
from sluice_operator.kubernetes.cache import DryRun
from sluice_operator.kubernetes.children import BUDGET, JOB, OWNED_KINDS, Children
from sluice_operator.kubernetes.coverage import is_as_asked
from sluice_operator.kubernetes.field_managers import editor_of, last_other
from sluice_operator.kubernetes.port import Conflict, Kube, Reads, WriteRefused
from sluice_operator.manifests import store
from sluice_operator.manifests.builders import feedback_secret, store_secret
from sluice_operator.manifests.render import render
from sluice_operator.rollout.roles import endpoints_to_keep

_WORKLOADS = ("Service", "Deployment")  # in the order in which they are deleted
_ROUTES = ("Ingress", names.HTTP_ROUTE)
_TRIES = 3  # of a write, while only a status comes between
ANEW = "made anew"  # how the text for a Job begins that was replaced, because it cannot be changed
NO_DRIFT = (ANEW, f"deleted {BUDGET}")  # that one may be gone already, and only the watch has not told yet


async def apply(
    kube: Kube, owner: Owner, children: Children, rendered: Iterable[Manifest], keep: str = ""
) -> list[str]:
    """Create and change what was rendered, then delete the rest. Returns one text for each write that was needed.

    `keep`: a revision that Service NAME goes on selecting, and whose objects stay.

    All objects are written and routes are deleted, even if one of these writes fails: a weight must not wait for a pod.
    Pods and Services go only when nothing has failed: a Service that was not written may still lead to them. Nor does a
    route that callers use, before the one of another kind is there, and is ours. Raises WriteRefused, or Conflict if an
    object has changed since `children` were read; then observe again.
    """
    written = (manifest for manifest in rendered if children.knows_budgets or manifest["kind"] != BUDGET)
    wanted = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in written}
    if keep:
        workload = names.workload(owner.name, keep)
        for reference in (("Service", owner.name), ("Deployment", workload), ("Service", workload), (BUDGET, workload)):
            if (live := children.objects.get(reference)) is not None:
                wanted[reference] = live
    replaced = _replaced_routes(owner, wanted)
    done = await _all_of(_writes(kube, owner, children, wanted, replaced))
    is_blocked = any(" ".join(reference) in children.foreign for reference in replaced & wanted.keys())
    kinds = _WORKLOADS if is_blocked else (*_ROUTES, *_WORKLOADS)
    last = (live for live in _superfluous(owner, children, kinds, wanted) if _goes_last(live, replaced))
    return done + await _all_of(_delete(kube, live) for live in last)


async def is_applied(reads: Reads, snapshot: Snapshot, status: Status) -> bool:
    """Whether the cluster is as the spec and `status` ask for, as far as `reads` knows."""
    owner, seen = snapshot.owner, snapshot.observation
    rendered, keep = render(owner, seen.spec, status), endpoints_to_keep(seen, status)
    return not await apply(DryRun(reads), owner, snapshot.children, rendered, keep)


async def _all_of(writes: Iterable[Awaitable[str]]) -> list[str]:
    """Try all of them. Raises what one of them raised."""
    written, failed = [], list[Conflict | WriteRefused]()
    for write in writes:
        try:
            if change := await write:
                written.append(change)
        except (Conflict, WriteRefused) as error:
            failed.append(error)
    if failed:
        raise min(failed, key=lambda error: isinstance(error, Conflict))  # a refusal first, because it needs a person
    return written


def _writes(
    kube: Kube,
    owner: Owner,
    children: Children,
    wanted: Mapping[Reference, Manifest],
    replaced: Container[Reference],
) -> Iterator[Awaitable[str]]:
    if wanted and not children.has_feedback_key:
        yield _create(kube, feedback_secret(owner, secrets.token_hex(32)))
    if not children.has_store_token and any(map(store.is_asked_by, _of_pods(wanted))):
        yield _create(kube, store_secret(owner))
    for reference, manifest in wanted.items():
        yield _create_or_change(kube, owner, children.objects.get(reference), manifest)
    for live in _superfluous(owner, children, (*OWNED_KINDS, BUDGET, JOB), wanted):
        if not _goes_last(live, replaced):
            yield _delete(kube, live)


def _of_pods(wanted: Mapping[Reference, Manifest]) -> list[Manifest]:
    return [manifest for (kind, _), manifest in wanted.items() if kind in ("Deployment", JOB)]


def _replaced_routes(owner: Owner, wanted: Mapping[Reference, Manifest]) -> set[Reference]:
    """The routes that callers may use until the one that is rendered is there, which may be of another kind."""
    routes = {(kind, owner.name) for kind in _ROUTES}
    return routes if routes & wanted.keys() else set()


def _goes_last(live: Manifest, replaced: Container[Reference]) -> bool:
    return live["kind"] in _WORKLOADS or (live["kind"], live["metadata"]["name"]) in replaced


async def _create(kube: Kube, manifest: Manifest) -> str:
    await kube.create(manifest)
    return f"created {manifest['kind']} {manifest['metadata']['name']}"


async def _delete(kube: Kube, live: Manifest) -> str:
    await kube.delete(live)
    return f"deleted {live['kind']} {live['metadata']['name']}"


def _superfluous(
    owner: Owner, children: Children, kinds: Iterable[str], wanted: Container[Reference]
) -> Iterator[Manifest]:
    """Objects that were not rendered, that `owner` owns, and that are not being deleted already; kind by kind."""
    for kind in kinds:
        for reference, live in children.objects.items():
            if reference[0] != kind or reference in wanted or not is_owned(live, owner.uid):
                continue
            if live["metadata"].get("deletionTimestamp"):
                continue
            if kind == JOB and _has_pods(owner, live, wanted):  # its log can be read until Kubernetes deletes it
                continue
            yield live


def _has_pods(owner: Owner, job: Manifest, wanted: Container[Reference]) -> bool:
    """Whether the model that the Job prepares is served now, so that it has nothing more to do."""
    revision = job["metadata"]["labels"].get(names.LABEL_REVISION, "")
    return ("Deployment", names.workload(owner.name, revision)) in wanted


async def _create_or_change(kube: Kube, owner: Owner, live: Manifest | None, manifest: Manifest) -> str:
    """What was written; empty if `live` is already as it should be, or has another owner."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if live is None:
        return await _create(kube, manifest)
    adopts = is_orphan(live, owner.name)
    if not adopts and not is_owned(live, owner.uid):
        return ""
    if kind == JOB:
        return await _renewed(kube, live, manifest)
    if kind == "Deployment":  # pods that were proven are not replaced: only their number and the metadata change
        if await _scale(kube, live, manifest["spec"]["replicas"]):
            return f"scaled {name} to {manifest['spec']['replicas']}{_by_whom(live, manifest)}"
        manifest = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")}
    if gone := leftovers.of(live, manifest):
        await kube.remove(live, gone)
        return f"changed {kind} {name}: took out what is asked for no more"
    if is_as_asked(live, manifest):
        return ""
    if kind == "ConfigMap":
        # An apply deletes what it leaves out, and pods may still ask at the address of a former store.
        manifest = {**manifest, "data": {**(live.get("data") or {}), **manifest["data"]}}
    await _applied_over_status(kube, live, manifest)
    return f"{'adopted' if adopts else 'changed'} {kind} {name}{_by_whom(live, manifest)}"


async def _applied_over_status(kube: Kube, live: Manifest, manifest: Manifest) -> None:
    """Apply, if the object still is what was read. A gateway that has only written its status meanwhile is no race."""
    for tries_left in reversed(range(_TRIES)):
        version = live["metadata"]["resourceVersion"]
        try:
            await kube.apply({**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}})
            return
        except Conflict:
            fresh = await kube.get(manifest["kind"], live["metadata"]["namespace"], live["metadata"]["name"])
            if not tries_left or fresh is None or _content(fresh) != _content(live):
                raise
            live = fresh


def _content(live: Manifest) -> tuple[str, str]:
    """Another one when somebody has written more than the status. The API server counts that for some kinds only."""
    metadata = live["metadata"]
    return metadata["uid"], str(metadata.get("generation") or metadata["resourceVersion"])


async def _renewed(kube: Kube, live: Manifest, manifest: Manifest) -> str:
    """A Job cannot be changed. One of an earlier run, or without a result, is made anew; what was written."""
    failed = preparation.failure(live)
    of_this_run = live["metadata"]["labels"].get(names.LABEL_RUN) == manifest["metadata"]["labels"][names.LABEL_RUN]
    if of_this_run and not failed:
        return ""
    await kube.delete(live)
    await kube.create(manifest)
    return f"{ANEW} Job {manifest['metadata']['name']} ({failed or 'the last one was of an earlier run'})"


async def _scale(kube: Kube, live: Manifest, replicas: int) -> bool:
    """Whether the number of pods was written. More pods than are needed are left to whoever has scaled them up."""
    present = live["spec"].get("replicas", 1)
    if present == replicas or (present > replicas and editor_of(live, "spec", "replicas")):
        return False
    await kube.scale(live, replicas)
    return True


def _by_whom(live: Manifest, wanted: Manifest) -> str:
    writer = last_other(live, wanted)
    return f" (written by {writer.name})" if writer else ""
