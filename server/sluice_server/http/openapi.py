"""The description of predictions in the OpenAPI document, made from the model's signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice_server.inference.cells import bounds
from sluice_server.inference.rows import RowReader
from sluice_server.model.schema import Column, Kind

_TYPES: Mapping[Kind, Mapping[str, str]] = {
    Kind.NUMBER: {"type": "number"},
    Kind.INTEGER: {"type": "integer"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.TEXT: {"type": "string"},
    Kind.DATE: {"type": "string", "format": "date-time"},
}
_ERRORS = {
    "408": "The body did not come in time.",
    "413": "The body or the number of rows is over its limit.",
    "415": "The body is not JSON.",
    "422": "The body does not fit the signature; `detail` names the field.",
    "429": "This client asks too often, or too many bodies are here; `Retry-After` says how many seconds to wait.",
    "500": "The model failed on this request.",
    "503": "No model is ready, or too many rows or bodies wait; `Retry-After` says how many seconds to wait.",
}
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "No model is ready, or the pod is being stopped."}}
NO_MODEL: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such model, or no such version of it."}}
_ERRORS_400 = {  # of the dialects that have 400 where /predict has 422
    "400": "The body does not fit the signature; the message names the place.",
    **{code: text for code, text in _ERRORS.items() if code != "422"},
}


def describe_predict(reader: RowReader, example: dict[str, Any]) -> dict[str, Any]:
    """The path item of /predict: one schema per accepted form, and the input example."""
    content = {"application/json": {"schema": _body(reader), "example": example}}
    return _operation("Predict", "predict", content, _answer(), _ERRORS)


def describe_invocations(reader: RowReader) -> dict[str, Any]:
    """The path item of /invocations: the four forms of MLflow's scoring protocol, and CSV."""
    rows, _, columns, records = _forms(reader)
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
    content = {"application/json": {"schema": body}, "text/csv": {"schema": {"type": "string"}}}
    return _operation("Predict, by MLflow's scoring protocol", "invocations", content, answer, _ERRORS_400)


def describe_infer(name: str) -> dict[str, Any]:
    """The path item of the Open Inference Protocol's predictions; the inputs are described at /v2/models/NAME."""
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
            "datatype": {"type": "string"},
            "parameters": {"type": "object"},
            "data": {"type": "array", "items": {}},
        },
        "required": ["name", "shape", "datatype"],
    }
    wanted = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    body = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": wanted},
        },
        "required": ["inputs"],
    }
    named = {"model_name": {"type": "string"}, "model_version": {"type": "string"}, "id": {"type": "string"}}
    answer = {
        "type": "object",
        "properties": {**named, "parameters": {"type": "object"}, "outputs": {"type": "array", "items": tensor}},
        "required": ["model_name", "outputs"],
    }
    content = {"application/json": {"schema": body}, "application/octet-stream": {"schema": {"type": "string"}}}
    return _operation("Predict, by the Open Inference Protocol", name, content, answer, _ERRORS_400)


def _operation(
    summary: str, name: str, content: dict[str, Any], answer: dict[str, Any], errors: Mapping[str, str]
) -> dict[str, Any]:
    """The path item of a POST: `content` by content type, the schema of its answer, the sentence of each error."""
    answered = {"description": "The predictions.", "content": {"application/json": {"schema": answer}}}
    return {
        "post": {
            "summary": summary,
            "operationId": name,
            "requestBody": {"required": True, "content": content},
            "responses": {"200": answered, **{code: {"description": text} for code, text in errors.items()}},
        }
    }


def _body(reader: RowReader) -> dict[str, Any]:
    features = _field("features", {"anyOf": _forms(reader)})
    if not reader.schema.is_one_text:
        return features
    text = {"type": "string"}
    return {"oneOf": [features, _field("text", {"oneOf": [text, {"type": "array", "items": text}]})]}


def _field(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An object with this field alone."""
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _forms(reader: RowReader) -> list[dict[str, Any]]:
    """Rows, one row, columns and records."""
    schema = reader.schema
    types = [_type(column, null) for column, null in zip(schema.columns, reader.nullable, strict=True)]
    cells = [{**each, "title": name} for each, name in zip(types, schema.names, strict=True)]
    row = {"type": "array", "prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)}
    named = dict(zip(schema.names, types, strict=True))
    lists = {name: {"oneOf": [{"type": "array", "items": cell}, cell]} for name, cell in named.items()}
    required = [name for name, needed in zip(schema.names, reader.required, strict=True) if needed]
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


def _type(column: Column, nullable: bool) -> dict[str, Any]:
    found = _TYPES[column.kind]
    return {**found, **_range(column), "type": [found["type"], "null"] if nullable else found["type"]}


def _range(column: Column) -> dict[str, float]:
    """What numbers of the column go to; nothing for what is no number."""
    if column.kind not in (Kind.NUMBER, Kind.INTEGER):
        return {}
    low, high = bounds(column)
    as_written = int if column.kind is Kind.INTEGER else float
    return {"minimum": as_written(low), "maximum": as_written(high)}


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
                "description": "For /feedback; null for probes, more than 64 rows, and numbers without a tolerance.",
            },
        },
        "required": ["predictions", "probabilities", "model_version", "prediction_id"],
    }
