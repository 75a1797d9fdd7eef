"""Whether a logged model may and can be served here: pure checks on its file list and its MLmodel.

`CHECKS` has them in their order; the first one that refuses wins. What differs between kinds of models is decided by
the runtime. A refusal is permanent for this model version: its message says which field to set or which training line
to change. Nothing here opens the network or runs model code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import yaml

from sluice_server import runtimes
from sluice_server.model.file_names import is_inside
from sluice_server.model.mlmodel import PYTHON_FUNCTION, MLmodel
from sluice_server.model.params import ParamsError, parse_params
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import SignatureError, parse_inputs
from sluice_server.runtimes.port import Allowed, LoggedFlavor, Runtime
from sluice_server.settings import Trust

MAX_FILES = 1_000
MAX_MLMODEL = 2**20
NO_SIGNATURE = Refused(
    "NoSignature",
    "the model has no signature, so requests cannot be checked: log it with "
    "signature=mlflow.models.infer_signature(X, model.predict(X))",
)


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the artefact as the registry lists it; the size is None where the store does not know it."""

    path: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A logged model, the runtime that would serve it, and what MLmodel contains under that runtime's flavor."""

    model: MLmodel
    runtime: Runtime
    logged: LoggedFlavor

    @property
    def flavor(self) -> str:
        """What the model is, where the runtime runs any flavor."""
        return self.model.own_flavor if self.runs_code else self.runtime.flavor

    @property
    def params(self) -> str | None:
        """The signature's params, where there is code of the model that could use them."""
        return self.model.params if self.runs_code else None

    @property
    def runs_code(self) -> bool:
        """Whether the runtime runs the model's own code, whatever its flavor is."""
        return self.runtime.flavor == PYTHON_FUNCTION


def parse_mlmodel(text: str) -> MLmodel | Refused:
    """The MLmodel file as a value; refused if it is not what MLflow writes."""
    if len(text) > MAX_MLMODEL:
        return Refused("BadMLmodel", f"the file MLmodel has {len(text)} characters, and {MAX_MLMODEL} is the limit")
    try:
        # All scalars stay text, and become what a field needs: what YAML itself makes of tags, merge keys and numbers
        # to the base of 60 can take minutes and gigabytes, or raise anything.
        content = yaml.load(text, yaml.CBaseLoader)  # noqa: S506 - it makes less than the safe one
        model = msgspec.convert(content, MLmodel, strict=False)
        for runtime in runtimes.for_model(model):
            runtime.read(model)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        return Refused("BadMLmodel", f"the file MLmodel cannot be read ({_first_line(error)}): log the model again")
    return model


def check_files(files: Iterable[ListedFile], allowed: Allowed) -> Refused | None:
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
    return _fits(sum(file.size or 0 for file in files), allowed.image.memory_limit)


def choose(model: MLmodel, allowed: Allowed) -> tuple[Candidate, ...] | Refused:
    """The model with each runtime that accepts it, the preferred one first; refused if there is none.

    Flavor, serialization and trust decide: what one runtime refuses may be for another one of the same flavor.
    """
    accepted, refusals = list[Candidate](), list[Refused]()
    for runtime in runtimes.for_model(model):
        candidate = Candidate(model, runtime, runtime.read(model))
        if refused := check(candidate, allowed):
            refusals.append(refused)
        else:
            accepted.append(candidate)
    if accepted:
        return tuple(accepted)
    return the_one_to_tell(refusals, allowed) if refusals else _no_runtime(model)


def the_one_to_tell(refusals: Sequence[Refused], allowed: Allowed) -> Refused:
    """Of the refusals of all runtimes of a model, the one that helps.

    That is the first one's, whose kind of model it is. Under `trust: Code` the last one takes what others refuse.
    """
    return refusals[-1 if allowed.trust is Trust.CODE else 0]


def _no_runtime(model: MLmodel) -> Refused:
    flavors = ", ".join(sorted(model.flavors)) or "none"
    served = "; or ".join(runtime.serves for runtime in runtimes.RUNTIMES)
    return Refused("UnsupportedFlavor", f"the model has the flavors {flavors}, and this server serves {served}")


def check(candidate: Candidate, allowed: Allowed) -> Refused | None:
    """The first refusal of `CHECKS`, or None."""
    return next((refused for passes in CHECKS if (refused := passes(candidate, allowed))), None)


def _the_runtime_accepts_it(candidate: Candidate, allowed: Allowed) -> Refused | None:
    return candidate.runtime.check(candidate.logged, allowed)


def _the_library_versions_match(candidate: Candidate, allowed: Allowed) -> Refused | None:
    versions = []
    if candidate.logged.needs_python:
        versions.append(("Python", candidate.model.python_version, allowed.image.python))
    reads_older = candidate.logged.reads_older
    for library, logged in candidate.logged.library_versions.items():
        versions.append((library, logged, allowed.image.libraries[library]))
    for library, logged, here in versions:
        if logged and _minor(logged) != _minor(here) and not (reads_older and _release(logged) < _release(here)):
            or_older = " or older" if reads_older else ""
            return Refused(
                "LibraryMismatch",
                f"the model was logged with {library} {logged}, and this server image has {here}: train with "
                f"{library} {_minor(here)}{or_older}, or set server.image to one with {library} {_minor(logged)}",
            )
    return None


def _the_signature_can_be_served(candidate: Candidate, allowed: Allowed) -> Refused | None:
    if not candidate.model.inputs and candidate.runs_code:
        return NO_SIGNATURE
    try:
        if candidate.model.inputs:  # else the file may tell
            parse_inputs(candidate.model.inputs)
        parse_params(candidate.params)
    except (SignatureError, ParamsError) as error:
        return Refused("UnsupportedSignature", str(error))
    return None


def _the_model_fits_into_memory(candidate: Candidate, allowed: Allowed) -> Refused | None:
    return _fits(candidate.model.model_size_bytes or 0, allowed.image.memory_limit)


Check = Callable[[Candidate, Allowed], Refused | None]
CHECKS: tuple[Check, ...] = (
    _the_runtime_accepts_it,
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


def _release(version: str) -> tuple[int, ...]:
    """Major and minor as numbers, as far as they are; a version that is none is newer than all."""
    return tuple(int(part) if part.isdecimal() else 2**31 for part in version.split(".")[:2])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
