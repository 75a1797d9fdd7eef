"""The command `convert`: replaces the fetched model by an ONNX file, if one gives the same answers.

Its result is the manifest in the model's folder: that of the ONNX file, or as it was with the reason. The model is
loaded as the serving process would load it, with the same checks and the same list of types.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path

import msgspec

from sluice_server.convert.parity import Parity, compare
from sluice_server.convert.reference import reference_rows
from sluice_server.convert.scikit_learn import candidates
from sluice_server.convert.tree_converters import NotConvertibleError
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import example_reader
from sluice_server.model import manifest
from sluice_server.model.manifest import CONVERTED, FILES, Manifest
from sluice_server.model.schema import Rows
from sluice_server.runtimes import onnx_model, sklearn_model
from sluice_server.runtimes.onnx import OnnxRuntime
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.sklearn_model import SklearnModel
from sluice_server.settings import ConvertSettings

logger = logging.getLogger("sluice.convert")
_FILE = "model.onnx"
_LONGEST = 110  # characters of an exception, so that both of them fit into the reason


def run(settings: ConvertSettings) -> int:
    """Converts, or writes down why not; gives the exit code, which is 0 in both cases."""
    converted, _ = convert(manifest.read(settings.model_dir), settings)
    manifest.write(converted, settings.model_dir)
    return 0


def convert(found: Manifest, settings: ConvertSettings) -> tuple[Manifest, Parity | None]:
    """The manifest of the converted model with its proof; or the one that was found with the reason, and None."""
    warnings.simplefilter("ignore")  # what libraries say of each other is for nobody who reads the log of a pod
    target = settings.model_dir / CONVERTED
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        converted, parity = _convert(found, settings, target / _FILE)
    except Exception as error:  # whatever stands in the way of a conversion, the model is served as it is
        reason = str(error) if isinstance(error, NotConvertibleError) else f"{type(error).__name__}: {error}"
        shutil.rmtree(target)
        logger.info("the model is not converted to ONNX: %s", reason)
        return manifest.not_converted(found, reason), None
    logger.info("the model is served by ONNX Runtime: %s", parity)
    return converted, parity


def _convert(found: Manifest, settings: ConvertSettings, target: Path) -> tuple[Manifest, Parity]:
    """The manifest of the first candidate that answers as the model does. Raises what stands in the way."""
    if found.example_is_made_up:
        raise NotConvertibleError("nobody knows where its data are: log it with input_example, some of its rows")
    schema, example = found.schema, _example(found)
    if not schema.is_numeric:
        raise NotConvertibleError("its signature has text or dates")
    types = sorted(SAFE_TYPES.union(settings.trusted_types))
    model = sklearn_model.load(
        settings.model_dir / FILES / found.model_file, schema, types, example, found.predict_function
    )
    rows = reference_rows(example, schema, model.nullable, found.digest)
    failures: list[str] = []
    for name, file in candidates(model, example):
        try:
            target.write_bytes(file())
            parity = _parity(target, model, found, rows, example)
        except Exception as error:  # a converter that lacks a part, or a file that ONNX Runtime does not load
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:_LONGEST]}")
            continue
        if parity.passes:
            return _described(found, model), parity
        failures.append(f"{name}: {parity}")
    raise NotConvertibleError("; ".join(failures))


def _parity(target: Path, model: SklearnModel, found: Manifest, rows: Rows, example: Rows) -> Parity:
    labels = None if model.classes is None else list(model.classes)
    converted = onnx_model.load(target, found.schema, example, labels, model.nullable, found.predict_function)
    if converted.classes != model.classes:
        raise NotConvertibleError(f"it has the classes {converted.classes}, and the model has {model.classes}")
    return compare(model, converted, rows, len(example))


def _described(found: Manifest, model: SklearnModel) -> Manifest:
    return msgspec.structs.replace(
        found,
        runtime=OnnxRuntime.name,
        model_file=_FILE,
        converted_from=found.runtime,
        classes=None if model.classes is None else list(model.classes),
        nullable=list(model.nullable),
    )


def _example(found: Manifest) -> Rows:
    rows = example_reader(found.schema).read(found.input_example["features"])
    if isinstance(rows, Rejection):
        raise NotConvertibleError("its input example does not fit its signature")
    return rows
