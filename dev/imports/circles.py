"""Circles of imports: sets of names that all reach each other along the arrows. Pure.

They are the strongly connected components, by Tarjan's algorithm (SIAM Journal on Computing 1, 1972).
"""

from collections import defaultdict
from collections.abc import Iterable


def circles(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """All circles of two names or more, each one sorted; `pairs` are arrows from the first name to the second."""
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in sorted(set(pairs)):
        targets[source].append(target)
    search = _Search(targets)
    for name in sorted(targets):
        search.visit(name)
    return tuple(sorted(search.circles))


class _Search:
    def __init__(self, targets: dict[str, list[str]]) -> None:
        self.circles: list[tuple[str, ...]] = []
        self._targets = targets
        self._order: dict[str, int] = {}
        self._lowest: dict[str, int] = {}  # the first name in the order that a name reaches
        self._open: list[str] = []

    def visit(self, name: str) -> None:
        if name in self._order:
            return
        self._order[name] = self._lowest[name] = len(self._order)
        self._open.append(name)
        for target in self._targets.get(name, ()):
            self.visit(target)
            if target in self._open:
                self._lowest[name] = min(self._lowest[name], self._lowest[target])
        if self._lowest[name] == self._order[name]:
            self._close(name)

    def _close(self, name: str) -> None:
        start = self._open.index(name)
        members = self._open[start:]
        del self._open[start:]
        if len(members) > 1:
            self.circles.append(tuple(sorted(members)))
