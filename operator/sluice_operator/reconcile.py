"""The whole story of a reconcile: observe, decide, persist, apply.

Status first: a crash must leave status ahead of the children, never the reverse.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from sluice_operator import status as statuses
from sluice_operator.apply import apply
from sluice_operator.decide import decide
from sluice_operator.kube import Conflict, Kube
from sluice_operator.observe import Found, Observer
from sluice_operator.recorder import Event, Recorder, transitions
from sluice_operator.registry import Registry
from sluice_operator.render import render
from sluice_operator.status import Phase, Status

_log = logging.getLogger(__name__)
AT_ONCE = 0.05  # seconds; after a lost race, and after a decision that the next one builds on
_PROVING = 0.3  # seconds between two proofs of the same write


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings one ModelDeployment a decision further. `evaluation_interval` is in seconds."""

    kube: Kube
    observer: Observer
    registry: Registry
    recorder: Recorder
    evaluation_interval: float
    unfinished: set[tuple[str, str]] = field(default_factory=set)  # lost a race: what they still write is no drift

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns the seconds until the next look, or None if the object is gone."""
        found = await self.observer.observe(namespace, name)
        if found is None:
            return None
        before, after = found.observed.status, decide(found.observed)
        try:
            if after != before:
                await self._persist(found, after)
            rendered = render(found.owner, found.observed.spec, after)
            written = await apply(self.kube, found.owner, found.children, rendered)
        except Conflict as conflict:
            _log.debug("%s/%s moved since it was read: %s", namespace, name, conflict)
            self.unfinished.add((namespace, name))
            return AT_ONCE
        decided = after != before or (namespace, name) in self.unfinished
        self.unfinished.discard((namespace, name))
        await self._tell(found, written, decided=decided)
        await self._move_alias(found, after)
        return AT_ONCE if _moved(before, after) else self._pause(found, after)

    async def _persist(self, found: Found, after: Status) -> None:
        await self.kube.update_status({**found.body, "status": statuses.dump(after)})
        await self.recorder.post(found.body, transitions(found.observed.status, after))

    async def _tell(self, found: Found, written: list[str], *, decided: bool) -> None:
        if not written:
            return
        words = ", ".join(written)
        _log.info("%s/%s: %s", found.owner.namespace, found.owner.name, words)
        if not decided:  # nothing new was wanted, so something was not as it had been left
            note = f"{words}: not as status asks for, after an edit from outside or an interruption"
            await self.recorder.post(found.body, iter([Event("DriftRepaired", note, warning=True)]))

    async def _move_alias(self, found: Found, after: Status) -> None:
        alias, uri = after.alias, found.observed.spec.model.registry.tracking_uri
        if alias is None or alias.done:
            return
        try:
            await self.registry.set_alias(uri, alias.model, alias.name, alias.version)
        except httpx.HTTPError as error:
            _log.warning("alias %s of %s was not moved to %s yet: %s", alias.name, alias.model, alias.version, error)

    def _pause(self, found: Found, after: Status) -> float:
        weight, swap = found.observed.weight, found.observed.swap
        unproven = any(proof is not None and not proof.live for proof in (weight, swap))
        if unproven or after.phase is Phase.ROLLING_BACK:
            return _PROVING
        if after.phase not in (Phase.PENDING, Phase.STABLE):
            return self.evaluation_interval
        return min(found.observed.spec.model.poll_interval.total_seconds(), _until_next(after, found.observed.now))


def _moved(before: Status, after: Status) -> bool:
    """Whether the decision changed what the next one starts from."""
    return (before.phase, before.run, before.weight) != (after.phase, after.run, after.weight)


def _until_next(after: Status, now: datetime) -> float:
    """Seconds until pods retire, or the alias is looked at again."""
    waits = [(entry.until - now).total_seconds() for entry in after.retiring]
    if after.alias is not None and not after.alias.done:
        waits.append(1.0)
    return max(AT_ONCE, min(waits, default=float("inf")))
