"""The input example: a /predict body that a model must answer before it is called ready.

Taken from what was logged with the model (MLflow's `serving_input_example.json`) if that fits the signature, else
made from the signature itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sluice_server.inference.rows import PayloadReader, Rejected
from sluice_server.model.schema import Kind, Schema

MOST_ROWS = 5


def input_example(logged: bytes | None, schema: Schema) -> dict[str, Any]:
    """A body for /predict with at most five rows."""
    body = _from_logged(logged) if logged is not None else None
    if body is not None and _fits(body, schema):
        return body
    return {"features": [[False if column.kind is Kind.BOOLEAN else 0 for column in schema.columns]]}


def _from_logged(logged: bytes) -> dict[str, Any] | None:
    try:
        content = msgspec.json.decode(logged)
    except (msgspec.DecodeError, RecursionError):
        return None
    match content:
        case {"dataframe_split": {"columns": list(columns), "data": list(data)}}:
            rows = data[:MOST_ROWS]
            if all(isinstance(row, list) and len(row) == len(columns) for row in rows):
                return {"features": [dict(zip(map(str, columns), row, strict=True)) for row in rows]}
        case {"inputs": list(rows)} | {"instances": list(rows)} | {"dataframe_records": list(rows)}:
            return {"features": rows[:MOST_ROWS]}
    return None


def _fits(body: dict[str, Any], schema: Schema) -> bool:
    reader = PayloadReader(schema, MOST_ROWS)
    return not isinstance(reader.read(msgspec.json.encode(body)), Rejected)
