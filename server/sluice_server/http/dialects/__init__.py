"""The dialects of the prediction API: one module each, all behind `port.Dialect`.

A dialect translates bytes into rows, and predictions and rejections into bytes; it reads no socket and knows no model.
A new one gets a module here and a place in `DIALECTS`: `process/serve.py` makes one endpoint for each, and
`http/app.py` enters its description from `http/openapi.py`.
"""

from __future__ import annotations

from sluice_server.http.dialects.mlflow_scoring import MlflowDialect
from sluice_server.http.dialects.open_inference import OpenInferenceDialect
from sluice_server.http.dialects.plain import PlainDialect
from sluice_server.http.dialects.port import Dialect

DIALECTS: tuple[type[Dialect], ...] = (PlainDialect, MlflowDialect, OpenInferenceDialect)
OK = 200
CLIENT_GONE = 499  # the client went away before it got an answer; nginx made the number common
CODES = tuple(sorted({OK, CLIENT_GONE, *(code for dialect in DIALECTS for code in dialect.status.values())}))
