"""Rows from CSV with a line of column names, as pandas writes it; a missing value is empty, and never a text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from sluice_server.inference import tables
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.inference.rows import RowReader
from sluice_server.model.schema import Column, Kind, Rows, Schema

_NUMBER = re.compile(r"[-+]?([0-9]++(\.[0-9]*+)?+|\.[0-9]++)([eE][-+]?[0-9]++)?+")
_LONGEST_NUMBER = 400  # characters: the largest double has 309 digits before its point
_MISSING = ("", "NaN", "nan", "NA", "null")
_SHOWN, _LONGEST = 10, 100  # names, and characters of one, in a message
_BOOLEANS = {"true": True, "false": False}


def is_csv(content_type: str) -> bool:
    """Whether a content-type header names CSV."""
    return content_type.partition(";")[0].strip().lower() == "text/csv"


def read(body: bytes, reader: RowReader) -> Rows | Rejection:
    """The rows of a body; locations begin with the line, the first one after the names being 0."""
    most = reader.max_rows + 1  # with the names
    try:
        lines = list(islice(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True), most + 1))
    except UnicodeDecodeError:
        return invalid((), "csv_invalid", "the body is not UTF-8")
    except csv.Error as error:
        return invalid((), "csv_invalid", f"the body is not CSV: {error}")
    if len(lines) > most:
        return Rejection(
            Cause.TOO_LARGE, f"the table has more than {reader.max_rows} rows, which is the limit: split it"
        )
    first, *rows = lines or [[]]
    if refused := tables.too_wide(len(first), reader.schema):
        return refused
    names = _header(first, reader.schema)
    if isinstance(names, Rejection):
        return names
    columns = {column.name: column for column in reader.schema.columns}
    records = []
    for at, row in enumerate(line for line in rows if line):
        if len(row) != len(names):
            return invalid((at,), "wrong_length", f"the line has {len(row)} values, and there are {len(names)} columns")
        pairs = zip(names, row, strict=True)
        records.append({name: _value(text, columns[name]) for name, text in pairs if name in columns})
    return reader.read(records)


def _header(first: list[str], schema: Schema) -> tuple[str, ...] | Rejection:
    """What the columns are called, by the first line of a body; one without any name of the model's is none."""
    if schema.is_named and first and not set(first) & set(schema.names):
        message = (
            f"the first line has none of the model's columns ({_listed(schema.names)}), but {_listed(first)}: send a "
            "first line with their names, and commas between values"
        )
        return invalid((), "missing", message)
    return tables.header(tuple(first), schema)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:_LONGEST]) for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _value(text: str, column: Column) -> Any:
    """What JSON would have; a text that is nothing of the kind stays one, and is refused as such."""
    if column.kind is Kind.TEXT:
        return text or None
    text = text.strip()
    if text in _MISSING:
        return None
    if column.kind is Kind.BOOLEAN:
        return _BOOLEANS.get(text.lower(), text)
    is_number = column.kind is not Kind.DATE and len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text)
    return float(text) if is_number else text
