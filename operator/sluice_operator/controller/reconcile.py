"""One reconcile of one ModelDeployment: observe, decide, write status, apply.

Status is written before the objects that follow from it. So after a crash status may be ahead of the objects, but never
behind them, and the next reconcile writes what is missing.
"""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from sluice_operator import logs
from sluice_operator.api import names
from sluice_operator.api import status as statuses
from sluice_operator.api.observation import NotAnswered, Observation
from sluice_operator.api.owner import Key
from sluice_operator.api.run import Phase
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import NO_DRIFT, apply
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.departure import take_traffic_back
from sluice_operator.controller.events import Event, EventPublisher, drift_repaired, status_adopted, transitions
from sluice_operator.controller.listeners import Listeners
from sluice_operator.controller.observation.observe import Observer, Snapshot
from sluice_operator.controller.scheduling.lanes import Lanes, is_rollout, moments
from sluice_operator.kubernetes.port import Conflict, Kube, WriteRefused
from sluice_operator.manifests.render import render
from sluice_operator.mlflow import uris
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.rollout.commands import waits
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import endpoints_to_keep
from sluice_operator.telemetry.stages import stage

_log = logging.getLogger(__name__)
AT_ONCE = 0.05  # seconds; after a lost race, and after a decision that the next one depends on
_PROBE_AGAIN = 0.3  # seconds between two attempts to prove the same write, while the write is new
_NEW_WRITE = timedelta(seconds=30)
ANSWER_COMES = 10.0  # seconds; the registry wakes the object earlier, with its answer or when it is silent
_RETRY = 5.0  # seconds; after writes that were refused or lost many races, and for an alias that is not moved yet


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """Why some of the last writes were not done. When they are done later, that is no drift."""

    lost_races: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Takes one decision about one ModelDeployment at a time, and carries it out. `evaluation_interval`: seconds."""

    kube: Kube
    observer: Observer
    registry: BackgroundRegistry
    publisher: EventPublisher
    archive: Archive
    evaluation_interval: float
    listeners: Listeners = field(default_factory=Listeners)
    lanes: Lanes = field(default_factory=Lanes)
    unfinished: dict[Key, _Unfinished] = field(default_factory=dict)
    versions: dict[Key, str] = field(default_factory=dict)  # of each object in a rollout, as it was known last

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns the seconds until the next reconcile, or None if the object is gone."""
        key = namespace, name
        unfinished = self.unfinished.pop(key, None)
        snapshot = await self.observer.observe(namespace, name, unfinished.refused if unfinished else "")
        if snapshot is None:
            self._forget(key)
            self.lanes.forget(key)
            return await self._let_go(namespace, name)
        seen = snapshot.observation
        _log_about(seen.status)
        self.lanes.see(key, seen.status.phase)
        if key not in self.lanes and waits_for_registry(seen):
            if unfinished is not None:
                self.unfinished[key] = unfinished
            return ANSWER_COMES
        if seen.status.phase is Phase.STABLE:  # a new run may begin now, and would replace the ended one in status
            await self._record(snapshot, seen.status)
        with stage("decide"):
            after = decide(seen)
        self.lanes.see(key, after.phase)
        if not await self._write_status(snapshot, after):
            return AT_ONCE
        if (again := await self._carry_out(snapshot, after, unfinished)) is not None:
            return again
        self._move_alias(key, seen.spec, after)
        await self._record(snapshot, after)
        return AT_ONCE if moved(seen.status, after) else self._pause(seen, after)

    def knows(self, key: Key, version: str) -> bool:
        """Whether an object in a rollout still has this version, as far as is known, and nothing is left to write."""
        return key in self.lanes and key not in self.unfinished and self.versions.get(key) == version

    async def refresh(self, snapshot: Snapshot, after: Status) -> float | None:
        """Write what was seen, where the decision `after` moves nothing. Returns the seconds until the next look.

        None if somebody else has written to the object since it was read.
        """
        before = snapshot.observation.status
        _log_about(before)
        if not await self._write_status(snapshot, after):
            return None
        await self.publisher.post(snapshot.body, transitions(before, after))
        return self._pause(snapshot.observation, after)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is known of an object that another operator has."""
        self.unfinished.pop((namespace, name), None)
        self.observer.forget(namespace, name)
        self._forget((namespace, name))

    def _forget(self, key: Key) -> None:
        self.versions.pop(key, None)
        self.archive.forget(*key)
        self.listeners.forget(*key)

    async def _let_go(self, namespace: str, name: str) -> float | None:
        """The object is gone, or only a finalizer still holds it."""
        body = await self.kube.get(names.KIND, namespace, name)
        if body is None:
            return None
        try:
            await take_traffic_back(self.kube, body, datetime.now(UTC))
        except Conflict:
            return AT_ONCE
        except WriteRefused as refused:
            _log.warning("%s/%s is being deleted, and weight 0 was refused: %s", namespace, name, refused)
            return _RETRY
        return None

    async def _record(self, snapshot: Snapshot, current: Status) -> None:
        with stage("record"):
            await self.archive.keep(snapshot.owner, current, snapshot.observation.now)

    async def _write_status(self, snapshot: Snapshot, after: Status) -> bool:
        """False if somebody else has written to the object since it was read."""
        before, now = snapshot.observation.status, snapshot.observation.now
        key, version = (snapshot.owner.namespace, snapshot.owner.name), snapshot.body["metadata"]["resourceVersion"]
        self.versions.pop(key, None)
        try:
            if after != before:
                with stage("status"):
                    version = await self.kube.update_status({**snapshot.body, "status": statuses.dump(after)})
        except Conflict:
            return False
        if key in self.lanes:
            self.versions[key] = version
        _log_about(after)
        self.listeners.saw(snapshot.owner, before, after, now)
        return True

    async def _carry_out(self, snapshot: Snapshot, after: Status, unfinished: _Unfinished | None) -> float | None:
        """Apply what the new status asks for, and tell. Seconds until it is tried again; None if all was written."""
        key = snapshot.owner.namespace, snapshot.owner.name
        events = list(transitions(snapshot.observation.status, after))
        if snapshot.adopted:
            events.append(status_adopted(snapshot.adopted, after))
        try:
            with stage("apply"):
                events += await self._apply(snapshot, after, interrupted=unfinished is not None)
        except Conflict as conflict:
            _log.debug("%s/%s moved since it was read: %s", *key, conflict)
            races = unfinished.lost_races + 1 if unfinished else 1
            self.unfinished[key] = _Unfinished(lost_races=races)
            return min(_RETRY, AT_ONCE * races)
        except WriteRefused as refused:
            self.unfinished[key] = _Unfinished(refused=str(refused))
            return _RETRY
        finally:
            await self.publisher.post(snapshot.body, iter(events))
        return None

    async def _apply(self, snapshot: Snapshot, after: Status, *, interrupted: bool) -> list[Event]:
        """Make the objects in the cluster what the new status asks for.

        Returns an event for drift: something had to be written although spec and status ask for nothing new.
        """
        owner, observation = snapshot.owner, snapshot.observation
        rendered = render(owner, observation.spec, after)
        keep = endpoints_to_keep(observation, after)
        written = await apply(self.kube, owner, snapshot.children, rendered, keep)
        if not written:
            return []
        changes = ", ".join(written)
        _log.info("%s/%s: %s", owner.namespace, owner.name, changes)
        new_spec = observation.generation != observation.status.observed_generation
        if interrupted or new_spec or rendered != render(owner, observation.spec, observation.status):
            return []
        drift = [change for change in written if not change.startswith(NO_DRIFT)]
        return [drift_repaired(", ".join(drift))] if drift else []

    def _move_alias(self, key: Key, wanted: Spec, after: Status) -> None:
        """Have the alias, or stage, of the last promotion name the promoted version. Tried until it is observed."""
        alias = after.alias
        if alias is None or alias.done:
            self.registry.leave_alias(key)
        else:
            via = Connection.to(alias.tracking_uri, key[0], wanted.model.registry)
            self.registry.move_alias(key, via, uris.of_alias(alias), alias.version)

    def _pause(self, observation: Observation, after: Status) -> float:
        """Seconds until the next reconcile, if no event comes earlier and the decision has changed nothing."""
        now, weight = observation.now, after.weight
        if any(proof is not None and not proof.live for proof in (observation.weight, observation.swap)):
            written = weight.written_at if weight and weight.verified_at is None else after.phase_started_at
            return _PROBE_AGAIN if written and now < written + _NEW_WRITE else self.evaluation_interval
        if after.phase is Phase.ROLLING_BACK:
            return _PROBE_AGAIN
        if is_rollout(after.phase):
            return self.evaluation_interval
        asked_again = after.alias is not None and not after.alias.done and not observation.alias_trouble
        return min(observation.spec.model.poll_interval.total_seconds(), _until_next(after, now, asked_again))


def waits_for_registry(seen: Observation) -> bool:
    """Whether a look at an object at rest can be later, when the registry has answered. A command does not wait."""
    return isinstance(seen.resolution, NotAnswered) and not waits(seen.command, seen.status)


def _log_about(current: Status) -> None:
    """Lines of the log have the run from now on, and the revision that it is about."""
    newest = current.canary or current.stable
    logs.about_run(current.run.id if current.run else "", newest.revision if newest else "")


def moved(before: Status, after: Status) -> bool:
    """Whether the decision changed the state that the next decision starts from, and not only noted the look."""
    earlier, later = (status.run and replace(status.run, looked_at=None) for status in (before, after))
    state = before.phase, earlier, before.weight, before.last_command
    return state != (after.phase, later, after.weight, after.last_command)


def _until_next(after: Status, now: datetime, asked_again: bool) -> float:
    """Seconds until something of its own is due, or until the alias is read again, if nobody tells of it."""
    waits = [(moment - now).total_seconds() for moment in moments(after, now)]
    if asked_again:
        waits.append(_RETRY)
    return max(AT_ONCE, min(waits, default=float("inf")))
