"""Counts each label once, in SQLite or PostgreSQL.

A row of a prediction is noted and its label is added to the totals in one transaction. A pod that does not hear the
answer sends its labels again: by their claims they are known, and get the same answer. Methods block; the API calls
them in threads.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection, Table, delete, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from sluice_store.labels import database, label_values
from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_space import LABEL, TOTAL, LabelsFullError, LabelSpace
from sluice_store.labels.label_values import Row
from sluice_store.labels.tables import LABELLED, METADATA, TOTALS

CLEAN_EVERY = 3_600  # seconds between two removals of rows that have expired
CLEAN_AT_ONCE = 10_000  # rows; a request has fewer labels, so more rows go than come
PAGE = 200  # totals that are read at a time
_CLOCK_SKEW = 86_400  # seconds by which the clock of a pod may be ahead
_INSERT: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_Group: TypeAlias = tuple[str, str, str]  # ModelDeployment, revision, entry

logger = logging.getLogger("sluice.store")


class LabelsError(Exception):
    """The database did not do what it should; the message has its words, and never its address."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Which labels of a request counted, in its order, and how many did not: repeats, and those out of time.

    Those are for predictions that are too old, or of a time to come: their rows would never be removed.
    """

    new: list[bool]
    repeats: int
    expired: int


class LabelBook:
    """`max_age`: seconds after a prediction in which a label for it counts; a row is remembered for as long.

    `limit`: bytes of labels of a namespace; 0 is none.
    """

    def __init__(self, url: str, max_age: int, limit: int = 0) -> None:
        self.space = LabelSpace(limit)
        self._engine = database.engine(url)
        self._insert = _INSERT[self._engine.dialect.name]
        self._max_age = max_age
        self._cleaned = 0.0
        self._newest = 0  # issue time of a label that came, also if there was no space for it
        self._has_tables = False
        self._starting = threading.Lock()

    def check(self) -> None:
        """Makes the tables if they are not there, and reads from each of them; raises LabelsError."""
        with self._transaction() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(select(table).limit(1))

    def count(self, namespace: str, labels: Sequence[Label], now: float) -> Counted:
        """Counts each label whose row has none yet; raises LabelsError or LabelsFullError, and then counted none."""
        times = range(math.ceil(now) - self._max_age, math.ceil(now) + _CLOCK_SKEW)
        first: dict[Row, Label] = {}
        for label in labels:
            if label.issued in times:
                first.setdefault((label.prediction, label.row), label)
        self._newest = max([self._newest, *(label.issued for label in first.values())])
        try:
            with self._transaction() as connection:
                self._require_space(connection, namespace, first)
                noted = self._note(connection, namespace, first)
                claimed = self._claimed(connection, namespace, [first[at] for at in first if at not in noted])
                counting = [first[at] for at in sorted(noted)]
                label_values.note(connection, self._insert, namespace, counting)
                groups = self._add(connection, namespace, _sums(labels, first, noted, claimed))
        except LabelsFullError:
            self._forget_expired(now)
            raise
        self.space.add({namespace: _size(counting) + TOTAL * groups})
        self._forget_expired(now)
        counted = noted | claimed
        new = [label is first.get(at := (label.prediction, label.row)) and at in counted for label in labels]
        expired = sum(label.issued not in times for label in labels)
        return Counted(new, len(labels) - sum(new) - expired, expired)

    def totals(self, namespace: str, after: _Group = ("", "", "")) -> list[Totals]:
        """What was counted in a namespace so far: the next `PAGE` groups in their order; raises LabelsError."""
        columns = [TOTALS.c[name] for name in Totals.__struct_fields__]
        following = tuple_(*columns[:3]) > tuple_(*map(literal, after))
        query = select(*columns).where(TOTALS.c.namespace == namespace, following).order_by(*columns[:3]).limit(PAGE)
        with self._transaction() as connection:
            return [Totals(*row) for row in connection.execute(query)]

    def look(self) -> None:
        """Counts the bytes of all namespaces, if they have a limit; raises LabelsError."""
        if self.space.limit:
            with self._transaction() as connection:
                self.space.count(connection)

    def values(self, namespace: str, rows: Sequence[Row]) -> dict[Row, str]:
        """The labels of at most some hundred kept rows, as JSON; raises LabelsError."""
        with self._transaction() as connection:
            return label_values.find(connection, namespace, rows)

    def forget_values(self, before: float) -> None:
        """Removes the labels of rows that were predicted before (seconds since the epoch); raises LabelsError."""
        removed = CLEAN_AT_ONCE
        while removed == CLEAN_AT_ONCE:
            with self._transaction() as connection:
                removed = label_values.forget(connection, before, CLEAN_AT_ONCE)

    def _require_space(self, connection: Connection, namespace: str, labels: dict[Row, Label]) -> None:
        """Raises LabelsFullError where what is new does not fit. Others take no space, and have their answer."""
        if self.space.fits(namespace, _size(labels.values()) + TOTAL * len(labels)):
            return
        row = (LABELLED.c.prediction, LABELLED.c.row)
        query = select(*row).where(LABELLED.c.namespace == namespace, tuple_(*row).in_(list(labels)))
        known = {(prediction, at) for prediction, at in connection.execute(query)}
        groups = self._new_groups(connection, namespace, {_group(label) for label in labels.values()})
        if size := _size(label for at, label in labels.items() if at not in known) + TOTAL * groups:
            self.space.require(namespace, size)

    def _new_groups(self, connection: Connection, namespace: str, groups: Collection[_Group]) -> int:
        """How many of these have no totals yet."""
        group = tuple_(*(TOTALS.c[name] for name in Totals.__struct_fields__[:3]))
        known = select(func.count()).where(TOTALS.c.namespace == namespace, group.in_(list(groups)))
        return len(groups) - (connection.scalar(known) or 0)

    def _note(self, connection: Connection, namespace: str, labels: dict[Row, Label]) -> set[Row]:
        """Notes the rows, in one order everywhere so that no two transactions wait for each other.

        Gives those that had no label before.
        """
        rows = [
            {"namespace": namespace, "prediction": at[0], "row": at[1], "claim": label.claim, "issued": label.issued}
            for at, label in sorted(labels.items(), key=lambda item: item[0])
        ]
        if not rows:
            return set()
        note = self._insert(LABELLED).on_conflict_do_nothing().returning(LABELLED.c.prediction, LABELLED.c.row)
        return {(prediction, row) for prediction, row in connection.execute(note, rows)}

    def _claimed(self, connection: Connection, namespace: str, labels: Sequence[Label]) -> set[Row]:
        """The rows whose label that counted is the very one that comes again now."""
        if not labels:
            return set()
        row = (LABELLED.c.prediction, LABELLED.c.row, LABELLED.c.claim)
        known = tuple_(*row).in_([(label.prediction, label.row, label.claim) for label in labels])
        query = select(*row[:2]).where(LABELLED.c.namespace == namespace, known)
        return {(prediction, at) for prediction, at in connection.execute(query)}

    def _add(self, connection: Connection, namespace: str, sums: dict[_Group, list[int]]) -> int:
        """Adds to the totals of each group: labels, correct ones, repeats. Gives how many groups are new."""
        rows = [
            {"namespace": namespace, **dict(zip(Totals.__struct_fields__, (*group, *sums[group]), strict=True))}
            for group in sorted(sums)
        ]
        if not rows:
            return 0
        new = self._new_groups(connection, namespace, sums)
        add = self._insert(TOTALS)
        summed = {name: TOTALS.c[name] + add.excluded[name] for name in ("labels", "correct", "repeats")}
        connection.execute(add.on_conflict_do_update(index_elements=[*TOTALS.primary_key], set_=summed), rows)
        return new

    def _forget_expired(self, now: float) -> None:
        """Removes rows that no label is accepted for any more, some at a time. A failure is only logged.

        Expired is what is too old for the newest label as well: a clock that was wrong for a moment forgets nothing.
        """
        if now - self._cleaned < CLEAN_EVERY:
            return
        self._cleaned = now
        row = (LABELLED.c.namespace, LABELLED.c.prediction, LABELLED.c.row)
        newest = select(func.max(LABELLED.c.issued))
        try:
            with self._transaction() as connection:
                oldest = min(now, max(connection.scalar(newest) or 0, self._newest)) - self._max_age
                expired = select(*row).where(LABELLED.c.issued < oldest).limit(CLEAN_AT_ONCE)
                remove = delete(LABELLED).where(tuple_(*row).in_(expired)).returning(LABELLED.c.namespace)
                removed = Counter(connection.scalars(remove))
        except LabelsError as error:
            logger.warning("rows that have expired are not removed: %s", error)
            return
        self.space.add({namespace: -LABEL * number for namespace, number in removed.items()})
        if removed.total() == CLEAN_AT_ONCE:
            self._cleaned = 0.0  # the next request removes more

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A connection whose changes are kept if nothing was raised."""
        try:
            with self._starting:
                if not self._has_tables:
                    METADATA.create_all(self._engine)
                    self._has_tables = True
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._has_tables = False  # the database may be another one now
            raise LabelsError(database.brief(error)) from error


def _group(label: Label) -> _Group:
    return label.model_deployment, label.revision, label.entry


def _size(labels: Iterable[Label]) -> int:
    """The bytes that they count as once they are noted."""
    return sum(LABEL + label_values.size(label) for label in labels)


def _sums(
    labels: Sequence[Label], first: dict[Row, Label], noted: set[Row], claimed: set[Row]
) -> dict[_Group, list[int]]:
    """For each group: labels that count, correct ones of these, repeats."""
    came = Counter((label.prediction, label.row) for label in labels)
    sums: dict[_Group, list[int]] = {}
    for at, label in first.items():
        total = sums.setdefault(_group(label), [0, 0, 0])
        counts = at in noted
        total[0] += counts
        total[1] += counts and label.correct
        total[2] += came[at] - (counts or at in claimed)
    return sums
