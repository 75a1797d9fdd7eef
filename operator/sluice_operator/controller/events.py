"""Kubernetes Events: one for each transition, with the same sentence as the condition.

`transitions` is pure: it compares two statuses. `EventPublisher` posts the events. kopf's own events cannot be used,
because they work only inside its handlers.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Answer, Outcome, Phase, TakenCommand
from sluice_operator.api.status import Condition, Status
from sluice_operator.controller.event_limit import EventLimit
from sluice_operator.kubernetes.port import Kube
from sluice_operator.rollout import pauses

_log = logging.getLogger(__name__)
_HOST_TROUBLE = ("HostAnsweredByAnother", "HostNotAnswered", "GatewayUnreachable")  # at rest, when no run tells it
_NOTE_LIMIT = 1024  # characters that the API accepts


@dataclass(frozen=True, slots=True)
class Event:
    """`reason` for machines, `note` as a sentence for people."""

    reason: str
    note: str
    warning: bool = False


def transitions(before: Status, after: Status) -> Iterator[Event]:
    """The events for what has changed between two statuses of one object."""
    run = after.run
    if after.phase is not before.phase and run is not None:
        canary = after.canary.model.uri if after.canary else ""
        match after.phase:
            case Phase.INITIALIZING | Phase.STARTING:
                yield Event("CanaryStarted", f"{canary} starts as revision {after.canary and after.canary.revision}")
            case Phase.PROMOTING if run.at_once:
                yield Event("TakesOver", f"{canary} answers and takes over")
            case Phase.PROMOTING:
                yield Event("StepsPassed", f"{canary} passed its last step and takes over")
            case Phase.FAILOVER:
                stable = after.stable.model.uri if after.stable else ""
                yield Event("Failover", f"{stable} has no ready pods: {canary} takes all requests", warning=True)
            case Phase.WATCHING:
                stable = after.stable.model.uri if after.stable else ""
                yield Event("RolesSwapped", f"{stable} serves all traffic and is watched")
            case Phase.ROLLING_BACK:
                yield Event("RollingBack", f"{run.reason}: {run.message}", warning=run.outcome is Outcome.REJECTED)
            case Phase.STABLE:
                yield _ended(after)
            case _:
                pass
    if after.weight and before.weight and after.weight.verified_at and not before.weight.verified_at:
        yield Event("WeightProven", f"weight {after.weight.live} is live")
    yield from _route_edited(before, after)
    if after.last_command is not None and after.last_command != before.last_command:
        yield _answered(after.last_command)
    if after.stable and after.stable.edited_by and not (before.stable and before.stable.edited_by):
        edited = f"{after.stable.edited_by} has edited the pod template of revision {after.stable.revision}"
        yield Event("TemplateEdited", f"{edited}: its pods are no longer those that were judged", warning=True)
    yield from _paused(before, after)
    yield from _conditions_changed(before, after)


def _paused(before: Status, after: Status) -> Iterator[Event]:
    """Somebody has to know that a rollout waits, and that it goes on."""
    if paused := _changed_to(before, after, "Paused", "True"):
        yield Event(paused.reason, paused.message, warning=paused.reason in (pauses.BY_OBJECTIVE, pauses.STATUS_LOST))
    was, run = before.run, after.run
    if was is not None and run is not None and was.id == run.id and was.pause and not run.pause and not run.outcome:
        yield Event("RunResumed", f"the run goes on: {after.message}")


def _route_edited(before: Status, after: Status) -> Iterator[Event]:
    """One event for each writer of the route that has written again."""
    if after.run is None:
        return
    same_run = before.run is not None and before.run.id == after.run.id
    known = {writer.manager: writer.edits for writer in before.run.route_writers} if before.run and same_run else {}
    for writer in after.run.route_writers:
        if writer.edits != known.get(writer.manager):
            by = f"edited by {writer.manager}" if writer.manager else "deleted, or edited by somebody who left no name"
            edited = f"{writer.what} was {by} (edit {writer.edits} in this run)"
            yield Event("DriftRepaired", f"{edited}: written again as status asks for, to be proven anew", warning=True)


def drift_repaired(changes: str) -> Event:
    """For writes that no new decision asked for. `changes`: what was written."""
    note = f"{changes}: not as status asks for, after an edit from outside or an interruption"
    return Event("DriftRepaired", note, warning=True)


def _answered(taken: TakenCommand) -> Event:
    refused = taken.answer is Answer.REFUSED
    note = f"{taken.id} by {taken.by or 'somebody'}: {taken.message}"
    return Event("CommandRefused" if refused else "CommandAccepted", note, warning=refused)


def status_adopted(why: str, after: Status) -> Event:
    """For a status that was made from what the cluster shows. `why`: what was wrong with the one before."""
    stays = f"{after.stable.model.uri} stays stable" if after.stable else "nothing serves yet"
    return Event("StatusAdopted", f"{why}: {stays}, and whatever else was going on begins again", warning=True)


def _ended(after: Status) -> Event:
    run = after.run
    assert run is not None
    if run.outcome is Outcome.PROMOTED:
        return Event("Promoted", f"{after.stable.model.uri if after.stable else ''} is stable")
    if run.outcome is Outcome.REJECTED:
        return Event("RolledBack", f"{run.reason}: {run.message}", warning=True)
    return Event(str(run.outcome), run.message, warning=run.outcome is Outcome.ABANDONED)


def _conditions_changed(before: Status, after: Status) -> Iterator[Event]:
    if stalled := _changed_to(before, after, "Stalled", "True"):
        yield Event(stalled.reason, stalled.message, warning=True)
    if rival := _changed_to(before, after, "OperatorConflict", "True"):
        yield Event(rival.reason, rival.message, warning=True)
    for kind, reason in (("RegistryReachable", "RegistryUnreachable"), ("MetricsAvailable", "MetricsLost")):
        if lost := _changed_to(before, after, kind, "False"):
            yield Event(reason, lost.message, warning=True)
    if (traffic := _changed_to(before, after, "TrafficVerified", "False")) and traffic.reason in _HOST_TROUBLE:
        yield Event(traffic.reason, traffic.message, warning=True)


def _changed_to(before: Status, after: Status, kind: str, value: str) -> Condition | None:
    """The condition of this type in `after`, if it has this status and had another status or reason before."""
    old, new = _condition(before, kind), _condition(after, kind)
    if new is None or new.status != value:
        return None
    return new if old is None or (old.status, old.reason) != (new.status, new.reason) else None


def _condition(status: Status, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)


class EventPublisher:
    """Posts events about ModelDeployments. An event that cannot be posted is logged, and nothing else happens."""

    def __init__(self, kube: Kube, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._instance = instance
        self._limit = EventLimit(clock)

    async def post(self, body: Manifest, events: Iterator[Event]) -> None:
        """Post `events` about the object with the manifest `body`."""
        for event in events:
            kind = body["metadata"]["uid"], event.reason
            if not self._limit.allows(kind):
                continue
            left_out = self._limit.left_out(kind)
            _log.info("%s/%s %s: %s", body["metadata"]["namespace"], body["metadata"]["name"], event.reason, event.note)
            try:
                await self._kube.create(self._manifest(body, event, left_out))
            except Exception as error:
                _log.warning("event %s was not posted: %s", event.reason, error)

    def _manifest(self, body: Manifest, event: Event, left_out: int) -> Manifest:
        metadata = body["metadata"]
        more = f" (and {left_out} more like this before)" if left_out else ""
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{uuid4().hex[:16]}", "namespace": metadata["namespace"]},
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self._instance,
            "action": event.reason,
            "reason": event.reason,
            "note": event.note[: _NOTE_LIMIT - len(more)] + more,
            "type": "Warning" if event.warning else "Normal",
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }
