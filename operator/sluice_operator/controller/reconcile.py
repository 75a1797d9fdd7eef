"""The whole story of a reconcile: observe, decide, persist, apply.

Status first: a crash must leave status ahead of the children, never the reverse.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from sluice_operator.api import status as statuses
from sluice_operator.api.status import Phase, Status
from sluice_operator.controller.apply import apply
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.events import Event, EventPublisher, transitions
from sluice_operator.controller.observe import Observer, Snapshot
from sluice_operator.kubernetes.port import Conflict, Kube, WriteRefused
from sluice_operator.manifests.render import render
from sluice_operator.mlflow.client import Registry
from sluice_operator.rollout.decide import decide

_log = logging.getLogger(__name__)
AT_ONCE = 0.05  # seconds; after a lost race, and after a decision that the next one builds on
_PROVING = 0.3  # seconds between two proofs of the same write, while it is new
_PROVING_NEW = timedelta(seconds=30)
_TROUBLED = 5.0  # seconds until writes that were refused, or lost many races, are tried again


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """Why the last writes were not all done. What is still written later is no drift."""

    lost_races: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one ModelDeployment a decision further. `evaluation_interval` is in seconds."""

    kube: Kube
    observer: Observer
    registry: Registry
    recorder: EventPublisher
    archive: Archive
    evaluation_interval: float
    unfinished: dict[tuple[str, str], _Unfinished] = field(default_factory=dict)

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns the seconds until the next look, or None if the object is gone."""
        key = namespace, name
        left = self.unfinished.pop(key, None)
        found = await self.observer.observe(namespace, name, left.refused if left else "")
        if found is None:
            self.archive.forget(namespace, name)
            return None
        before = found.observed.status
        if before.phase is Phase.STABLE:  # the next run may begin now, and only the last one is in status
            await self._record(found, before)
        after = decide(found.observed)
        try:
            if after != before:
                await self.kube.update_status({**found.body, "status": statuses.dump(after)})
        except Conflict:
            return AT_ONCE
        told = list(transitions(before, after))
        try:
            told += await self._apply(found, after, interrupted=left is not None)
        except Conflict as conflict:
            _log.debug("%s/%s moved since it was read: %s", namespace, name, conflict)
            races = left.lost_races + 1 if left else 1
            self.unfinished[key] = _Unfinished(lost_races=races)
            return min(_TROUBLED, AT_ONCE * races)
        except WriteRefused as refused:
            self.unfinished[key] = _Unfinished(refused=str(refused))
            return _TROUBLED
        finally:
            await self.recorder.post(found.body, iter(told))
        await self._move_alias(after)
        await self._record(found, after)
        return AT_ONCE if _moved(before, after) else self._pause(found, after)

    async def _apply(self, found: Snapshot, after: Status, *, interrupted: bool) -> list[Event]:
        """Make the cluster what status asks for. Where that is nothing new, what had to be written was drift."""
        rendered = render(found.owner, found.observed.spec, after)
        written = await apply(self.kube, found.owner, found.children, rendered)
        if not written:
            return []
        words = ", ".join(written)
        _log.info("%s/%s: %s", found.owner.namespace, found.owner.name, words)
        new_spec = found.observed.generation != found.observed.status.observed_generation
        if interrupted or new_spec or rendered != render(found.owner, found.observed.spec, found.observed.status):
            return []
        note = f"{words}: not as status asks for, after an edit from outside or an interruption"
        return [Event("DriftRepaired", note, warning=True)]

    async def _record(self, found: Snapshot, current: Status) -> None:
        await self.archive.keep(found.owner, current, found.observed.now)

    async def _move_alias(self, after: Status) -> None:
        alias = after.alias
        if alias is None or alias.done:
            return
        try:
            await self.registry.set_alias(alias.tracking_uri, alias.model, alias.name, alias.version)
        except httpx.HTTPError as error:
            _log.warning("alias %s of %s was not moved to %s yet: %s", alias.name, alias.model, alias.version, error)

    def _pause(self, found: Snapshot, after: Status) -> float:
        seen, weight = found.observed, after.weight
        if any(proof is not None and not proof.live for proof in (seen.weight, seen.swap)):
            written = weight.written_at if weight and weight.verified_at is None else after.phase_started_at
            return _PROVING if written and seen.now < written + _PROVING_NEW else self.evaluation_interval
        if after.phase is Phase.ROLLING_BACK:
            return _PROVING
        if after.phase not in (Phase.PENDING, Phase.STABLE):
            return self.evaluation_interval
        return min(seen.spec.model.poll_interval.total_seconds(), _until_next(after, seen.now))


def _moved(before: Status, after: Status) -> bool:
    """Whether the decision changed what the next one starts from."""
    return (before.phase, before.run, before.weight) != (after.phase, after.run, after.weight)


def _until_next(after: Status, now: datetime) -> float:
    """Seconds until pods retire, or the alias is looked at again."""
    waits = [(entry.until - now).total_seconds() for entry in after.retiring]
    if after.alias is not None and not after.alias.done:
        waits.append(_TROUBLED)
    return max(AT_ONCE, min(waits, default=float("inf")))
