"""scikit-learn models saved with skops: what is served of them, and what is checked before a file is loaded.

skops and scikit-learn are imported when a file is checked or loaded, not with this module.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes import skops_signature
from sluice_server.runtimes.port import Allowed, Facts, LoadedModel, LoggedFlavor
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.settings import Trust

LIBRARY = "scikit-learn"
_BOOSTERS = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}  # compiled code follows their files, which have own checks
_PER_PART = 3_000  # bytes that a list or object of the structure takes: 2,100 with a thousand trees
_NO_LIMIT = 16 * 2**30  # bytes, where the container has no limit: the structure of no real model needs as much
_PREDICT_FUNCTIONS = ("predict", "predict_proba")
_LONGEST = 100  # characters of the name of a class
LOG_WITH_SKOPS = (
    "log it with mlflow.sklearn.log_model(..., serialization_format='skops'); where MLflow then asks for it, add "
    "skops_trusted_types=[...] with the types that it names"
)


class SklearnFlavor(msgspec.Struct, frozen=True):
    """The part of MLmodel that mlflow.sklearn writes; before MLflow 3.9 there was pickle only."""

    pickled_model: str = "model.pkl"
    serialization_format: str = "pickle"
    sklearn_version: str = ""


class SkopsRuntime:
    """See `port.Runtime`."""

    name = "skops"
    flavor = "sklearn"
    libraries: tuple[str, ...] = (LIBRARY,)
    serves = f"scikit-learn models: train one, and {LOG_WITH_SKOPS}"

    def read(self, model: MLmodel) -> LoggedFlavor:
        fields = msgspec.convert(model.flavors.get(self.flavor) or {}, SklearnFlavor, strict=False)
        return LoggedFlavor(
            fields.pickled_model, fields.serialization_format, model.predict_function, {LIBRARY: fields.sklearn_version}
        )

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        saved = logged.serialization
        if logged.predict_function not in _PREDICT_FUNCTIONS:
            return Refused(
                "UnsupportedPredictFunction",
                f"the model was logged with pyfunc_predict_fn={logged.predict_function!r}, and this server serves "
                f"{' and '.join(_PREDICT_FUNCTIONS)}: log it with one of them",
            )
        if saved == "skops":
            return None
        return Refused(
            "PickleNotTrusted",
            f"the model is saved as {saved}, and loading it would run code out of the file: {LOG_WITH_SKOPS}. After "
            "mlflow.sklearn.autolog(), which pickles, log the fitted model so, or set serialization_format='skops' "
            "there, with which it logs no model that needs skops_trusted_types. Or set trust: Code, if the "
            "administrator allows it",
        )

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        return check_archive(folder, name, allowed, SAFE_TYPES)

    def facts(self, folder: Path, name: str) -> Facts:
        return Facts()

    def inputs(self, folder: Path, name: str) -> str | None:
        return skops_signature.inputs(folder / name)

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        from sluice_server.runtimes.sklearn_model import load  # noqa: PLC0415 - imports scikit-learn

        types = sorted(SAFE_TYPES.union(trusted_types))
        return load(folder / found.model_file, found.schema, types, example, found.predict_function)


def check_archive(folder: Path, name: str, allowed: Allowed, safe: frozenset[str]) -> Refused | None:
    """The size that a skops file unpacks to, and the types that it would construct; `safe` are allowed in any case."""
    from skops.io import get_untrusted_types  # noqa: PLC0415 - imports scikit-learn

    limit = allowed.image.memory_limit or _NO_LIMIT
    try:
        with zipfile.ZipFile(folder / name) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            needed = max(size, _to_read_structure(archive))
        if needed >= limit:
            return Refused(
                "ModelTooLarge",
                f"{name} needs {needed / 2**20:.0f} MiB to be read, and the memory limit of the server is "
                f"{limit / 2**20:.0f} MiB: raise server.resources.limits.memory",
            )
        types = get_untrusted_types(file=folder / name)
        root = _root(folder / name) if set(types) - safe else ""
    except Exception as error:  # a hostile file may break the parser in any way; none of them is worth a retry
        return Refused(
            "BadModelFile", f"{name} cannot be read as a skops file ({type(error).__name__}): log the model again"
        )
    return check_types(types, allowed, safe, root)


def _to_read_structure(archive: zipfile.ZipFile) -> int:
    """About how many bytes of memory it takes to read the structure of a skops file, which is JSON in the archive."""
    size = parts = 0
    with archive.open("schema.json") as structure:
        while chunk := structure.read(2**20):
            size += len(chunk)
            parts += chunk.count(b"{") + chunk.count(b"[")
    return 2 * size + _PER_PART * parts


def _root(file: Path) -> str:
    """The class of what a skops file holds."""
    with zipfile.ZipFile(file) as archive:
        return str(json.loads(archive.read("schema.json"))["__class__"])[:_LONGEST]


def check_types(
    found: Iterable[str], allowed: Allowed, safe: frozenset[str] = SAFE_TYPES, root: str = ""
) -> Refused | None:
    """Refuses types beyond the safe ones and the operator's list; the list that the model carries proves nothing.

    `root`: the class of the model. One that searches has parts that no prediction asks.
    """
    unknown = sorted(set(found) - safe)
    beyond = sorted(set(unknown) - set(allowed.trusted_types))
    if not beyond and (not unknown or allowed.trust is not Trust.DATA):
        return None
    hint = "set `trust: TrustedTypes`"
    if beyond:
        hint += ", and have the administrator add them to SLUICE_TRUSTED_TYPES of the operator"
    is_search = root.endswith("SearchCV")
    boosters = [flavor for flavor in _BOOSTERS if any(each.startswith(f"{flavor}.") for each in unknown)]
    if boosters:
        return Refused(
            "UntrustedTypes",
            f"the model file holds an estimator of {_BOOSTERS[boosters[0]]} inside of another one, where its trees are "
            f"not checked: log {'search.best_estimator_' if is_search else 'that estimator'} alone with "
            f"mlflow.{boosters[0]}.log_model, trained on a table whose text is of the type category; or set trust: "
            "Code, if the administrator allows it",
        )
    instead = "Train without them"
    if is_search:
        instead = (
            f"It is a {root}, which keeps all of its search: log search.best_estimator_, which predicts the same "
            "without that; or train without them"
        )
    return Refused(
        "UntrustedTypes",
        f"the model file holds types that trust: {allowed.trust} does not allow: {_listed(beyond or unknown)}. "
        f"{instead}; or {hint}",
    )


def _listed(types: list[str]) -> str:
    return ", ".join(types[:10]) + (f" and {len(types) - 10} more" if len(types) > 10 else "")
