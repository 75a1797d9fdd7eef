"""The input example: a /predict body that a model must answer before it is called ready.

Taken from what was logged with the model (MLflow's `serving_input_example.json`) if that fits the signature, else
made from the signature itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from sluice_server.inference import tables
from sluice_server.inference.rejection import Rejection, invalid
from sluice_server.inference.rows import example_reader
from sluice_server.model.manifest import EXAMPLE_ROWS
from sluice_server.model.schema import Kind, Schema

_MADE_UP = {
    Kind.BOOLEAN: False,
    Kind.INTEGER: 1,
    Kind.NUMBER: 0.5,
    Kind.TEXT: "example",
    Kind.DATE: "2025-01-01T00:00:00",
}


def logged_example(logged: bytes, schema: Schema) -> dict[str, Any] | Rejection:
    """A body for /predict with at most EXAMPLE_ROWS rows of what was logged, or why it does not fit."""
    features = _from_logged(logged, schema)
    if isinstance(features, Rejection):
        return features
    rows = example_reader(schema).read(features)
    return rows if isinstance(rows, Rejection) else {"features": features}


def made_up_example(schema: Schema, known: Mapping[str | int, Any]) -> dict[str, Any]:
    """One row of values that most models can answer: they have logarithms, roots and inverses.

    `known`: values of columns that take no others, by name or place.
    """
    row = [known.get(column.name, known.get(at, _MADE_UP[column.kind])) for at, column in enumerate(schema.columns)]
    return {"features": [row]}


def _from_logged(logged: bytes, schema: Schema) -> Any:
    """The first rows of a body of MLflow's scoring protocol, as `RowReader` takes them; or why there are none."""
    try:
        content = _decode(logged)
    except (ValueError, RecursionError):
        return invalid((), "json_invalid", "it is not JSON")
    match content:
        case {"dataframe_split": {"data": list(data), **table}}:
            return _rows_of_table(table.get("columns"), data[:EXAMPLE_ROWS], schema)
        case {"inputs": dict(columns)}:
            return {
                name: values[:EXAMPLE_ROWS] if isinstance(values, list) else values for name, values in columns.items()
            }
        case {"inputs": values} | {"instances": values} | {"dataframe_records": values}:
            return _first_rows(values if isinstance(values, list) else [values], schema)
    return invalid((), "missing", "it has none of the forms that MLflow writes")


def _first_rows(values: list[Any], schema: Schema) -> list[Any]:
    """Single values are rows of the one column, or one row of several."""
    if values and not isinstance(values[0], list | dict):
        if len(schema.columns) > 1:
            return values
        values = [[value] for value in values]
    return values[:EXAMPLE_ROWS]


def _decode(logged: bytes) -> Any:
    """JSON, and NaN, which MLflow writes for a value that is missing in a table."""
    try:
        return msgspec.json.decode(logged)
    except msgspec.DecodeError:
        return json.loads(logged, parse_constant=lambda name: None if name == "NaN" else float(name))


def _rows_of_table(names: Any, data: list[Any], schema: Schema) -> Any:
    if not isinstance(names, list):  # pandas has numbers for names then, and MLflow writes none
        return data
    called = tables.header(tuple(map(str, names)), schema)
    return called if isinstance(called, Rejection) else tables.rows(called, data, schema)
