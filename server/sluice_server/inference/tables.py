"""Tables with a line of column names, and how these meet the columns of a schema.

By name, also where names are numbers. By place only where the schema has no names and the table has none of those
numbers either: then it needs as many columns as the schema. With some of them, nobody knows what is meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sluice_server.inference.rejection import Rejection, invalid
from sluice_server.model.schema import Schema

_MORE_COLUMNS = 10_000


def too_wide(columns: int, schema: Schema) -> Rejection | None:
    """Rejects a table with so many columns beside those of the schema that its names alone would take long."""
    most = len(schema.columns) + _MORE_COLUMNS
    if columns <= most:
        return None
    message = f"the table has {columns} columns, and {most} is the limit: leave out what the model does not need"
    return invalid((), "wrong_length", message)


def header(names: tuple[str, ...], schema: Schema) -> tuple[str, ...] | Rejection:
    """What the columns of a table that has these names are called in the schema; more than it needs may be there."""
    if names == schema.names:
        return names
    times = Counter(names)
    for name in schema.names:
        if times[name] > 1:
            return invalid((), "duplicate_name", f"{times[name]} columns have the name {name!r}: leave one of them")
    lacking = [name for name in schema.names if name not in times]
    if schema.is_named or not lacking:
        return names
    width = len(schema.columns)
    if len(names) == width == len(lacking):
        return schema.names
    has = f"{len(names)} columns" if len(lacking) == width else f"a part of these names, and not {lacking[0]!r}"
    message = (
        f"the model's columns have no names, so a table needs {width} columns in their order, or the names "
        f"{', '.join(schema.names[:20])}; this one has {has}"
    )
    return invalid((), "wrong_length", message)


def rows(names: tuple[str, ...], data: Sequence[Any], schema: Schema) -> list[Any] | Rejection:
    """What a row reader takes: the rows of a table as they are, or as records; `names` are those of `header`."""
    if names == schema.names:
        return list(data)
    for at, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            return invalid((at,), "wrong_length", f"a row needs a value for each of the {len(names)} columns")
    return [dict(zip(names, row, strict=True)) for row in data]
