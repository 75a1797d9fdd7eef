"""ONNX models, logged with mlflow.onnx or converted from another kind: what is served of them, and their checks.

`onnx` is imported when a file is checked, ONNX Runtime when it is loaded; neither with this module.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes.port import Allowed, Facts, LoadedModel, LoggedFlavor


class OnnxFlavor(msgspec.Struct, frozen=True):
    """The part of MLmodel that mlflow.onnx writes."""

    data: str = "model.onnx"


class OnnxRuntime:
    """See `port.Runtime`."""

    name = "onnx"
    flavor = "onnx"
    libraries: tuple[str, ...] = ()
    serves = "ONNX models: log one with mlflow.onnx.log_model(..., signature=...)"

    def read(self, model: MLmodel) -> LoggedFlavor:
        fields = msgspec.convert(model.flavors.get(self.flavor) or {}, OnnxFlavor, strict=False)
        return LoggedFlavor(fields.data, "onnx", "predict", {}, needs_python=False)

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        return None  # a file of this format is data, whoever made it

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        """The structure of the model, the operators that it needs, and files beside it."""
        from sluice_server.runtimes.onnx_file import check  # noqa: PLC0415 - imports onnx

        return check(folder, name)

    def facts(self, folder: Path, name: str) -> Facts:
        from sluice_server.runtimes import onnx_file, onnx_labels, onnx_steady  # noqa: PLC0415 - import onnx

        model = onnx_file.read(folder / name)
        return Facts(onnx_labels.labels(model, folder), onnx_steady.is_steady(model))

    def inputs(self, folder: Path, name: str) -> str | None:
        from sluice_server.runtimes import onnx_file, onnx_signature  # noqa: PLC0415 - import onnx

        return onnx_signature.inputs(onnx_file.read(folder / name))

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        from sluice_server.runtimes.onnx_model import load  # noqa: PLC0415 - imports ONNX Runtime

        file = folder / found.model_file
        return load(file, found.schema, example, found.classes, found.nullable, found.predict_function)
