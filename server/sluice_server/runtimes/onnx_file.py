"""What an ONNX file has to fulfil before ONNX Runtime may load it: its operators, and the files that it names.

ONNX Runtime does not follow a tree or an index beyond its arrays, and the memory of its tensors has a limit (see
`onnx_model`). So of the numbers in a file only those are checked that make it take other memory: as many outputs as
trees and texts say that they have, and texts themselves, of which each row may get a copy.
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
_NOT_SERVED = {
    "Loop": "which need not end: export the model without loops, for example with Scan, or with loops of a fixed "
    "length written out",
    "StringConcat": "whose texts may grow without end: put texts together before the model",
}
_MOST_OUTPUTS = {  # attributes that say how many numbers a row gets, and how many that may be
    "n_targets": 10_000,
    "targets": 10_000,
    "ngram_indexes": 10_000,  # or twice as many as there are
    "inputdimensions": 100_000,
}
_LONGEST_TEXT = 10_000  # bytes
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
    attributes = [each for node in nodes for each in node.attribute]
    attributes += [each for function in model.functions for each in function.attribute_proto]
    tensors = list(_all_tensors(model, attributes))
    return (
        _operators(model, nodes)
        or _outputs(attributes)
        or _texts(attributes, tensors)
        or _other_files(folder, name, tensors)
    )


def _operators(model: Any, nodes: Iterable[Any]) -> Refused | None:
    own = {(function.domain, function.name) for function in model.functions}
    custom = {node.domain for node in nodes if node.domain not in _STANDARD and (node.domain, node.op_type) not in own}
    if custom:
        return Refused(
            "UnsupportedOperators",
            f"the ONNX file needs operators of {', '.join(sorted(custom)[:5])}, which are not part of ONNX and code of "
            "their own: export the model with standard operators only",
        )
    for node in nodes:
        if why := _NOT_SERVED.get(node.op_type):
            return Refused("UnsupportedOperators", f"the ONNX file has the operator {node.op_type}, {why}")
    return None


def _outputs(attributes: Iterable[Any]) -> Refused | None:
    for each in attributes:
        most = max(_MOST_OUTPUTS.get(each.name, 0), 2 * len(each.ints) if each.name == "ngram_indexes" else 0)
        if each.name in _MOST_OUTPUTS and (each.ref_attr_name or _width(each) > most):
            what = "whatever its caller says" if each.ref_attr_name else str(_width(each))
            return Refused(
                "BadModelFile",
                f"the ONNX file has a node with a number of outputs for each row ({each.name}) of {what}, and at most "
                f"{most} are served: export a model with fewer outputs",
            )
    return None


def _width(attribute: Any) -> int:
    """How many numbers a row gets because an attribute says so, and not because the file has as many."""
    if attribute.name == "ngram_indexes":  # where the number of each word is
        return int(max(attribute.ints, default=-1)) + 1
    return int(attribute.i + sum(attribute.ints))


def _texts(attributes: Iterable[Any], tensors: Iterable[Any]) -> Refused | None:
    of_attributes = (text for each in attributes for text in (each.s, *each.strings))
    longest = max(map(len, chain(of_attributes, *(tensor.string_data for tensor in tensors))), default=0)
    if longest <= _LONGEST_TEXT:
        return None
    return Refused(
        "BadModelFile",
        f"the ONNX file has a text of {longest} bytes, and at most {_LONGEST_TEXT} are served, because each row may "
        "get a copy: export a model with shorter texts",
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


def _all_tensors(model: Any, attributes: Iterable[Any]) -> Iterator[Any]:
    graphs = [model.graph]
    for attribute in attributes:
        yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        graphs += [attribute.g, *attribute.graphs]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
