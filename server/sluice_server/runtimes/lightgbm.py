"""LightGBM models: what is served of them. Boosters in LightGBM's text format, and its estimators in skops files.

Both are data, whatever `trust` says. LightGBM is imported when a model is loaded, not with this module.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes import inferred, lightgbm_file
from sluice_server.runtimes.port import Allowed, Facts, LoadedModel, LoggedFlavor, ModelError
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.skops import check_archive

LIBRARY = "lightgbm"
_BOOSTER = "lightgbm.basic.Booster"
_ESTIMATORS = frozenset(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor", "Ranker"))
ESTIMATOR_TYPES = SAFE_TYPES | _ESTIMATORS | {_BOOSTER, "collections.OrderedDict"}
_LOG_AGAIN = "log it with mlflow.lightgbm.log_model(..., serialization_format='skops')"


class LightgbmFlavor(msgspec.Struct, frozen=True):
    """The part of MLmodel that mlflow.lightgbm writes; before MLflow 3.9 estimators were pickles."""

    data: str = "model.lgb"
    model_class: str = _BOOSTER
    serialization_format: str = "pickle"
    lgb_version: str = ""


class LightgbmRuntime:
    """See `port.Runtime`."""

    name = "lightgbm"
    flavor = "lightgbm"
    libraries: tuple[str, ...] = (LIBRARY,)
    serves = f"LightGBM models: {_LOG_AGAIN}"

    def read(self, model: MLmodel) -> LoggedFlavor:
        fields = msgspec.convert(model.flavors.get(self.flavor) or {}, LightgbmFlavor, strict=False)
        return LoggedFlavor(
            fields.data,
            fields.serialization_format,
            model.predict_function,
            {LIBRARY: fields.lgb_version},
            needs_python=False,
            model_class=fields.model_class,
            reads_older=True,
        )

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        saved, is_estimator = logged.serialization, logged.model_class in _ESTIMATORS
        if logged.model_class == _BOOSTER or (is_estimator and saved == "skops"):
            return None
        if is_estimator:
            return Refused(
                "PickleNotTrusted",
                f"the model is saved as {saved}, and loading it would run code out of the file: {_LOG_AGAIN}; or set "
                "trust: Code, if the administrator allows it",
            )
        return Refused(
            "UnsupportedFlavor",
            f"the model is a {logged.model_class}, and this server serves {_BOOSTER} and "
            f"{', '.join(sorted(_ESTIMATORS))}: log one of them, such as model.booster_",
        )

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        """Everything that LightGBM would follow, before it does; of an estimator its types, and the rest at load."""
        if zipfile.is_zipfile(folder / name):
            return check_archive(folder, name, allowed, ESTIMATOR_TYPES)
        try:
            lightgbm_file.read((folder / name).read_bytes())
        except ModelError as error:
            return Refused("BadModelFile", f"{name} cannot be served: {error}")
        return None

    def facts(self, folder: Path, name: str) -> Facts:
        return Facts()

    def inputs(self, folder: Path, name: str) -> str | None:
        if zipfile.is_zipfile(folder / name):
            return None
        file = lightgbm_file.read((folder / name).read_bytes())
        types = [inferred.of_categories(values) if values else "double" for values in file.categories]
        return inferred.of_columns(file.names, types)

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        path = folder / found.model_file
        if zipfile.is_zipfile(path):
            from sluice_server.runtimes import lightgbm_estimator  # noqa: PLC0415 - imports scikit-learn

            types = ESTIMATOR_TYPES.union(trusted_types)
            return lightgbm_estimator.load(path, found.schema, types, example, found.example_is_made_up)
        from sluice_server.runtimes import lightgbm_model  # noqa: PLC0415 - imports LightGBM

        return lightgbm_model.load(path, found.schema, example, found.example_is_made_up)
