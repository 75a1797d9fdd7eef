"""What to follow if the status of a ModelDeployment is lost, or was written by somebody with another idea of it.

The cluster shows what serves: Service NAME selects a revision, and the revision's Deployment has its settings in an
annotation. That revision is stable. Whatever else was going on begins again, and nothing that was asked for before is
asked for again.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec.structs import replace

from sluice_operator.api import names, spec
from sluice_operator.api import status as statuses
from sluice_operator.api.command import asked
from sluice_operator.api.owner import Manifest, Owner, Reference, is_or_becomes_owned
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Answer, Outcome, Phase, TakenCommand
from sluice_operator.api.status import Rejection, Status, UnreadableStatusError
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.port import Reads

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


async def read(reads: Reads, owner: Owner, body: Manifest, routes: Iterable[Reference], now: datetime) -> Followed:
    """The status of the object `body`, or one made from what serves. `routes`: objects that its router may write.

    Raises StatusLostError.
    """
    raw, why = body.get("status"), ""
    try:
        current = statuses.parse(raw)
    except UnreadableStatusError as error:
        current, why = statuses.kept(raw), str(error)
    objects = await children.read(reads, owner.namespace, owner.name, owner.uid, current, routes)
    if current.phase is not Phase.PENDING:
        return Followed(current, objects)
    if not (deployments := _deployments(owner, objects)):  # nothing serves yet: there is nothing to lose
        return Followed(current, objects, why)
    labels = {names.LABEL_OWNER: owner.name, names.LABEL_RECORD: names.RUN_RECORD}
    records = await reads.find("ConfigMap", owner.namespace, labels)
    rejected = current.rejected or tuple(
        _rejections(record for record in records if is_or_becomes_owned(record, owner))
    )
    current = replace(_with_what_is_old(current, body, now), rejected=rejected)
    if objects.selected(owner) == names.NO_REVISION:  # a first revision that no caller may reach: it begins again
        return Followed(current, objects, why or "the status was lost")
    serving = _serving(deployments, objects.selected(owner), {entry.revision for entry in rejected})
    return Followed(adopted(current, why, serving, now), objects, why or "the status was lost")


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


def _serving(deployments: Mapping[str, Manifest], selected: str, rejected: Container[str]) -> Manifest:
    """The one that Service NAME selects. Without that, the largest one that was not rejected, and the oldest.

    A canary is not larger than stable before it takes over, and it is younger.
    """
    if selected in deployments:
        return deployments[selected]
    accepted = [manifest for revision, manifest in deployments.items() if revision not in rejected]

    def order(manifest: Manifest) -> tuple[int, str]:
        return -int(manifest["spec"].get("replicas", 1)), str(manifest["metadata"].get("creationTimestamp", ""))

    return min(accepted or deployments.values(), key=order)


def adopted(kept: Status, why: str, deployment: Manifest, now: datetime) -> Status:
    """A status in which the revision of `deployment` is stable, with what could be kept of the last one.

    `why`: what is wrong with the last status. Raises StatusLostError.
    """
    try:
        settings = deployment["metadata"]["annotations"][names.ANNOTATION_REVISION]
        revision = msgspec.json.decode(settings, type=Revision)
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        serves = deployment["metadata"]["name"]
        raise StatusLostError(
            f"{why or 'the status is empty'}, and Deployment {serves}, which serves, lacks the annotation "
            f"{names.ANNOTATION_REVISION} to make it from; nothing is changed: {_WAY_OUT}"
        ) from error
    return replace(kept, phase=Phase.STABLE, phase_started_at=now, stable=revision)


def _rejections(records: Iterable[Manifest]) -> Iterable[Rejection]:
    """One for each revision that a run ended with a rejection of, the newest first."""
    known = set[str]()
    rejected = [record for record in records if record["data"]["outcome"] == Outcome.REJECTED]
    for record in sorted(rejected, key=lambda record: str(record["data"]["endedAt"]), reverse=True):
        data, owner = record["data"], record["metadata"]["labels"][names.LABEL_OWNER]
        run = record["metadata"]["name"].removeprefix(names.run_record(owner, ""))
        revision, ended_at = run.partition("-")[0], datetime.fromisoformat(data["endedAt"])
        if revision not in known:
            known.add(revision)
            yield Rejection(revision, data["model"], data["reason"], data["message"], ended_at)
