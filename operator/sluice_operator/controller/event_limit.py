"""How many Events of one kind an object may cause: a burst, and then one every few minutes.

An edit that is repaired, or a command that is refused, makes an Event each time, and whoever may edit one object can do
that as often as the API server lets them. Kubernetes' own components limit theirs in the same way.
"""

from collections.abc import Callable

_BURST = 25  # as client-go has it
_ONE_PER_SECONDS = 300.0
_KEPT = 10_000

Kind = tuple[str, str]  # uid of the object, and reason


class EventLimit:
    """A bucket of events for each kind. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: dict[Kind, float] = {}  # when the bucket of a kind is full again; the newest last
        self._left_out: dict[Kind, int] = {}

    def allows(self, kind: Kind) -> bool:
        """Whether another event of this kind may be posted now; if so, it counts."""
        now = self._clock()
        full_at = max(now, self._full_at.pop(kind, now)) + _ONE_PER_SECONDS
        allowed = full_at <= now + _BURST * _ONE_PER_SECONDS
        self._full_at[kind] = full_at if allowed else full_at - _ONE_PER_SECONDS
        if not allowed:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
        while len(self._full_at) > _KEPT:
            self._left_out.pop(oldest := next(iter(self._full_at)), None)
            del self._full_at[oldest]
        return allowed

    def left_out(self, kind: Kind) -> int:
        """How many of this kind were left out since this was asked last."""
        return self._left_out.pop(kind, 0)
