"""ONNX files for a scikit-learn model, the most exact one first: in double precision, then in single precision.

ONNX Runtime does not have each operator in double precision. `convert.py` takes the first file that answers as the
model does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.ensemble import VotingClassifier
from sklearn.neighbors._base import NeighborsBase

from sluice_server.convert import imputer_converter, tree_converters
from sluice_server.convert.tree_converters import NotConvertibleError
from sluice_server.model.schema import Rows
from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.sklearn_model import SklearnModel

_ROWS, _ORDERED = "rows", "ordered_rows"
_NAME = "model"  # without one, each conversion would be another file
_TYPES = {"double precision": DoubleTensorType, "single precision": FloatTensorType}


def candidates(model: SklearnModel, example: Rows) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What each ONNX file is called, and what makes it: a model of one input, with the columns of `example`.

    Its outputs are labels and probabilities, labels alone, or numbers. Making one raises NotConvertibleError where its
    precision cannot hold the example, and whatever skl2onnx raises.
    """
    tree_converters.register()
    imputer_converter.register()
    for part in parts(model.estimator):
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False  # the converter refuses the other form, which no prediction asks for
        if isinstance(part, NeighborsBase):
            raise NotConvertibleError("it has neighbors, which ONNX would look for in each row that it was fitted on")
    for name, kind in _TYPES.items():
        yield name, partial(_file, model, example, kind)


def _file(model: SklearnModel, example: Rows, kind: type) -> bytes:
    if kind is FloatTensorType and not _is_held(example):
        raise NotConvertibleError("it cannot hold the whole numbers of the input example")
    converted = _converted(model.estimator, example.shape[1], kind)
    converted.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx has them in the order of a set
    if model.places is not None:
        _reorder(converted.graph, model.places)
    if not model.has_probabilities:
        del converted.graph.output[1:]  # of a classifier without them: its scores
    file: bytes = converted.SerializeToString()
    return file


def _is_held(example: Rows) -> bool:
    """Whether single precision has the whole numbers of the example: moments and identifiers may be too large."""
    whole = example[example == np.rint(example)]
    return bool((whole == whole.astype(np.float32)).all())


def _converted(estimator: Any, width: int, kind: type) -> Any:
    types = [(_ROWS, kind([None, width]))]
    try:
        return convert_sklearn(estimator, _NAME, types, options={id(estimator): {"zipmap": False}})
    except NameError:  # only classifiers have this option
        return convert_sklearn(estimator, _NAME, types)


def _reorder(graph: Any, places: list[int]) -> None:
    """Have the columns put into the order that the model was fitted with."""
    for node in graph.node:
        for at, name in enumerate(node.input):
            if name == _ROWS:
                node.input[at] = _ORDERED
    graph.initializer.append(numpy_helper.from_array(np.asarray(places, dtype=np.int64), "places"))
    graph.node.insert(0, onnx.helper.make_node("Gather", [_ROWS, "places"], [_ORDERED], axis=1))
