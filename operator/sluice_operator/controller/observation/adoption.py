"""What to follow if the status of a ModelDeployment is lost, or was written by somebody with another idea of it.

Service NAME says in an annotation which revision is stable, and the revision's Deployment has its settings in another
one. Whatever else was going on begins again, and nothing that was asked for before is asked for again. The pods of the
other revisions stay for now, and run records say which of them served, and which were rejected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec.structs import replace

from sluice_operator.api import names, spec
from sluice_operator.api import status as statuses
from sluice_operator.api.command import asked
from sluice_operator.api.owner import Manifest, Owner, Reference, is_or_becomes_owned
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Answer, Phase, TakenCommand
from sluice_operator.api.status import Rejection, Retiring, Status, UnreadableStatusError
from sluice_operator.controller.observation.remembered import of_records
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.children import Budgets, Children
from sluice_operator.kubernetes.port import Reads
from sluice_operator.rollout import rejections
from sluice_operator.rollout.transitions import FORMER_KEPT, RETIRING_KEPT
from sluice_operator.routing.router import router_for

_WAY_OUT = (
    "write the status again from a backup (kubectl replace --subresource=status); do not delete the object, because "
    "what serves would go with it"
)


class StatusLostError(Exception):
    """The status cannot be followed, and the cluster does not show enough to make another one."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The status to follow, the objects that it was read with, and why it is not the one that was written."""

    status: Status
    children: Children
    adopted: str = ""


async def read(
    reads: Reads, owner: Owner, body: Manifest, routes: Iterable[Reference], budgets: Budgets, now: datetime
) -> Followed:
    """The status of the object `body`, or one made from what the cluster shows.

    `routes`: objects that the router of the spec may write; that of the granted route may be another one. Raises
    StatusLostError.
    """
    raw, why = body.get("status"), ""
    try:
        current = statuses.parse(raw)
    except UnreadableStatusError as error:
        current, why = statuses.kept(raw), str(error)
    granted = router_for(current.route.traffic).objects(owner.name) if current.route else ()
    objects = await children.read(reads, owner, current, dict.fromkeys((*routes, *granted)), budgets)
    if current.phase is not Phase.PENDING:
        return Followed(current, objects)
    if not (deployments := _deployments(owner, objects)):  # nothing serves yet: there is nothing to lose
        return Followed(current, objects, why)
    current = _with_what_is_old(current, body, now)
    remembered = of_records(await _records(reads, owner), asked(body))
    current = replace(current, rejected=current.rejected or remembered.rejected)
    selected = objects.selected(owner)
    if selected != names.NO_REVISION:  # else a first revision that no caller may reach: it begins again
        stable = _stable(deployments, (objects.stable(owner), selected), current.rejected)
        current = adopted(current, why, deployments.pop(stable), now)
        rollout = spec.parse(body["spec"]).rollout
        stay_until = now + max(rollout.scale_down_delay, rollout.progress_deadline)
        current = _with_the_others(current, _younger_last(deployments, selected), remembered.served, stay_until)
    return Followed(current, objects, why or "the status was lost")


async def _records(reads: Reads, owner: Owner) -> list[Manifest]:
    labels = {names.LABEL_OWNER: owner.name, names.LABEL_RECORD: names.RUN_RECORD}
    found = await reads.find("ConfigMap", owner.namespace, labels)
    return [record for record in found if is_or_becomes_owned(record, owner)]


def _with_what_is_old(current: Status, body: Manifest, now: datetime) -> Status:
    """What the object asked for before its status was lost, and is not carried out again: a token, and a command."""
    token, command = current.retry_token or spec.parse(body["spec"]).rollout.retry_token, current.last_command
    if command is None and (given := asked(body)) is not None:
        message = "the status of this object was lost after it was given: ask again"
        command = TakenCommand(given.id, given.by, now, Answer.REFUSED, message)
    return replace(current, retry_token=token, last_command=command)


def _deployments(owner: Owner, children: Children) -> dict[str, Manifest]:
    """The Deployments of the object that are to stay, by revision."""
    return {
        manifest["metadata"]["labels"].get(names.LABEL_REVISION, ""): manifest
        for (kind, _), manifest in children.objects.items()
        if kind == "Deployment"
        and is_or_becomes_owned(manifest, owner)
        and not manifest["metadata"].get("deletionTimestamp")
    }


def _stable(deployments: Mapping[str, Manifest], named: Iterable[str], rejected: Iterable[Rejection]) -> str:
    """The first revision of `named` that is there. Without that, the largest one that was not rejected, and the oldest.

    A canary is not larger than stable before it takes over, and it is younger.
    """
    if there := next((revision for revision in named if revision in deployments), None):
        return there
    out = {entry.revision for entry in rejected}
    accepted = [revision for revision in deployments if revision not in out]

    def order(revision: str) -> tuple[int, str]:
        return -_replicas(deployments[revision]), _created(deployments[revision])

    return min(accepted or deployments, key=order)


def _younger_last(deployments: Mapping[str, Manifest], selected: str) -> list[Manifest]:
    """In the order in which they should leave: what answers callers is the last."""
    order = sorted(deployments, key=lambda revision: (revision == selected, _created(deployments[revision])))
    return [deployments[revision] for revision in order]


def _replicas(deployment: Manifest) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _created(deployment: Manifest) -> str:
    return str(deployment["metadata"].get("creationTimestamp", ""))


def adopted(kept: Status, why: str, deployment: Manifest, now: datetime) -> Status:
    """A status in which the revision of `deployment` is stable, with what could be kept of the last one.

    `why`: what is wrong with the last status. Raises StatusLostError.
    """
    revision = _settings(deployment)
    if revision is None:
        named = deployment["metadata"]["name"]
        raise StatusLostError(
            f"{why or 'the status is empty'}, and Deployment {named}, which is stable, lacks the annotation "
            f"{names.ANNOTATION_REVISION} to make it from; nothing is changed: {_WAY_OUT}"
        )
    return replace(kept, phase=Phase.STABLE, phase_started_at=now, stable=revision)


def _with_the_others(
    status: Status, deployments: Iterable[Manifest], served: Iterable[str], stay_until: datetime
) -> Status:
    """The pods of other revisions stay for now: they may answer callers, or be what an undo is to bring back."""
    retiring = tuple(
        Retiring(revision, _replicas(deployment), stay_until)
        for deployment in deployments
        if (revision := _settings(deployment)) is not None
    )
    there = {entry.revision.revision: entry.revision for entry in retiring}
    rejected = rejections.without(status.rejected, status.stable)
    out = {entry.revision for entry in rejected} | {status.stable.revision if status.stable else ""}
    known = {revision: there[revision] for revision in served if revision in there}
    known |= {former.revision: former for former in status.former}
    return replace(
        status,
        rejected=rejected,
        retiring=retiring[-RETIRING_KEPT:],
        former=tuple(former for name, former in known.items() if name not in out)[:FORMER_KEPT],
    )


def _settings(deployment: Manifest) -> Revision | None:
    """The frozen settings of the revision that the Deployment is of, if it has them."""
    try:
        return msgspec.json.decode(deployment["metadata"]["annotations"][names.ANNOTATION_REVISION], type=Revision)
    except (KeyError, TypeError, msgspec.MsgspecError):
        return None
