"""What an ONNX file has to fulfil before ONNX Runtime may load it: its operators, and the files that it names.

The numbers in it need no check here but one: ONNX Runtime does not follow a tree or an index beyond its arrays. But it
takes the memory for as many outputs as a tree says that it has, and on a node of Kubernetes nobody refuses it any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from sluice_server.model.refusal import Refused

_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_ENDLESS = "Loop"
_OUTPUTS = frozenset({"n_targets", "targets"})  # attributes of trees and linear models: how many numbers for a row
_MOST_OUTPUTS = 10_000
SUFFIX = ".onnx"


def read(file: Path) -> Any:
    """What is in a file, whatever it is called; raises what onnx does. Numbers in other files stay there."""
    return onnx.load(file, format="protobuf", load_external_data=False)


def check(folder: Path, name: str) -> Refused | None:
    """The first refusal; `name` is the model file below `folder`. Nothing of the model is run."""
    if not name.endswith(SUFFIX):  # by another one, ONNX Runtime reads another format, which nothing here checks
        return Refused(
            "BadModelFile",
            f"MLmodel names {name!r}, and an ONNX model is in a file {SUFFIX}: log the model again with "
            "mlflow.onnx.log_model",
        )
    try:
        model = read(folder / name)
    except (DecodeError, ValueError, RecursionError, OSError) as error:
        return Refused(
            "BadModelFile", f"{name} cannot be read as an ONNX file ({type(error).__name__}): log the model again"
        )
    if not model.graph.output:
        return Refused("BadModelFile", f"{name} holds no ONNX model with an output: log the model again")
    nodes = list(_all_nodes(model))
    tensors = list(_all_tensors(model, nodes))
    return _operators(model, nodes) or _outputs(nodes) or _other_files(folder, name, tensors)


def _operators(model: Any, nodes: Iterable[Any]) -> Refused | None:
    own = {(function.domain, function.name) for function in model.functions}
    custom = {node.domain for node in nodes if node.domain not in _STANDARD and (node.domain, node.op_type) not in own}
    if custom:
        return Refused(
            "UnsupportedOperators",
            f"the ONNX file needs operators of {', '.join(sorted(custom)[:5])}, which are not part of ONNX and code of "
            "their own: export the model with standard operators only",
        )
    if any(node.op_type == _ENDLESS for node in nodes):
        return Refused(
            "UnsupportedOperators",
            "the ONNX file has the operator Loop, which need not end: export the model without loops, for example with "
            "Scan, or with loops of a fixed length written out",
        )
    return None


def _outputs(nodes: Iterable[Any]) -> Refused | None:
    most = max((each.i for node in nodes for each in node.attribute if each.name in _OUTPUTS), default=0)
    if most <= _MOST_OUTPUTS:
        return None
    return Refused(
        "BadModelFile",
        f"the ONNX file has a node with {most} outputs for each row, and at most {_MOST_OUTPUTS} are served: export a "
        "model with fewer outputs",
    )


def _other_files(folder: Path, name: str, tensors: Iterable[Any]) -> Refused | None:
    """Numbers may be in files beside the model file, and in no others."""
    for tensor in tensors:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        path = (folder / name).parent / location
        if not _is_plain(location) or not path.is_file() or path.is_symlink():
            return Refused(
                "BadModelFile",
                f"{name} takes numbers from {location!r}, which is not a file of the artefact beside it: log the model "
                "again with mlflow.onnx.log_model, which puts the file there",
            )
    return None


def _is_plain(location: str) -> bool:
    return bool(location) and PurePosixPath(location).name == location and location not in (".", "..")


def _all_nodes(model: Any) -> Iterator[Any]:
    """The nodes of the graph, of its functions and of what these have as a default, and of graphs inside of nodes."""
    waiting = list(model.graph.node)
    for function in model.functions:
        waiting += [*function.node, *_inside(function.attribute_proto)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(_inside(node.attribute))


def _inside(attributes: Iterable[Any]) -> Iterator[Any]:
    """The nodes of the graphs that are values of attributes."""
    for attribute in attributes:
        yield from attribute.g.node
        yield from (node for graph in attribute.graphs for node in graph.node)


def _all_tensors(model: Any, nodes: Iterable[Any]) -> Iterator[Any]:
    graphs = [model.graph]
    defaults = (attribute for function in model.functions for attribute in function.attribute_proto)
    for attribute in chain(defaults, *(node.attribute for node in nodes)):
        yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        graphs += [attribute.g, *attribute.graphs]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
