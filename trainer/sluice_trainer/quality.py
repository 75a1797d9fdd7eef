"""The quality of a data set, measured against a schema: what is wrong, where, and a score from 0 to 100. Pure.

The score is the share of all values that are as the schema says, in percent, less 25 for each thing that is wrong with
the data set as a whole: too few rows, too many duplicates, or a class that is too rare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

POINTS = 25.0  # for what is wrong with the data set as a whole
TYPES = ("number", "integer", "boolean", "text", "date")


class BadSchemaError(Exception):
    """The schema cannot be used. The text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Column:
    """What the values of a column are. `missing`: the share of rows that may have none, 0 to 1."""

    name: str
    type: str
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    missing: float = 0.0


@dataclass(frozen=True, slots=True)
class Schema:
    """A data set. `rows`: how many there must be. `duplicates`: the share of rows that may be repetitions.

    `label`: one of the columns. `smallest_class`: the share of the rows that each of its values must have.
    """

    columns: tuple[Column, ...]
    rows: int = 1
    duplicates: float = 1.0
    label: str = ""
    smallest_class: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `where`: a column; empty for the data set as a whole. `values`: how many are wrong."""

    where: str
    what: str
    values: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    rows: int
    score: float  # 0 to 100
    findings: tuple[Finding, ...]


def parse(document: Any) -> Schema:
    """A schema as it stands in a file of JSON. Raises BadSchemaError."""
    try:
        columns = tuple(_column(dict(each)) for each in document["columns"])
        schema = Schema(**{**document, "columns": columns})
    except (TypeError, ValueError, KeyError) as error:
        raise BadSchemaError(f"the schema is not one of docs/trainer.md: {error}") from error
    names = [column.name for column in columns]
    if not names or len(set(names)) < len(names):
        raise BadSchemaError("the schema must list each column once")
    if schema.label and schema.label not in names:
        raise BadSchemaError(f"the schema has no column {schema.label!r}, which it calls the label")
    return schema


def _column(document: dict[str, Any]) -> Column:
    column = Column(**{**document, "values": tuple(map(str, document.get("values", ())))})
    if column.type not in TYPES:
        raise BadSchemaError(f"column {column.name!r} has the type {column.type!r}; write one of {', '.join(TYPES)}")
    limits = column.min is not None or column.max is not None
    if limits and (column.values or column.type not in ("number", "integer")):
        raise BadSchemaError(f"column {column.name!r}: min and max are for numbers, and not together with values")
    return column


def measure(data: pd.DataFrame, schema: Schema) -> Quality:
    """What is wrong with the data, and the score. Columns that the schema does not list are not looked at."""
    findings = [finding for column in schema.columns for finding in _in_column(data, column)]
    whole = list(_in_whole(data, schema))
    cells = len(data) * len(schema.columns)
    wrong = sum(finding.values for finding in findings)
    share = 1 - min(wrong / cells, 1.0) if cells else 0.0
    return Quality(len(data), max(100 * share - POINTS * len(whole), 0.0), (*findings, *whole))


def _in_column(data: pd.DataFrame, column: Column) -> Iterator[Finding]:
    if column.name not in data.columns:
        yield Finding(column.name, "the column is not there", len(data))
        return
    present = data[column.name].dropna()
    missing = len(data) - len(present)
    if missing > column.missing * len(data):
        yield Finding(column.name, f"{missing} rows have no value, {column.missing:.0%} may have none", missing)
    typed = _typed(present, column.type)
    if bad := len(present) - len(typed):
        yield Finding(column.name, f"{bad} values are no {column.type}", bad)
    yield from _outside(typed, column)


def _typed(present: "pd.Series[Any]", wanted: str) -> "pd.Series[Any]":
    """The values that are of the type, converted to it."""
    if wanted == "text":
        return present.astype(str)
    if wanted == "date":
        return pd.to_datetime(present, errors="coerce", format="ISO8601", utc=True).dropna()
    if wanted == "boolean":
        return present[present.astype(str).str.lower().isin(("true", "false", "0", "1"))]
    numbers = pd.to_numeric(present, errors="coerce").dropna()
    return numbers if wanted == "number" else numbers[numbers % 1 == 0]


def _outside(typed: "pd.Series[Any]", column: Column) -> Iterator[Finding]:
    if column.values and (unknown := int((~typed.astype(str).isin(column.values)).sum())):
        yield Finding(column.name, f"{unknown} values are none of {', '.join(column.values)}", unknown)
    if column.min is not None and (below := int((typed < column.min).sum())):
        yield Finding(column.name, f"{below} values are below {column.min:g}", below)
    if column.max is not None and (above := int((typed > column.max).sum())):
        yield Finding(column.name, f"{above} values are above {column.max:g}", above)


def _in_whole(data: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    if len(data) < schema.rows:
        yield Finding("", f"{len(data)} rows, {schema.rows} are needed")
    repeated = int(data.duplicated().sum())
    if repeated > schema.duplicates * len(data):
        yield Finding("", f"{repeated} rows are repetitions, {schema.duplicates:.0%} may be")
    if schema.label in data.columns:
        yield from _rare_class(data[schema.label].dropna().value_counts(normalize=True), schema)


def _rare_class(shares: "pd.Series[float]", schema: Schema) -> Iterator[Finding]:
    rare: Sequence[str] = [str(name) for name, share in shares.items() if share < schema.smallest_class]
    if rare:
        yield Finding("", f"{', '.join(rare)} of {schema.label}: less than {schema.smallest_class:.0%} of the rows")
