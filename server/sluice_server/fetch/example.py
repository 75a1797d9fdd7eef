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


def input_example(logged: bytes | None, schema: Schema) -> dict[str, Any]:
    """A body for /predict with at most EXAMPLE_ROWS rows."""
    features = _from_logged(logged) if logged is not None else None
    if features is None or isinstance(RowReader(schema, EXAMPLE_ROWS).read(features), Rejection):
        features = [[False if column.kind is Kind.BOOLEAN else 0 for column in schema.columns]]
    return {"features": features}


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
