"""Which objects are in a rollout. All others are at rest: they need nothing until something changes or is due."""

from collections.abc import Iterator
from datetime import datetime

from sluice_operator.api.owner import Key
from sluice_operator.api.run import AT_REST
from sluice_operator.api.status import Status


def is_rollout(phase: str) -> bool:
    """Whether an object in this phase moves on by itself. A phase that is not known counts as a rollout."""
    return phase not in AT_REST


def moments(current: Status, now: datetime) -> Iterator[datetime]:
    """When an object at rest has something to do by itself: pods of a retiring revision go, or a retry begins."""
    yield from (entry.until for entry in current.retiring)
    abandoned = current.abandoned
    if abandoned is not None and abandoned.retry_at is not None and abandoned.retry_at > now:
        yield abandoned.retry_at


class Lanes:
    """The keys in the lane of the rollouts, kept up to date by whoever sees the phase of an object."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def see(self, key: Key, phase: str) -> None:
        """Note the phase of an object."""
        if is_rollout(phase):
            self._keys.add(key)
        else:
            self._keys.discard(key)

    def forget(self, key: Key) -> None:
        """Drop an object that is gone."""
        self._keys.discard(key)
