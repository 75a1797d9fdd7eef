"""MLflow's scoring protocol at /invocations: tables, records, columns and CSV in, `predictions` out.

What MLflow's own server would cut or guess is refused: 2.9 for a whole number, text for a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

import msgspec

from sluice_server.http import json_body
from sluice_server.http.dialects import csv_rows, parts
from sluice_server.http.dialects.port import STATUS, Body, Parsed
from sluice_server.inference import tables
from sluice_server.inference.cells import type_name
from sluice_server.inference.params import NO_PARAMS, ParamReader
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

_encode = msgspec.json.Encoder().encode
_SHOWN = 50  # names, and characters of one
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_ERROR_CODES = {  # those of MLflow
    Cause.INVALID: "INVALID_PARAMETER_VALUE",
    Cause.TOO_LARGE: "REQUEST_LIMIT_EXCEEDED",
    Cause.TOO_SLOW: "BAD_REQUEST",
    Cause.UNREADABLE: "INVALID_PARAMETER_VALUE",
    Cause.NOT_READY: "TEMPORARILY_UNAVAILABLE",
    Cause.OVERLOADED: "TEMPORARILY_UNAVAILABLE",
    Cause.LIMITED: "REQUEST_LIMIT_EXCEEDED",
    Cause.CROWDED: "REQUEST_LIMIT_EXCEEDED",
    Cause.FAILED: "INTERNAL_ERROR",
}


class MlflowDialect:
    """See `port.Dialect`."""

    status: ClassVar[Mapping[Cause, int]] = {**STATUS, Cause.INVALID: 400}
    format: ClassVar[str] = "JSON or CSV: send content-type: application/json or text/csv"

    def __init__(self, rows: RowReader, identity: Identity, params: ParamReader = NO_PARAMS) -> None:
        self.paths: tuple[str, ...] = ("/invocations",)
        self._rows = rows
        self._params = params
        self._any = msgspec.json.Decoder()

    def reads(self, content_type: str) -> bool:
        return json_body.is_json(content_type) or csv_rows.is_csv(content_type)

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        """The rows of one of the four forms, or of CSV; locations begin with the name of the form."""
        if csv_rows.is_csv(content_type):
            rows = csv_rows.read(body, self._rows)
            return rows if isinstance(rows, Rejection) else Parsed(rows)
        return json_body.too_many_parts(body, self._rows.max_rows) or self._parse_json(body)

    def write(self, prediction: Prediction, echo: Any) -> Body:
        records = parts.listed(prediction.output.values, prediction.output.records_of)
        return Body(_encode({"predictions": records, "prediction_id": prediction.id}))

    def write_rejection(self, rejection: Rejection) -> bytes:
        return _encode({"error_code": _ERROR_CODES[rejection.cause], "message": rejection.located})

    def _parse_json(self, body: bytes) -> Parsed | Rejection:
        try:
            content = self._decode(body)
        except json_body.NOT_JSON as error:
            return invalid((), "json_invalid", json_body.why(error, body))
        if not isinstance(content, dict):
            return invalid((), "dict_type", f"the body must be an object, not {type_name(content)}")
        forms = [form for form in _FORMS if form in content]
        if len(forms) != 1 or content.keys() - {*_FORMS, "params"}:
            found = ", ".join(repr(name[:_SHOWN]) for name in islice(content, _SHOWN)) or "nothing"
            return invalid((), "missing", f"the body must have one of {', '.join(_FORMS)}, and has {found[:200]}")
        (form,) = forms
        read = self._split if form == "dataframe_split" else self._values
        rows = read(content[form])
        if isinstance(rows, Rejection):
            return rows.below(form)
        # Of a model that takes none they are accepted, as MLflow does.
        params = self._params.read(content.get("params")) if self._params.names else None
        return params.below("params") if isinstance(params, Rejection) else Parsed(rows, params=params)

    def _decode(self, body: bytes) -> Any:
        """JSON, and what MLflow's own client sends of a table with missing values: NaN."""
        try:
            return json_body.decode(self._any, body)
        except json_body.NOT_JSON:
            try:
                return json_body.with_nan(body)
            except json_body.NOT_JSON:
                pass
            raise

    def _values(self, values: Any) -> Rows | Rejection:
        """Records, rows or columns; a list of single values has one column."""
        if isinstance(values, list) and values and not isinstance(values[0], list | dict):
            if len(values) > self._rows.max_rows:  # a million lists take a second
                return self._rows.too_many(len(values))
            values = [[value] for value in values]
        return self._rows.read(values)

    def _split(self, table: Any) -> Rows | Rejection:
        if not isinstance(table, dict) or not isinstance(table.get("data"), list):
            return invalid((), "missing", 'a table must be {"columns": [...], "data": [[...], ...]}')
        names, data = table.get("columns"), table["data"]
        if names is None:
            names = self._rows.schema.names
        elif not isinstance(names, list):
            return invalid(("columns",), "list_type", f"a list of names is needed, not {type_name(names)}")
        if refused := tables.too_wide(len(names), self._rows.schema):
            return refused.below("columns")
        called = tables.header(tuple(map(str, names)), self._rows.schema)
        if isinstance(called, Rejection):
            return called.below("columns")
        values = tables.rows(called, data, self._rows.schema)
        rows = values if isinstance(values, Rejection) else self._rows.read(values)
        return rows.below("data") if isinstance(rows, Rejection) else rows
