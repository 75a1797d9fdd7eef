"""Which namespaces are this operator's, if several operators share a cluster by a label of its namespaces.

The Lease cannot say that, because each of them has one of its own. So the list of namespaces works like a Lease. Who
has a namespace stops to believe in it ten seconds after the last list with it, and who finds it new in his list takes
it after fifteen. When a label moves, there are at least five seconds without an operator, and never two.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from sluice_operator.kubernetes.port import NoAnswer, ReadRefused

_log = logging.getLogger(__name__)
LISTED_FOR, TAKEN_AFTER = 10.0, 15.0  # seconds
_EVERY, _ATTEMPT = 3.0, 4.0  # seconds between two lists, and for one


class NamespaceSource(Protocol):
    async def namespaces(self, selector: str) -> frozenset[str]:
        """Those with these labels. Raises ReadRefused, NoAnswer or TimeoutError."""


class Shard:
    """The namespaces with the labels of `selector`. `clock`: seconds."""

    def __init__(self, source: NamespaceSource, selector: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._selector = selector
        self._clock = clock
        self._since: dict[str, float] = {}  # when they were listed first, without a gap since then
        self._listed_at = float("-inf")
        self._known: frozenset[str] = frozenset()  # those whose objects were woken
        self._refused = ""  # why the last list was none

    def __contains__(self, namespace: object) -> bool:
        """Whether this operator has the namespace, as far as it knows."""
        return namespace in self._known

    def may_write(self, namespace: str) -> bool:
        """Whether this operator has the namespace, and no other one can have it yet."""
        return namespace in self._known and self._clock() < self._listed_at + LISTED_FOR

    def trouble(self) -> str:
        """Why this operator works nowhere, as a sentence; empty if it knows its namespaces."""
        if not self._refused or self._clock() < self._listed_at + LISTED_FOR:
            return ""
        return f"works nowhere: the namespaces with {self._selector} cannot be listed: {self._refused}"

    async def run(self, wake: Callable[[str], None]) -> None:
        """List again and again until this is cancelled. `wake`: is called with each namespace that comes or goes."""
        while True:
            await self._list()
            self._take(wake)
            await asyncio.sleep(_EVERY)

    async def _list(self) -> None:
        asked_at = self._clock()  # before the request: we may not believe in it longer than others wait
        try:
            async with asyncio.timeout(_ATTEMPT):
                listed = await self._source.namespaces(self._selector)
        except (NoAnswer, TimeoutError, ReadRefused) as error:
            self._refused = str(error) or "it took too long"
            _log.warning("the namespaces with %s: %s", self._selector, self._refused)
            return
        self._refused = ""
        gap = asked_at >= self._listed_at + LISTED_FOR  # meanwhile they may have been somebody else's
        self._since = {name: asked_at if gap else self._since.get(name, asked_at) for name in listed}
        self._listed_at = asked_at

    def _take(self, wake: Callable[[str], None]) -> None:
        now, before = self._clock(), self._known
        self._known = frozenset(name for name, since in self._since.items() if now >= since + TAKEN_AFTER)
        for name in sorted(self._known ^ before):
            _log.info("namespace %s: this operator %s", name, "works here" if name in self._known else "leaves")
            wake(name)
