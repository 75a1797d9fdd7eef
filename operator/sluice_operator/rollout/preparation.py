"""Where the pods of a revision get its model from, and when a Job prepares it for them. Pure."""

from collections.abc import Mapping

from msgspec.structs import replace

from sluice_operator.api.observation import Defaults, Workload
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import BEFORE_TRAFFIC, Outcome, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout import lost_models
from sluice_operator.rollout.rejections import is_for_answers


def as_made(revision: Revision, pods: Workload) -> Revision:
    """`revision` with what its pods have shown of the model.

    A Deployment is never written anew. So where one exists, it says where its pods get the model, whatever the setting
    was when the status was written. Not so while it is on its way out, for another content of the same model.
    """
    if revision.lost is not None and revision.lost.digest:
        return revision
    model = revision.model
    runtime = model.runtime or pods.runtime
    if pods.from_store:
        return replace(revision, from_store=True, model=replace(model, digest=pods.digest, runtime=runtime))
    from_store = revision.from_store and pods.from_store is None
    known = replace(model, digest=model.digest or pods.digest, runtime=runtime)
    return replace(revision, from_store=from_store, model=known)


def returning(revision: Revision, pods: Workload, defaults: Defaults) -> Revision:
    """`revision`, which was prepared before, as an undo brings it back.

    Without pods it is made as each new revision is: from the registry, where the store was switched off meanwhile.
    """
    if defaults.from_store or not revision.from_store or pods.from_store is not None:
        return revision
    return replace(revision, from_store=False, model=replace(revision.model, digest=""))


def being_prepared(status: Status) -> tuple[Revision, Run] | None:
    """The canary whose model a Job prepares, and its run; None if there is nothing to prepare, or it was refused."""
    canary, run = status.canary, status.run
    if canary is None or run is None or canary.is_prepared or canary.lost or status.phase not in BEFORE_TRAFFIC:
        return None
    refused = run.outcome is Outcome.REJECTED and is_for_answers(run.reason)
    return None if refused else (canary, run)


def jobs(status: Status) -> list[tuple[Revision, str]]:
    """The revisions whose models are prepared by a Job now, with the name that each of these Jobs is labelled with.

    It is that of the run for the first time, and another one whenever the store has lost the model.
    """
    first = being_prepared(status)
    again = [
        (role, f"again-{role.revision}-{int(role.lost.since.timestamp())}")
        for role in _lost(status)
        if role.lost is not None and role.lost.prepared_at is None
    ]
    return [*([(first[0], first[1].id)] if first else []), *again]


def workloads(status: Status, made: Mapping[str, Workload], prepared: Mapping[str, Workload]) -> dict[str, Workload]:
    """What is known of each revision: by its Deployment and pods (`made`), or by the Job that prepares it (`prepared`).

    A revision that has yet to be prepared has no pods of its own. Those that a deleted Deployment left behind may
    answer for a while, but nobody makes them anew: they neither take over requests nor hide what the Job reports.
    """
    lost = {role.revision: role for role in _lost(status)}
    roles = (status.canary, *(entry.revision for entry in status.retiring))
    unprepared = {role.revision for role in roles if role is not None and not role.is_prepared} - set(lost)
    without = {name for name in unprepared if made.get(name, Workload()).from_store is None}
    kept = {name: workload for name, workload in made.items() if name not in without}
    again = {name: lost_models.told(role, made.get(name), prepared.get(name)) for name, role in lost.items()}
    return {**prepared, **kept, **again}


def _lost(status: Status) -> list[Revision]:
    """The revisions whose models the store has lost, each once."""
    roles = (status.stable, status.canary, status.previous)
    return list({role.revision: role for role in roles if role is not None and role.lost is not None}.values())
