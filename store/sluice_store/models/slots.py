"""How many models of a namespace the store takes in at a time, so that none of them fills all the slots. Pure."""

from __future__ import annotations

from collections import Counter


class Slots:
    """`total` slots. A namespace gets another one while more are free than it has.

    So one alone gets half of them, the next one half of the rest, and so on: some are free for whoever comes next.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self._taken: Counter[str] = Counter()

    def take(self, namespace: str) -> bool:
        """Takes a slot; False if the namespace must wait until one is given back."""
        if self._free <= self._taken[namespace]:
            return False
        self._free -= 1
        self._taken[namespace] += 1
        return True

    def give(self, namespace: str) -> None:
        """Gives a slot back."""
        self._free += 1
        self._taken[namespace] -= 1
        if not self._taken[namespace]:
            del self._taken[namespace]
