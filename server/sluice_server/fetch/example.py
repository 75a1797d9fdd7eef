"""The input example: a /predict body that a model must answer before it is called ready.

Taken from what was logged with the model (MLflow's `serving_input_example.json`) if that fits the signature, else
made from the signature itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.manifest import EXAMPLE_ROWS
from sluice_server.model.schema import Kind, Schema

_MADE_UP = {
    Kind.BOOLEAN: False,
    Kind.INTEGER: 1,
    Kind.NUMBER: 0.5,
    Kind.TEXT: "example",
    Kind.DATE: "2025-01-01T00:00:00",
}


def logged_example(logged: bytes, schema: Schema) -> dict[str, Any] | None:
    """A body for /predict with at most EXAMPLE_ROWS rows of what was logged; None if it does not fit."""
    features = _from_logged(logged)
    reader = RowReader(schema, EXAMPLE_ROWS)
    reader.allow_missing([True] * len(schema.columns))
    if features is None or isinstance(reader.read(features), Rejection):
        return None
    return {"features": features}


def made_up_example(schema: Schema) -> dict[str, Any]:
    """One row of values that most models can answer: they have logarithms, roots and inverses."""
    return {"features": [[_MADE_UP[column.kind] for column in schema.columns]]}


def _from_logged(logged: bytes) -> list[Any] | None:
    try:
        content = msgspec.json.decode(logged)
    except (msgspec.DecodeError, RecursionError):
        return None
    match content:
        case {"dataframe_split": {"columns": list(columns), "data": list(data)}}:
            rows = data[:EXAMPLE_ROWS]
            if all(isinstance(row, list) and len(row) == len(columns) for row in rows):
                return [dict(zip(map(str, columns), row, strict=True)) for row in rows]
        case {"inputs": list(rows)} | {"instances": list(rows)} | {"dataframe_records": list(rows)}:
            return rows[:EXAMPLE_ROWS]
    return None
