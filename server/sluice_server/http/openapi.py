"""The description of predictions in the OpenAPI document, made from the model's signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sluice_server.model.schema import Kind, Schema

_TYPES = {Kind.NUMBER: "number", Kind.INTEGER: "integer", Kind.BOOLEAN: "boolean"}
_ERRORS = {
    "408": "The body did not come in time.",
    "413": "The body or the number of rows is over its limit.",
    "415": "The body is not JSON.",
    "422": "The body does not fit the signature; `detail` names the field.",
    "429": "This client asks too often; `Retry-After` says how many seconds to wait.",
    "500": "The model failed on this request.",
    "503": "No model is ready, or too many rows wait; `Retry-After` says how many seconds to wait.",
}


def describe_predict(schema: Schema, nullable: Sequence[bool], example: dict[str, Any]) -> dict[str, Any]:
    """The path item of /predict: one schema per accepted form, and the input example.

    `nullable`: for each column, whether its value may be missing.
    """
    return {
        "post": {
            "summary": "Predict",
            "operationId": "predict",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _body(schema, nullable), "example": example}},
            },
            "responses": {
                "200": {"description": "The predictions.", "content": {"application/json": {"schema": _answer()}}},
                **{code: {"description": text} for code, text in _ERRORS.items()},
            },
        }
    }


def describe_invocations(schema: Schema, nullable: Sequence[bool]) -> dict[str, Any]:
    """The path item of /invocations: the four forms of MLflow's scoring protocol, and CSV."""
    rows, _, columns, records = _forms(schema, nullable)
    split = {
        "type": "object",
        "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": rows},
        "required": ["data"],
    }
    forms = {
        "dataframe_split": split,
        "dataframe_records": records,
        "instances": {"anyOf": [rows, records]},
        "inputs": {"anyOf": [rows, columns]},
    }
    body = {
        "oneOf": [
            {"type": "object", "properties": {name: form, "params": {"type": "object"}}, "required": [name]}
            for name, form in forms.items()
        ]
    }
    answer = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": {}}, "prediction_id": {"type": ["string", "null"]}},
        "required": ["predictions"],
    }
    return {
        "post": {
            "summary": "Predict, by MLflow's scoring protocol",
            "operationId": "invocations",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": body}, "text/csv": {"schema": {"type": "string"}}},
            },
            "responses": {
                "200": {"description": "The predictions.", "content": {"application/json": {"schema": answer}}},
                "400": {"description": "The body does not fit the signature; `message` names the place."},
                **{code: {"description": text} for code, text in _ERRORS.items() if code != "422"},
            },
        }
    }


def _body(schema: Schema, nullable: Sequence[bool]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"features": {"anyOf": _forms(schema, nullable)}},
        "required": ["features"],
        "additionalProperties": False,
    }


def _forms(schema: Schema, nullable: Sequence[bool]) -> list[dict[str, Any]]:
    """Rows, one row, columns and records."""
    types = [_type(column.kind, may_be_null) for column, may_be_null in zip(schema.columns, nullable, strict=True)]
    cells = [{**each, "title": name} for each, name in zip(types, schema.names, strict=True)]
    row = {"type": "array", "prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)}
    named = dict(zip(schema.names, types, strict=True))
    lists = {name: {"oneOf": [{"type": "array", "items": cell}, cell]} for name, cell in named.items()}
    required = [
        column.name
        for column, may_be_null in zip(schema.columns, nullable, strict=True)
        if column.required or not may_be_null
    ]
    return [
        {"title": "rows", "type": "array", "items": row},
        {"title": "one row", **row},
        {"title": "columns", "type": "object", "properties": lists, "required": required},
        {
            "title": "records",
            "type": "array",
            "items": {"type": "object", "properties": named, "required": required},
        },
    ]


def _type(kind: Kind, nullable: bool) -> dict[str, Any]:
    return {"type": [_TYPES[kind], "null"] if nullable else _TYPES[kind]}


def _answer() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "predictions": {"type": "array", "items": {}},
            "probabilities": {
                "type": ["array", "null"],
                "items": {"type": "array", "items": {"type": "number"}},
                "description": "One list per row, in the order of `target_classes` of /metadata.",
            },
            "model_version": {"type": "string"},
            "prediction_id": {
                "type": ["string", "null"],
                "description": "For /feedback; null for regressions, probes and more than 64 rows.",
            },
        },
        "required": ["predictions", "probabilities", "model_version", "prediction_id"],
    }
