"""Sluice's own dialect at /predict: `{"features": ...}` in, predictions and probabilities out, FastAPI's `detail`.

A model whose rows are one text each takes `{"text": "..."}` and `{"text": ["...", "..."]}` as well.

The common form (rows of numbers) is decoded in one typed pass; everything else, including whatever is wrong, is decoded
to plain values and walked, so that the response can name the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from sluice_server.http import json_body, python_json
from sluice_server.http.dialects import parts
from sluice_server.http.dialects.port import STATUS, Body, Parsed
from sluice_server.inference.cells import Number, type_name
from sluice_server.inference.params import NO_PARAMS, ParamReader
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

_SHOWN = 300  # characters of a name
_encode = msgspec.json.Encoder().encode


class _Matrix(msgspec.Struct, forbid_unknown_fields=True):
    features: list[list[Number]]


class _MatrixWithMissing(msgspec.Struct, forbid_unknown_fields=True):
    features: list[list[Number | None]]


class _Answer(msgspec.Struct, gc=False):
    predictions: Any  # lists, as `parts.listed` has them
    probabilities: Any
    model_version: str
    prediction_id: str | None


class PlainDialect:
    """See `port.Dialect`."""

    status: ClassVar[Mapping[Cause, int]] = {**STATUS, Cause.INVALID: 422}
    format: ClassVar[str] = json_body.CONTENT_TYPE

    def __init__(self, rows: RowReader, identity: Identity, params: ParamReader = NO_PARAMS) -> None:
        self.paths: tuple[str, ...] = ("/predict",)
        self._rows = rows
        self._params = params
        self._model_version = identity.version
        self._matrix = msgspec.json.Decoder(_Matrix)
        self._matrix_with_missing = msgspec.json.Decoder(_MatrixWithMissing)
        self._any = msgspec.json.Decoder()

    def reads(self, content_type: str) -> bool:
        return json_body.is_json(content_type)

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        """The rows of `features`; locations begin with `body`, as FastAPI's do."""
        if refused := json_body.too_many_parts(body, self._rows.max_rows):
            return refused
        rows = self._parse_matrix(body) if self._rows.takes_matrix and not python_json.is_slow(body) else None
        if rows is None:
            return self._parse_any(body)
        return rows if isinstance(rows, Rejection) else Parsed(rows)

    def write(self, prediction: Prediction, echo: Any) -> Body:
        output = prediction.output
        answer = _Answer(
            parts.listed(output.values) if output.values.ndim == 1 else parts.listed(output.values, output.records_of),
            None if output.probabilities is None else parts.listed(output.probabilities),
            self._model_version,
            prediction.id,
        )
        return Body(_encode(answer))

    def write_rejection(self, rejection: Rejection) -> bytes:
        return _encode({"detail": detail(rejection)})

    def _parse_matrix(self, body: bytes) -> Rows | Rejection | None:
        """The rows of the common form; None for every other form and for whatever is wrong."""
        decoder = self._matrix_with_missing if self._rows.takes_missing else self._matrix
        try:
            return self._rows.read_matrix(decoder.decode(body).features)
        except json_body.NOT_JSON:
            return None

    def _parse_any(self, body: bytes) -> Parsed | Rejection:
        try:
            content = json_body.decode(self._any, body)
        except json_body.NOT_JSON as error:
            return invalid(("body",), "json_invalid", json_body.why(error, body))
        if not isinstance(content, dict):
            return invalid(("body",), "dict_type", f'the body must be {{"features": ...}}, not {type_name(content)}')
        params = self._params.read(content.pop("params")) if self._params.names and "params" in content else None
        if isinstance(params, Rejection):
            return params.below("body", "params")
        rows = self._read(content)
        return rows if isinstance(rows, Rejection) else Parsed(rows, params=params)

    def _read(self, content: dict[str, Any]) -> Rows | Rejection:
        """The rows of `features`, or of `text`."""
        if self._rows.schema.is_one_text and content.keys() == {"text"}:
            text = content["text"]
            rows = self._rows.read({self._rows.schema.names[0]: text if isinstance(text, list) else [text]})
            return rows.below("body", "text") if isinstance(rows, Rejection) else rows
        if fault := _other_fields(content):
            return fault
        rows = self._rows.read(content["features"])
        return rows.below("body", "features") if isinstance(rows, Rejection) else rows


def detail(rejection: Rejection) -> str | list[dict[str, Any]]:
    """FastAPI's `detail`: a list with the fault of an invalid value, or of the body as a whole; else a sentence."""
    if rejection.cause is not Cause.INVALID:
        return rejection.message
    return [{"type": rejection.kind, "loc": list(rejection.location) or ["body"], "msg": rejection.message}]


def _other_fields(content: dict[str, Any]) -> Rejection | None:
    """Rejects a body that is not an object with the one field `features`."""
    if "features" not in content:
        return invalid(("body", "features"), "missing", "the field 'features' is required")
    for field in content:
        if field != "features":
            message = f"there is no field {field[:_SHOWN]!r}; 'features' is the only one"
            return invalid(("body", field), "extra_forbidden", message)
    return None
