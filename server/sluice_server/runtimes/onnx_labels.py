"""The labels of a classifier in an ONNX file: ONNX Runtime does not tell them, and its probabilities have no names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

_LABEL_TYPES = frozenset({onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.STRING})
_PASSING_ON = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Flatten"})
_SELECTING = frozenset({"ArrayFeatureExtractor", "Gather"})  # a label, by its index


def labels(model: Any, folder: Path) -> list[Any] | None:
    """The labels in the order of the probabilities; None where the graph does not show them plainly.

    `folder`: where the files are that it takes numbers from.
    """
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for output in graph.output:
        if output.type.tensor_type.elem_type not in _LABEL_TYPES:
            continue
        node, name = producers.get(output.name), output.name
        for _ in graph.node:  # a chain has no more, unless it is a circle
            if node is None or node.op_type not in _PASSING_ON or not node.input:
                break
            name = node.input[0]
            node = producers.get(name)
        if node is None:
            continue
        if node.op_type in _SELECTING and node.input and node.input[0] in constants:
            tensor = constants[node.input[0]]
            return _plain(numpy_helper.to_array(tensor, str(folder)).ravel().tolist())
        if node.output[0] == name and (found := _of_classifier(node)):
            return found
    return None


def _of_classifier(node: Any) -> list[Any]:
    """What the operators of ai.onnx.ml call `classlabels_...`."""
    for attribute in node.attribute:
        if attribute.name.startswith("classlabels_") and (attribute.ints or attribute.strings):
            return _plain(list(attribute.ints or attribute.strings))
    return []


def _plain(found: list[Any]) -> list[Any]:
    return [label.decode(errors="replace") if isinstance(label, bytes) else label for label in found]
