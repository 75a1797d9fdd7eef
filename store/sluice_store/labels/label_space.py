"""How many bytes of labels each namespace has in the database, and how many it may have.

They are counted in the tables now and then, and from then on as labels come and go. What other processes write is seen
when the tables are counted again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Function, LargeBinary, Text, cast, func, select, text

from sluice_store.labels.tables import LABELLED, TOTALS, VALUES

LABEL = 200  # bytes that a row with a label counts as; both databases take some 100 to 300 with their indexes
VALUE = 200  # beside the bytes of the value itself
TOTAL = 1_024  # the totals of a revision: they are never removed
_PATIENCE = 600  # seconds for a statement that counts a table
_OCTETS: dict[str, Callable[[], Function[int]]] = {
    "sqlite": lambda: func.length(cast(VALUES.c.value, LargeBinary)),
    "postgresql": lambda: func.octet_length(cast(VALUES.c.value, Text)),
}


class LabelsFullError(Exception):
    """The namespace is at its limit; the message says so, in bytes."""


class LabelSpace:
    """The bytes of labels. `limit`: of one namespace; 0 is none, and then nothing is counted."""

    collection = "labels"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def kept(self) -> dict[str, int]:
        """The bytes of each namespace that has any."""
        with self._lock:
            return {namespace: size for namespace, size in self._kept.items() if size > 0}

    def fits(self, namespace: str, size: int) -> bool:
        """Whether the namespace may have so many bytes more."""
        return not self.limit or self._kept[namespace] + size <= self.limit

    def require(self, namespace: str, size: int) -> None:
        """Raises LabelsFullError if they do not fit."""
        if not self.fits(namespace, size):
            raise LabelsFullError(f"the namespace has {self._kept[namespace]} bytes of labels, of {self.limit}")

    def add(self, sizes: Mapping[str, int]) -> None:
        """These bytes came, or went where they are negative."""
        if self.limit:
            with self._lock:
                self._kept.update(sizes)

    def count(self, connection: Connection) -> None:
        """Counts the tables. What comes meanwhile may count twice until the next time, and never not."""
        before = self.kept
        counted = _counted(connection)
        with self._lock:
            came = {namespace: max(size - before.get(namespace, 0), 0) for namespace, size in self._kept.items()}
            self._kept = counted + Counter(came)


def _counted(connection: Connection) -> Counter[str]:
    """The bytes of each namespace, as the tables have them."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = '{_PATIENCE}s'"))
    value = VALUE + _OCTETS[dialect]()
    sums = {LABELLED: func.count() * LABEL, VALUES: func.sum(value), TOTALS: func.count() * TOTAL}
    sizes: Counter[str] = Counter()
    for table, size in sums.items():
        query = select(table.c.namespace, size).group_by(table.c.namespace)
        sizes.update({namespace: int(found) for namespace, found in connection.execute(query)})
    return sizes
