"""Labels that an ONNX file shows plainly, and files that show none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sluice_server.runtimes.onnx_file import read
from sluice_server.runtimes.onnx_labels import labels

ROWS = helper.make_tensor_value_info("x", TensorProto.INT64, [None])
LABEL = helper.make_tensor_value_info("y", TensorProto.INT64, [None])
NAMES = numpy_helper.from_array(np.arange(500, 900), "names")


def found(folder: Path, *nodes: Any, external: bool = False) -> list[Any] | None:
    """The labels of a file with these nodes."""
    model = helper.make_model(helper.make_graph(list(nodes), "g", [ROWS], [LABEL], initializer=[NAMES]))
    onnx.save(model, folder / "m.onnx", save_as_external_data=external, location="names.bin", size_threshold=0)
    return labels(read(folder / "m.onnx"), folder)


def test_labels_that_are_selected_by_an_index_are_found(tmp_path: Path) -> None:
    """Also behind nodes that only pass them on, and in a file beside the model."""
    select = helper.make_node("Gather", ["names", "x"], ["z"])
    cast = helper.make_node("Cast", ["z"], ["y"], to=TensorProto.INT64)
    assert found(tmp_path, select, cast) == list(range(500, 900))
    assert found(tmp_path, select, cast, external=True) == list(range(500, 900))


def test_a_file_that_shows_none_has_none(tmp_path: Path) -> None:
    """Nodes in a circle, and a node without inputs."""
    circle = [helper.make_node("Identity", ["a"], ["y"]), helper.make_node("Identity", ["y"], ["a"])]
    assert found(tmp_path, *circle) is None
    assert found(tmp_path, helper.make_node("Identity", [], ["y"])) is None
    assert found(tmp_path, helper.make_node("Gather", [], ["y"])) is None
