"""A first look at a run that is judged, from the caches: mostly only its verdict is new, and little is read for that.

Only what was seen is written then. A decision that moves anything is taken from what the API server says itself, in the
whole reconcile that follows. A cache that is behind this operator's own last write is not looked at.
"""

from dataclasses import dataclass

from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Key
from sluice_operator.api.run import Phase
from sluice_operator.controller.apply import is_applied
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.controller.reconcile import Reconciler, moved
from sluice_operator.kubernetes.cache import Cache, Recent
from sluice_operator.rollout.commands import waits
from sluice_operator.rollout.decide import decide
from sluice_operator.telemetry.stages import stage


@dataclass(frozen=True, slots=True)
class Judged:
    """The work on an object, for the queue."""

    reconciler: Reconciler
    observer: Observer
    cache: Cache
    recent: Recent  # what the cache does not have, from the API server

    async def __call__(self, namespace: str, name: str) -> float | None:
        key = namespace, name
        if (pause := await self._pause(key)) is not None:
            return pause
        self.recent.forget(key)
        return await self.reconciler.reconcile(namespace, name)

    async def _pause(self, key: Key) -> float | None:
        """Seconds until the next look, or None if there is more to do than to tell the verdict."""
        if not self.reconciler.knows(key, self.cache.version(key)):
            return None
        snapshot = await self.observer.observe_in(self.recent.of(key), *key)
        if snapshot is None or snapshot.adopted or not _is_judged(snapshot.observation):
            return None
        seen = snapshot.observation
        with stage("decide"):
            after = decide(seen)
        if moved(seen.status, after) or not await is_applied(self.recent.of(key), snapshot, after):
            return None
        return await self.reconciler.refresh(snapshot, after)


def _is_judged(seen: Observation) -> bool:
    """Whether the run waits for its verdict and for nothing else."""
    current = seen.status
    proven = current.weight is None or current.weight.verified_at is not None
    return current.phase in (Phase.STEPPING, Phase.WATCHING) and proven and not waits(seen.command, current)
