"""Whether a logged model may and can be served here: pure checks on its MLmodel, its file list and its types.

`RULES` reads as the policy; the first rule that refuses wins. A refusal is permanent for this model version: its
message says which field to set or which training line to change. Nothing here opens the network or runs model code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from sluice_server.model.schema import SignatureError, parse_inputs
from sluice_server.settings import Trust

MAX_FILES = 1_000
MAX_MLMODEL = 2**20
LOG_WITH_SKOPS = (
    "log it with mlflow.sklearn.log_model(..., serialization_format='skops', "
    "skops_trusted_types=['sklearn.tree._tree.Tree'])"
)


@dataclass(frozen=True, slots=True)
class Refused:
    """This model version will not be served; the reason is one word for machines, the message says what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Image:
    """What the model will run on: versions as `major.minor[.patch]`, memory limit in bytes (None: no limit)."""

    python: str
    sklearn: str
    memory_limit: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user allows (`trust`, the operator's own list of types) and what the image has."""

    trust: Trust
    trusted_types: tuple[str, ...]
    image: Image


class Signature(msgspec.Struct, frozen=True):
    """MLflow's signature: JSON strings inside of YAML."""

    inputs: str | None = None
    outputs: str | None = None


class SklearnFlavor(msgspec.Struct, frozen=True):
    """The part of MLmodel that mlflow.sklearn writes; before MLflow 3.9 there was pickle only."""

    pickled_model: str = "model.pkl"
    serialization_format: str = "pickle"
    sklearn_version: str = ""


class MLmodel(msgspec.Struct, frozen=True):
    """The parts of an MLmodel file that decide whether it can be served."""

    flavors: dict[str, dict[str, Any] | None] = {}
    signature: Signature | None = None
    model_size_bytes: int | None = None

    @property
    def sklearn(self) -> SklearnFlavor:
        return msgspec.convert(self.flavors.get("sklearn") or {}, SklearnFlavor, strict=False)

    @property
    def python_version(self) -> str:
        return str((self.flavors.get("python_function") or {}).get("python_version") or "")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the artefact as the registry lists it; the size is None where the store does not tell."""

    path: str
    size: int | None


def parse_mlmodel(text: str) -> MLmodel | Refused:
    """The MLmodel file as a value; refused if it is not what MLflow writes."""
    if len(text) > MAX_MLMODEL:
        return Refused("BadMLmodel", f"the file MLmodel has {len(text)} characters, and {MAX_MLMODEL} is the limit")
    try:
        model = msgspec.convert(yaml.safe_load(text), MLmodel, strict=False)
        _ = model.sklearn
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        return Refused("BadMLmodel", f"the file MLmodel cannot be read ({_first_line(error)}): log the model again")
    return model


def check_files(files: Iterable[ListedFile], policy: Policy) -> Refused | None:
    """Refuses an artefact without MLmodel, with names that lead elsewhere, or too large, before it is downloaded."""
    files = tuple(files)
    if not any(file.path == "MLmodel" for file in files):
        found = ", ".join(sorted(file.path for file in files)[:5]) or "nothing"
        return Refused(
            "NoMLmodel",
            f"the artefact has no file MLmodel at its top (found: {found}): the URI must name a model that was logged "
            "with mlflow.<flavor>.log_model",
        )
    if len(files) > MAX_FILES:
        return Refused("TooManyFiles", f"the artefact has {len(files)} files, and {MAX_FILES} is the limit")
    for file in files:
        if not is_inside(file.path):
            return Refused("UnsafePath", f"the artefact lists {file.path!r}, which leads out of its own folder")
    return _fits(sum(file.size or 0 for file in files), policy.image.memory_limit)


def is_inside(path: str) -> bool:
    """Whether a listed name stays below the folder that it is put into, on every file system."""
    parts = PurePosixPath(path).parts
    unsafe = ".." in parts or "\\" in path or ":" in path or "\0" in path
    return bool(parts) and not path.startswith("/") and not unsafe


def check(model: MLmodel, policy: Policy) -> Refused | None:
    """The first refusal of `RULES`, or None."""
    return next((refused for rule in RULES if (refused := rule(model, policy))), None)


def check_types(found: Iterable[str], policy: Policy) -> Refused | None:
    """Refuses types that are not on the operator's list; the list that the model carries itself proves nothing."""
    unknown = sorted(set(found) - set(policy.trusted_types))
    if not unknown:
        return None
    shown = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
    return Refused(
        "UntrustedTypes",
        f"the model file holds types that the operator does not trust: {shown}. Train without them, or have the "
        "administrator add them to the operator's list of trusted types",
    )


def _the_flavor_is_served(model: MLmodel, policy: Policy) -> Refused | None:
    if "sklearn" in model.flavors:
        return None
    flavors = ", ".join(sorted(set(model.flavors) - {"python_function"})) or "python_function only"
    return Refused(
        "UnsupportedFlavor",
        f"the model has the flavor {flavors}, and this server serves scikit-learn models: train one, and "
        f"{LOG_WITH_SKOPS}",
    )


def _the_serialization_is_trusted(model: MLmodel, policy: Policy) -> Refused | None:
    saved = model.sklearn.serialization_format
    if saved == "skops":
        if policy.trust is not Trust.DATA:
            return None
        return Refused(
            "SkopsNotTrusted",
            "trust: Data serves ONNX models only, and this one is scikit-learn saved with skops: "
            "set `trust: TrustedTypes`",
        )
    if policy.trust is Trust.CODE:
        return Refused(
            "PickleNotServed",
            f"trust: Code allows a model saved as {saved}, but this server does not load pickles: {LOG_WITH_SKOPS}",
        )
    return Refused(
        "PickleNotTrusted",
        f"the model is saved as {saved}, and loading it would run code out of the file, which trust: {policy.trust} "
        f"forbids: {LOG_WITH_SKOPS} and set `trust: TrustedTypes`",
    )


def _the_library_versions_match(model: MLmodel, policy: Policy) -> Refused | None:
    pairs = (
        ("Python", model.python_version, policy.image.python),
        ("scikit-learn", model.sklearn.sklearn_version, policy.image.sklearn),
    )
    for library, logged, here in pairs:
        if logged and _minor(logged) != _minor(here):
            return Refused(
                "LibraryMismatch",
                f"the model was logged with {library} {logged}, and this server image has {here}: train with "
                f"{library} {_minor(here)}, or set server.image to one with {library} {_minor(logged)}",
            )
    return None


def _the_signature_can_be_served(model: MLmodel, policy: Policy) -> Refused | None:
    if model.signature is None or not model.signature.inputs:
        return Refused(
            "NoSignature",
            "the model has no signature, so requests cannot be checked: log it with "
            "signature=mlflow.models.infer_signature(X, model.predict(X))",
        )
    try:
        parse_inputs(model.signature.inputs)
    except SignatureError as error:
        return Refused("UnsupportedSignature", str(error))
    return None


def _the_model_fits_into_memory(model: MLmodel, policy: Policy) -> Refused | None:
    return _fits(model.model_size_bytes or 0, policy.image.memory_limit)


Rule = Callable[[MLmodel, Policy], Refused | None]
RULES: tuple[Rule, ...] = (
    _the_flavor_is_served,
    _the_serialization_is_trusted,
    _the_library_versions_match,
    _the_signature_can_be_served,
    _the_model_fits_into_memory,
)


def _fits(size: int, limit: int | None) -> Refused | None:
    if limit is None or size < limit:
        return None
    return Refused(
        "ModelTooLarge",
        f"the model has {size / 2**20:.0f} MiB, and the memory limit of the server is {limit / 2**20:.0f} MiB: "
        "raise server.resources.limits.memory",
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
