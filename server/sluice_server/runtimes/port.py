"""What each kind of model has to offer: to `fetch` its checks, to the serving process its loading.

`fetch` calls `read`, `check`, `check_file`, `facts` and `inputs`, which construct nothing out of the model. The serving
process calls `load` once. A runtime's library takes most of a start to import, so it is imported by these functions and
not with the module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output
from sluice_server.settings import Trust


class ModelError(Exception):
    """The file holds something that cannot serve predictions; the message says what, and what to do."""


class OtherAnswersError(ModelError):
    """The short way that this server takes through a model does not lead where the library's own one does."""

    def __init__(self) -> None:
        super().__init__("the answers of this server are not those of the model itself: please report this")


class UnfitRowsError(ValueError):
    """Rows that fit the signature and cannot be given to the model all the same; the message is for callers."""


class NotFiniteError(UnfitRowsError):
    """Rows to which the model has no finite answer; see `finite`."""


@dataclass(frozen=True, slots=True)
class Image:
    """What the model will run on: versions as `major.minor[.patch]`, memory limit in bytes (None: no limit).

    `libraries` holds the version of every distribution in the image, by its normalized name.
    """

    python: str
    libraries: Mapping[str, str]
    memory_limit: int | None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the user allows (`trust`, the operator's own list of types) and what the image has."""

    trust: Trust
    trusted_types: tuple[str, ...]
    image: Image


@dataclass(frozen=True, slots=True)
class LoggedFlavor:
    """What an MLmodel contains under the flavor of one runtime; nothing of it is proven.

    `model_file` is relative to the model's folder; `predict_function` is the method that answers for the model;
    `library_versions` are those that the model was logged with, empty where MLmodel does not say.
    `needs_python`: whether the file is for the minor version of Python that it was logged with, as a pickle is.
    `model_class`: the class of the model, where the flavor has it. `reads_older`: the library reads files of older
    versions of itself, so that only a newer one than the image's is refused.
    """

    model_file: str
    serialization: str
    predict_function: str
    library_versions: Mapping[str, str]
    needs_python: bool = True
    model_class: str = ""
    reads_older: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a checked file tells of its model without being loaded.

    `classes`: the labels of a classifier in the order of its probabilities; None where `load` finds them, or nobody
    does. `is_steady`: whether each row takes the model about as long, so that what was measured is what to expect.
    `known`: values that it knows, by the column of the fit that takes no others; for a made-up example.
    """

    classes: list[Any] | None = None
    is_steady: bool = True
    known: Mapping[str | int, Any] = field(default_factory=dict)


class LoadedModel(Protocol):
    """A model in memory; never asked by two threads at a time."""

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels of a classifier in the order of its class indexes; None for everything else."""

    @property
    def nullable(self) -> tuple[bool, ...]:
        """For each column of the signature, whether it takes rows without a value there."""

    def predict(self, rows: Rows) -> Output:
        """The output for rows of shape (rows, columns), NaN where a value is missing; may raise anything."""


@runtime_checkable
class CodeModel(LoadedModel, Protocol):
    """A model that is somebody's own code, so that nothing is known of what it does with a row."""

    def predict_with(self, rows: Rows, params: Mapping[str, Any] | None) -> Output:
        """As `predict`, with the params of one request; None if it has none."""


class Runtime(Protocol):
    """One kind of model.

    `name` is its name in the manifest and in `ml_model_info`, `flavor` the MLflow flavor that it serves, `libraries`
    the distributions whose minor version must be the one that the model was logged with, or no older one. `serves`
    completes the sentence "this server serves ..." for a model of another kind.
    """

    name: str
    flavor: str
    libraries: tuple[str, ...]
    serves: str

    def read(self, model: MLmodel) -> LoggedFlavor:
        """The fields of the flavor; raises msgspec.ValidationError if they are not what MLflow writes."""

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        """Refuses a serialization that is not allowed or not known here; before the model file is downloaded."""

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        """Checks the downloaded model file (`name` below `folder`) without constructing anything of it."""

    def facts(self, folder: Path, name: str) -> Facts:
        """What a file that was checked tells of its model."""

    def inputs(self, folder: Path, name: str) -> str | None:
        """The inputs of a signature, as MLmodel would have it, out of a checked file whose model has none.

        None where the file does not tell the columns and their types.
        """

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        """The model that `found` describes, with its files in `folder`. Called in the worker thread.

        It has answered the rows of `example`, and as its library does. Raises ModelError, and whatever else stands in
        the way.
        """
