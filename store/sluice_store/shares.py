"""What several namespaces share, so that none of them takes all of it. Pure."""

from __future__ import annotations

from collections import Counter


class Shares:
    """`total` of something. A namespace gets more while at least as much is free, after that, as it had before.

    So one alone gets about half, the next one half of the rest, and so on: some is free for whoever comes next.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._taken: Counter[str] = Counter()

    def take(self, namespace: str, amount: int = 1) -> bool:
        """Takes some; False if the namespace must wait until something is given back."""
        if self._free - amount < self._taken[namespace]:
            return False
        self._free -= amount
        self._taken[namespace] += amount
        return True

    def give(self, namespace: str, amount: int = 1) -> None:
        """Gives some back."""
        self._free += amount
        self._taken[namespace] -= amount
        if not self._taken[namespace]:
            del self._taken[namespace]

    def taken(self, namespace: str) -> int:
        """How much it has."""
        return self._taken[namespace]
