"""XGBoost models in its own formats, JSON and UBJSON: what is served of them. Both are data, whatever `trust` says.

XGBoost is imported when a model is loaded, not with this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes import inferred, xgboost_file
from sluice_server.runtimes.port import Allowed, Facts, LoadedModel, LoggedFlavor, ModelError
from sluice_server.runtimes.xgboost_file import CATEGORY

LIBRARY = "xgboost-cpu"  # the distribution without the libraries for GPUs, which are 20 times as large
_SERVED = ("core.Booster", "sklearn.XGB{}Classifier", "sklearn.XGB{}Regressor", "sklearn.XGBRanker")
_CLASSES = frozenset(f"xgboost.{name.format(forest)}" for name in _SERVED for forest in ("", "RF"))
_LOG_AGAIN = "log it with mlflow.xgboost.log_model(..., model_format='ubj') and XGBoost 2.0 or newer"
_TYPES = {"int": "long", "i": "boolean"}  # of XGBoost, and of MLflow; all others are numbers
_PER_VALUE, _PER_PART = 40, 300  # bytes that a number, or an object or list, of JSON takes when it is read


class XgboostFlavor(msgspec.Struct, frozen=True):
    """The part of MLmodel that mlflow.xgboost writes; before MLflow 1.22 every model was a Booster."""

    data: str = "model.xgb"
    model_class: str = "xgboost.core.Booster"
    model_format: str = "xgb"
    xgb_version: str = ""


class XgboostRuntime:
    """See `port.Runtime`."""

    name = "xgboost"
    flavor = "xgboost"
    libraries: tuple[str, ...] = (LIBRARY,)
    serves = f"XGBoost models: {_LOG_AGAIN}"

    def read(self, model: MLmodel) -> LoggedFlavor:
        fields = msgspec.convert(model.flavors.get(self.flavor) or {}, XgboostFlavor, strict=False)
        return LoggedFlavor(
            fields.data,
            fields.model_format,
            model.predict_function,
            {LIBRARY: fields.xgb_version},
            needs_python=False,
            model_class=fields.model_class,
            reads_older=True,
        )

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        if logged.model_class in _CLASSES:
            return None
        return Refused(
            "UnsupportedFlavor",
            f"the model is a {logged.model_class}, and this server serves {', '.join(sorted(_CLASSES))}: log one of "
            "them, such as model.get_booster()",
        )

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        """Everything that XGBoost would follow, before it does."""
        content = (folder / name).read_bytes()
        if not xgboost_file.is_known(content[:2]):
            return Refused("BadModelFile", f"{name} is neither JSON nor UBJSON of XGBoost: {_LOG_AGAIN}")
        needed, limit = _to_read(content), allowed.image.memory_limit
        if limit is not None and needed >= limit:
            return Refused(
                "ModelTooLarge",
                f"{name} needs {needed / 2**20:.0f} MiB to be read, and the memory limit of the server is "
                f"{limit / 2**20:.0f} MiB: log it with model_format='ubj', which needs less, or raise "
                "server.resources.limits.memory",
            )
        try:
            xgboost_file.read(content)
        except ModelError as error:
            return Refused("BadModelFile", f"{name} cannot be served: {error}")
        return None

    def facts(self, folder: Path, name: str) -> Facts:
        file = xgboost_file.read((folder / name).read_bytes())
        columns: Sequence[str | int] = file.names or range(file.width)
        known = {at: values[0] for at, values in zip(columns, file.categories, strict=True) if values}
        return Facts(known=known)

    def inputs(self, folder: Path, name: str) -> str | None:
        """Of categories before XGBoost 3.1 nobody knows the values; text can be among them."""
        file = xgboost_file.read((folder / name).read_bytes())
        pairs = list(zip(file.types, file.categories, strict=True))
        if any(kind == CATEGORY and not values for kind, values in pairs):
            return None
        types = [inferred.of_categories(values) if values else _TYPES.get(kind, "double") for kind, values in pairs]
        return inferred.of_columns(file.names, types)

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        from sluice_server.runtimes.xgboost_model import load  # noqa: PLC0415 - imports XGBoost

        return load(folder / found.model_file, found.schema, example)


def _to_read(content: bytes) -> int:
    """About how many bytes of memory it takes to read a file."""
    if content.startswith(b"{L"):
        return 3 * len(content)
    parts = content.count(b"{") + content.count(b"[")
    return 2 * len(content) + _PER_VALUE * content.count(b",") + _PER_PART * parts
