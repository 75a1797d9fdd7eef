"""What the labels of kept rows were: kept with them for retraining, and forgotten with them.

SQL on a connection whose transaction is that of the labels themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, Table, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from sluice_store.labels.label import Label
from sluice_store.labels.label_space import VALUE
from sluice_store.labels.tables import VALUES

Row: TypeAlias = tuple[str, int]  # of a prediction
Insert: TypeAlias = Callable[[Table], sqlite.Insert | postgresql.Insert]


def note(connection: Connection, insert: Insert, namespace: str, labels: Iterable[Label]) -> None:
    """Keeps the values of labels that count and have one."""
    rows = [
        {
            "namespace": namespace,
            "prediction": label.prediction,
            "row": label.row,
            "value": _json(label).decode(),
            "issued": label.issued,
        }
        for label in labels
        if label.value is not None
    ]
    if rows:
        connection.execute(insert(VALUES).on_conflict_do_nothing(), rows)


def size(label: Label) -> int:
    """The bytes that its value counts as once it is kept."""
    return 0 if label.value is None else VALUE + len(_json(label))


def find(connection: Connection, namespace: str, rows: Sequence[Row]) -> dict[Row, str]:
    """The values of those rows that have one, as JSON."""
    if not rows:
        return {}
    columns = (VALUES.c.prediction, VALUES.c.row)
    query = select(*columns, VALUES.c.value).where(VALUES.c.namespace == namespace, tuple_(*columns).in_(rows))
    return {(prediction, row): value for prediction, row, value in connection.execute(query)}


def forget(connection: Connection, oldest: float, at_once: int) -> int:
    """Removes some values of predictions before `oldest`, in seconds since the epoch; gives how many."""
    row = (VALUES.c.namespace, VALUES.c.prediction, VALUES.c.row)
    expired = select(*row).where(VALUES.c.issued < oldest).limit(at_once)
    return connection.execute(delete(VALUES).where(tuple_(*row).in_(expired))).rowcount


def _json(label: Label) -> bytes:
    return msgspec.json.encode(label.value)
