"""Which models nobody needs any more. Pure.

Whoever serves a model tells the store so each day. A model is too old when nobody used it for `max_age`; it is removed
if it stays so for two more days in which the store was up. So a clock that jumps, and a store that was down or out of
reach for months, remove nothing that is in use: two days are enough for each pod to be heard.
"""

from __future__ import annotations

from collections.abc import Mapping

GRACE = 2 * 86_400.0  # seconds of uptime


class Expiry:
    """Remembers since when each model is too old. `max_age`: seconds; 0 keeps all for ever."""

    def __init__(self, max_age: int) -> None:
        self._max_age = max_age
        self._since: dict[str, float] = {}

    def expired(self, used: Mapping[str, float], now: float, uptime: float) -> list[str]:
        """The models to remove, of all of them with their last use. `now`: of the clock; `uptime`: of this process."""
        old = {model for model, at in used.items() if self._max_age and at < now - self._max_age}
        self._since = {model: self._since.get(model, uptime) for model in old}
        return sorted(model for model, since in self._since.items() if uptime - since >= GRACE)
