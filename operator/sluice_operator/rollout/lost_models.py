"""A model that the store has lost is prepared again, so that a revision without pods does not wait for a person. Pure.

A revision never has two contents. If the Job makes another one than its pods asked for (a tag may name another image by
now), its Deployment goes first, and the new digest is pinned when no pod of the old one is left.
"""

from dataclasses import replace as replace_seen
from datetime import timedelta

from msgspec.structs import replace

from sluice_operator.api.observation import NO_DEPLOYMENT, Observation, Workload
from sluice_operator.api.revision import Lost, Revision
from sluice_operator.api.status import Status

_REASONS = ("NotInStore", "StoreContentDamaged")
_NEXT_TRY = timedelta(minutes=10)  # within which each pod has asked the store again: a kubelet pauses for 5 at most


def noted(seen: Observation, status: Status) -> Status:
    """`status` with what is known of lost models. Whoever serves, or may serve again, is treated alike."""

    def of(revision: Revision | None) -> Revision | None:
        return None if revision is None else _noted(seen, revision, seen.workload(revision))

    return replace(status, stable=of(status.stable), canary=of(status.canary), previous=of(status.previous))


def _noted(seen: Observation, revision: Revision, pods: Workload) -> Revision:
    lost = revision.lost
    if lost is None:
        is_pinned = revision.from_store and revision.model.digest and seen.defaults.from_store
        is_lost = is_pinned and pods.unavailable in _REASONS and not _have_it(pods)
        return replace(revision, lost=Lost(seen.now)) if is_lost else revision
    if lost.digest:
        return _with_new_content(revision, lost, pods)
    if _have_it(pods) or not seen.defaults.from_store:
        return replace(revision, lost=None)
    if lost.prepared_at is not None:  # lost once more, if they still do not find it
        return replace(revision, lost=None) if seen.now - lost.prepared_at > _NEXT_TRY else revision
    if pods.again is None or not pods.again.digest:
        return revision
    prepared = replace(lost, prepared_at=seen.now)
    if pods.again.digest == revision.model.digest:
        return replace(revision, lost=prepared)
    unpinned = replace(revision.model, digest="", runtime=pods.again.runtime)
    return replace(revision, model=unpinned, lost=replace(prepared, digest=pods.again.digest))


def _with_new_content(revision: Revision, lost: Lost, pods: Workload) -> Revision:
    """Its old pods are on their way out, and its new ones come after them."""
    if pods.from_store and _have_it(pods):  # the store had it all the same, and they were faster
        return replace(revision, model=replace(revision.model, digest=pods.digest, runtime=pods.runtime), lost=None)
    if pods.from_store is not None or pods.pods > 0 or pods.leaving > 0:
        return revision
    return replace(revision, model=replace(revision.model, digest=lost.digest), lost=replace(lost, digest=""))


def _have_it(pods: Workload) -> bool:
    """Whether a pod can give it. One that is being deleted, perhaps on a node that is gone, does not count."""
    return pods.ready > 0 or pods.with_model > 0


def told(revision: Revision, pods: Workload | None, job: Workload | None) -> Workload:
    """The pods of a revision whose model is lost, with the Job that prepares it again, and with words for people."""
    pods, lost = pods or NO_DEPLOYMENT, revision.lost
    if lost is None or _have_it(pods):
        return replace_seen(pods, again=job)
    why = _waits_for(job) if job is not None else ""
    if lost.digest:
        words = f"{revision.model.uri} was prepared again with another content, and its pods are made anew with that"
    elif lost.prepared_at is not None:
        words = f"the store had lost {revision.model.uri} and has it again; pods fetch it with their next try"
    else:
        words = f"the store has lost {revision.model.uri}; it is prepared again from MLflow{f': {why}' if why else ''}"
    return replace_seen(pods, again=job, trouble=words)


def _waits_for(job: Workload) -> str:
    if job.refusal is not None:
        return job.refusal.message
    return job.trouble or (job.obstacle.message if job.obstacle else "") or job.under_way
