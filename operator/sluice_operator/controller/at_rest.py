"""A first look at an object at rest, from the caches: mostly there is nothing to do, and nobody is asked.

The caches may only say that. As soon as something would be written, or a rollout begins, the whole reconcile follows,
which reads everything from the API server. So a cache that is behind costs a moment, and never a wrong write.
"""

import random
from dataclasses import dataclass

from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Key
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import is_applied
from sluice_operator.controller.archive import Archive
from sluice_operator.controller.listeners import Listeners
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.controller.reconcile import ANSWER_COMES, waits_for_registry
from sluice_operator.controller.scheduling.lanes import Lanes, is_rollout, moments
from sluice_operator.controller.scheduling.workqueue import Work
from sluice_operator.kubernetes.cache import Cache
from sluice_operator.rollout.decide import decide

_LOOK_AGAIN = 3600.0  # seconds, if nothing happens: changes wake the object, and this is for those that got lost
_JITTER = 0.25  # so that objects that were created together are not looked at together
_SOON = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class AtRest:
    """`work` of the queue, for the objects that are not at rest."""

    work: Work
    observer: Observer
    cache: Cache
    lanes: Lanes
    archive: Archive
    listeners: Listeners
    chance: random.Random

    async def __call__(self, namespace: str, name: str) -> float | None:
        key = namespace, name
        pause = None if key in self.lanes else await self._pause(key)
        if pause is not None:
            return pause
        again = await self.work(namespace, name)
        if again is None:
            self.cache.forget(key)
        return again

    async def _pause(self, key: Key) -> float | None:
        """Seconds until the next look, or None if there is something to do, or the object is not there."""
        snapshot = await self.observer.observe_in(self.cache, *key)
        if snapshot is None or is_rollout(snapshot.observation.status.phase):
            return None
        seen = snapshot.observation
        if waits_for_registry(seen):
            return ANSWER_COMES
        if (
            not _is_settled(seen)
            or decide(seen) != seen.status
            or not await is_applied(self.cache, snapshot, seen.status)
        ):
            return None
        await self.archive.keep(snapshot.owner, seen.status, seen.now)
        self.listeners.saw(snapshot.owner, seen.status, seen.status, seen.now)
        return self._until_next(seen)

    def _until_next(self, seen: Observation) -> float:
        waits = [(moment - seen.now).total_seconds() for moment in moments(seen.status, seen.now)]
        if _is_stalled(seen.status):  # by something that may end without an event, such as a name that is taken
            waits.append(seen.spec.model.poll_interval.total_seconds())
        jittered = _LOOK_AGAIN * self.chance.uniform(1 - _JITTER, 1 + _JITTER)
        return max(_SOON, min([jittered, *waits]))


def _is_stalled(current: Status) -> bool:
    return any(condition.type == "Stalled" and condition.status == "True" for condition in current.conditions)


def _is_settled(seen: Observation) -> bool:
    """Whether the alias of the last promotion points where it should, or it is known why not, and tried again."""
    alias = seen.status.alias
    return alias is None or alias.done or bool(seen.alias_trouble)
