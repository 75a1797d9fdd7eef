"""Lists of all aliases of a registry: where many are followed, one request shows that none of them has moved.

A list only saves requests; it is never an answer. An alias that the list shows as it did when the registry was last
asked for this alias needs no request of its own. If the list shows it otherwise, or does not have it, the registry is
asked for this alias alone. If a registry gives no list, each alias is asked for alone, and a list is tried again later.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sluice_operator.mlflow.client import Listed, Registry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.pauses import growing
from sluice_operator.mlflow.uris import ByAlias

_FEWEST = 50  # aliases that are followed in a registry; fewer are asked for one by one
_MORE = 4  # times as many models as are followed are read, and then no list is worth its length
_PATIENCE = 4.0  # seconds for a list: whoever waits for it has to ask for his alias in what is left of ten
_USED = 5.0  # seconds, for which a list is used
_RETRY, _MOST = 30.0, 600.0  # seconds after which one that gave no list is asked again: the first pause, the longest


@dataclass(eq=False)
class _List:
    """Mutable: the newest list of one registry, None if there is none. `until`: it is used, by the clock.

    `failures`: how often in a row there was none. A busy moment costs half a minute without a list, and a registry that
    can never be listed is asked every ten minutes.
    """

    aliases: Mapping[tuple[str, str], Listed] | None = None
    until: float = -math.inf
    failures: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class AliasLists:
    """The newest list of each registry. `clock`: in seconds, monotonic."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._lists: dict[Connection, _List] = {}

    async def renew(self, via: Connection, followed: int) -> None:
        """Read a new list, if the newest one is old. `followed`: the URIs of this registry."""
        if followed < _FEWEST:
            return
        newest = self._lists.setdefault(via, _List())
        async with newest.reading:
            if self._clock() >= newest.until:
                newest.aliases = await self._read(via, _MORE * followed)
                newest.failures = newest.failures + 1 if newest.aliases is None else 0
                seconds = growing(_RETRY, _MOST, newest.failures - 1) if newest.failures else _USED
                newest.until = self._clock() + seconds

    async def _read(self, via: Connection, most: int) -> Mapping[tuple[str, str], Listed] | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._registry.aliases(via, most)
        except TimeoutError:
            return None

    def find(self, via: Connection, wanted: ByAlias) -> Listed | None:
        """What the newest list says of an alias. None if there is no list that is new enough, or if it is not in it."""
        newest = self._lists.get(via)
        if newest is None or not newest.aliases or self._clock() >= newest.until:
            return None
        return newest.aliases.get((wanted.name, wanted.alias))

    def forget(self, via: Connection) -> None:
        """Nobody follows anything in this registry any more."""
        self._lists.pop(via, None)
