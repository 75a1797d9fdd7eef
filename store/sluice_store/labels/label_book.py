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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from sluice_store.labels import label_values
from sluice_store.labels.label import Label, Totals
from sluice_store.labels.label_values import Row
from sluice_store.labels.tables import LABELLED, METADATA, TOTALS
from sluice_store.settings import SettingError

CLEAN_EVERY = 3_600  # seconds between two removals of rows that have expired
CLEAN_AT_ONCE = 10_000  # rows; a request has fewer labels, so more rows go than come
_CLOCK_SKEW = 86_400  # seconds by which the clock of a pod may be ahead
_WAIT = 5  # seconds for a connection, or for the lock of another writer
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
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
    """`max_age`: seconds after a prediction in which a label for it counts; a row is remembered for as long."""

    def __init__(self, url: str, max_age: int) -> None:
        self._engine = _engine(url)
        self._insert = _INSERT[self._engine.dialect.name]
        self._max_age = max_age
        self._cleaned = 0.0
        self._has_tables = False
        self._starting = threading.Lock()

    def check(self) -> None:
        """Makes the tables if they are not there, and reads from each of them; raises LabelsError."""
        with self._transaction() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(select(table).limit(1))

    def count(self, namespace: str, labels: Sequence[Label], now: float) -> Counted:
        """Counts each label whose row has none yet; raises LabelsError, and then counted none of them."""
        times = range(math.ceil(now) - self._max_age, math.ceil(now) + _CLOCK_SKEW)
        first: dict[Row, Label] = {}
        for label in labels:
            if label.issued in times:
                first.setdefault((label.prediction, label.row), label)
        with self._transaction() as connection:
            noted = self._note(connection, namespace, first)
            claimed = self._claimed(connection, namespace, [first[at] for at in first if at not in noted])
            label_values.note(connection, self._insert, namespace, [first[at] for at in sorted(noted)])
            self._add(connection, namespace, _sums(labels, first, noted, claimed))
        self._forget_expired(now)
        counted = noted | claimed
        new = [label is first.get(at := (label.prediction, label.row)) and at in counted for label in labels]
        expired = sum(label.issued not in times for label in labels)
        return Counted(new, len(labels) - sum(new) - expired, expired)

    def totals(self, namespace: str) -> list[Totals]:
        """What was counted in a namespace so far; raises LabelsError."""
        columns = [TOTALS.c[name] for name in Totals.__struct_fields__]
        query = select(*columns).where(TOTALS.c.namespace == namespace).order_by(*columns[:3])
        with self._transaction() as connection:
            return [Totals(*row) for row in connection.execute(query)]

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

    def _add(self, connection: Connection, namespace: str, sums: dict[_Group, list[int]]) -> None:
        """Adds to the totals of each group: labels, correct ones, repeats."""
        rows = [
            {"namespace": namespace, **dict(zip(Totals.__struct_fields__, (*group, *sums[group]), strict=True))}
            for group in sorted(sums)
        ]
        if not rows:
            return
        add = self._insert(TOTALS)
        summed = {name: TOTALS.c[name] + add.excluded[name] for name in ("labels", "correct", "repeats")}
        connection.execute(add.on_conflict_do_update(index_elements=[*TOTALS.primary_key], set_=summed), rows)

    def _forget_expired(self, now: float) -> None:
        """Removes rows that no label is accepted for any more, some at a time. A failure is only logged.

        Expired is what is too old for the newest row as well: a clock that was wrong for a moment forgets nothing.
        """
        if now - self._cleaned < CLEAN_EVERY:
            return
        self._cleaned = now
        row = (LABELLED.c.namespace, LABELLED.c.prediction, LABELLED.c.row)
        newest = select(func.max(LABELLED.c.issued))
        try:
            with self._transaction() as connection:
                oldest = min(now, connection.scalar(newest) or 0) - self._max_age
                expired = select(*row).where(LABELLED.c.issued < oldest).limit(CLEAN_AT_ONCE)
                removed = connection.execute(delete(LABELLED).where(tuple_(*row).in_(expired))).rowcount
        except LabelsError as error:
            logger.warning("rows that have expired are not removed: %s", error)
            return
        if removed == CLEAN_AT_ONCE:
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
            raise LabelsError(_brief(error)) from error


def _sums(
    labels: Sequence[Label], first: dict[Row, Label], noted: set[Row], claimed: set[Row]
) -> dict[_Group, list[int]]:
    """For each group: labels that count, correct ones of these, repeats."""
    came = Counter((label.prediction, label.row) for label in labels)
    sums: dict[_Group, list[int]] = {}
    for at, label in first.items():
        total = sums.setdefault((label.model_deployment, label.revision, label.entry), [0, 0, 0])
        counts = at in noted
        total[0] += counts
        total[1] += counts and label.correct
        total[2] += came[at] - (counts or at in claimed)
    return sums


def _engine(url: str) -> Engine:
    """Raises SettingError, which does not repeat the address: it may hold a password."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": _WAIT})
        event.listen(engine, "connect", _prepare_sqlite)
        _notice_another_file(engine, Path(parsed.database or ""))
        return engine
    # A database may have been made with no encoding (SQL_ASCII); then its texts would come as bytes.
    connect = {"connect_timeout": _WAIT, "tcp_user_timeout": 2_000 * _WAIT, "client_encoding": "utf8"}
    engine = create_engine(parsed, hide_parameters=True, connect_args=connect, pool_pre_ping=True, pool_timeout=_WAIT)
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _parsed(url: str) -> URL:
    forms = "it must be sqlite:////folder/labels.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingError(f"SLUICE_STORE_DATABASE_URL cannot be read: {forms}") from None
    if parsed.drivername not in _DRIVERS:
        raise SettingError(f"SLUICE_STORE_DATABASE_URL begins with {parsed.drivername[:20]!r}: {forms}")
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Readers do not wait for the writer, and what was answered is on the disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _notice_another_file(engine: Engine, file: Path) -> None:
    """Opens the file again when it is another one: what is written to one that was removed is lost."""

    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info["inode"] = _inode(file)

    def compare(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info["inode"] != _inode(file):
            raise DisconnectionError

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def _inode(file: Path) -> int:
    """0 if there is no such file."""
    try:
        return file.stat().st_ino
    except OSError:
        return 0


def _prepare_postgresql(connection: Any, _: object) -> None:
    """No statement waits for ever behind a lock."""
    connection.execute(f"SET statement_timeout = '{2 * _WAIT}s'")
    connection.commit()


def _brief(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0][:300]
