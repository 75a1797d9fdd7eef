"""`sluice.json`: what `fetch` found out about a model and `serve` needs to know, stored next to the model's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from sluice_server.model.origin import Origin
from sluice_server.model.params import Param, parse_params
from sluice_server.model.reference import Reference
from sluice_server.model.schema import Schema, parse_inputs

FILES = "files"
CONVERTED = "converted"  # beside them: the digest of a manifest is that of what was logged
NAME = "sluice.json"
LONGEST_REASON = 300  # characters
EXAMPLE_ROWS = 5  # most rows of an input example


class SignatureText(msgspec.Struct, frozen=True):
    """The signature as MLflow stores it: JSON strings."""

    inputs: str
    outputs: str | None
    params: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """A fetched model. `model_file` is relative to `folder`; `input_example` is a body for /predict.

    `predict_function`: the method of the model that answers for it. `example_is_made_up`: none was logged that fits;
    `example_unfit`: the place and the fault of the one that was logged.
    `converted_from`: the runtime whose file was converted into the one that is served. `not_converted`: why there is no
    such file. `classes` and `nullable`: what `LoadedModel` has under these names, where the file does not tell.
    `is_steady`: see `Facts`. `signature_is_inferred`: see `Schema`.
    """

    digest: str
    runtime: str
    flavor: str
    model_file: str
    signature: SignatureText
    input_example: dict[str, Any]
    predict_function: str = "predict"
    example_is_made_up: bool = False
    example_unfit: str | None = None
    origin: Origin = Origin()
    reference: Reference | None = None
    converted_from: str | None = None
    not_converted: str | None = None
    classes: list[Any] | None = None
    nullable: list[bool] | None = None
    is_steady: bool = True
    signature_is_inferred: bool = False

    @property
    def folder(self) -> str:
        """The folder of the model file, in the model's folder."""
        return FILES if self.converted_from is None else CONVERTED

    @property
    def schema(self) -> Schema:
        return parse_inputs(self.signature.inputs, self.signature_is_inferred)

    @property
    def params(self) -> tuple[Param, ...]:
        """What requests may say beside their rows. Only the model's own code can make use of it."""
        return parse_params(self.signature.params)


def not_converted(found: Manifest, reason: str) -> Manifest:
    """The manifest of a model that is served as it was logged."""
    return msgspec.structs.replace(found, not_converted=" ".join(reason.split())[:LONGEST_REASON])


def write(manifest: Manifest, model_dir: Path) -> None:
    """Stores the manifest in the model folder."""
    (model_dir / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def read(model_dir: Path) -> Manifest:
    """The manifest of the model folder; FileNotFoundError or msgspec.DecodeError when there is none to use."""
    return msgspec.json.decode((model_dir / NAME).read_bytes(), type=Manifest)
