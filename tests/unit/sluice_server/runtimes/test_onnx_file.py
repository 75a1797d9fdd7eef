"""What is looked into before an ONNX file is believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from sluice_server.model.refusal import Refused
from sluice_server.runtimes.onnx_file import check, read
from sluice_server.runtimes.onnx_steady import is_steady

ROWS = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
ANSWER = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def saved(folder: Path, *nodes: Any, functions: Any = (), **attributes: Any) -> Refused | None:
    """What the check says of a file with these nodes."""
    graph = helper.make_graph(list(nodes), "g", [ROWS], [ANSWER], **attributes)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9), folder / "m.onnx")
    return check(folder, "m.onnx")


def message(refused: Refused | None) -> tuple[str, str]:
    assert refused is not None
    return refused.reason, refused.message


IDENTITY = helper.make_node("Identity", ["x"], ["y"])


def test_standard_operators_and_functions_of_the_file_pass(tmp_path: Path) -> None:
    """A function is made of operators, whatever its domain is called."""
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Same", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], opset)
    assert saved(tmp_path, IDENTITY) is None
    assert saved(tmp_path, helper.make_node("Same", ["x"], ["y"], domain="own"), functions=[function]) is None


def test_operators_of_others_are_refused(tmp_path: Path) -> None:
    """They are code that is not in the file; also where they hide in a branch of an If."""
    custom = helper.make_node("Magic", ["x"], ["y"], domain="own")
    branch = helper.make_graph([custom], "branch", [], [ANSWER])
    hidden = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    for node in (custom, hidden):
        reason, told = message(saved(tmp_path, node))
        assert reason == "UnsupportedOperators"
        assert "operators of own" in told


def test_a_loop_is_refused(tmp_path: Path) -> None:
    """It need not end."""
    body = helper.make_graph([IDENTITY], "body", [], [])
    loop = helper.make_node("Loop", ["", ""], ["y"], body=body)
    assert message(saved(tmp_path, loop))[0] == "UnsupportedOperators"
    branch = helper.make_attribute("branch", helper.make_graph([loop], "branch", [], [ANSWER]))
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Hidden", ["a"], ["b"], [IDENTITY], opset, attribute_protos=[branch])
    hidden = helper.make_node("Hidden", ["x"], ["y"], domain="own")
    assert message(saved(tmp_path, hidden, functions=[function]))[0] == "UnsupportedOperators"


@pytest.mark.parametrize(
    ("operator", "attributes", "says"),
    [
        ("FeatureVectorizer", {"inputdimensions": [20_000_000]}, "(inputdimensions) of 20000000, and at most 100000"),
        ("FeatureVectorizer", {"inputdimensions": [60_000, 60_000]}, "(inputdimensions) of 120000"),
        ("LinearRegressor", {"targets": 1_000_000}, "(targets) of 1000000"),
        ("LabelEncoder", {"keys_int64s": [1], "values_strings": ["x" * 20_000]}, "a text of 20000 bytes"),
        ("LabelEncoder", {"default_string": "x" * 20_000}, "a text of 20000 bytes"),
    ],
)
def test_a_small_file_asks_for_no_large_answers(
    tmp_path: Path, operator: str, attributes: dict[str, Any], says: str
) -> None:
    """Each row would get that many numbers, or that text."""
    reason, told = message(saved(tmp_path, helper.make_node(operator, ["x"], ["y"], domain="ai.onnx.ml", **attributes)))
    assert (reason, says in told) == ("BadModelFile", True), told


def words(indexes: list[int]) -> Any:
    count = len(indexes)
    pool = {"pool_int64s": list(range(count)), "ngram_counts": [0], "ngram_indexes": indexes}
    modes = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0}
    return helper.make_node("TfIdfVectorizer", ["x"], ["y"], **pool, **modes)


def test_words_have_numbers_among_themselves(tmp_path: Path) -> None:
    """Many are well; a few with a number far beyond would take memory for all numbers before it."""
    assert saved(tmp_path, words(list(range(50_000)))) is None
    assert "(ngram_indexes) of 100000001, and at most 10000" in message(saved(tmp_path, words([0, 100_000_000])))[1]


def test_a_function_s_caller_does_not_choose_how_many(tmp_path: Path) -> None:
    """There it would have another name."""
    inner = helper.make_node("LinearRegressor", ["a"], ["b"], domain="ai.onnx.ml")
    ref = onnx.AttributeProto(name="targets", type=onnx.AttributeProto.INT, ref_attr_name="many")
    inner.attribute.append(ref)
    opsets = [helper.make_opsetid("ai.onnx.ml", 3)]
    function = helper.make_function("own", "Many", ["a"], ["b"], [inner], opsets, ["many"])
    outer = helper.make_node("Many", ["x"], ["y"], domain="own", many=1_000_000_000)
    assert "(targets) of whatever its caller says" in message(saved(tmp_path, outer, functions=[function]))[1]


def test_texts_are_not_put_together(tmp_path: Path) -> None:
    """Each node may make the text twice as long."""
    reason, told = message(saved(tmp_path, helper.make_node("StringConcat", ["x", "x"], ["y"])))
    assert (reason, "the operator StringConcat" in told) == ("UnsupportedOperators", True)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "missing.bin", "", ".", "link.bin", "folder"])
def test_numbers_of_another_place_are_refused(tmp_path: Path, location: str) -> None:
    """The file may name files beside it, and nothing else."""
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"x" * 100)
    (folder / "link.bin").symlink_to(tmp_path / "secret")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    for attributes, node in (
        ({"initializer": [tensor]}, IDENTITY),
        ({}, helper.make_node("Constant", [], ["y"], value=tensor)),
    ):
        reason, told = message(saved(folder, node, **attributes))
        assert reason == "BadModelFile"
        assert "log the model again" in told


def test_numbers_in_a_file_beside_it_pass(tmp_path: Path) -> None:
    """MLflow writes large models in this way."""
    (tmp_path / "weights").write_bytes(b"\0" * 8)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights")
    assert saved(tmp_path, helper.make_node("Add", ["x", "w"], ["y"]), initializer=[tensor]) is None


@pytest.mark.parametrize("name", ["m.ort", "m.json", "m.onnx.ort", "model"])
def test_a_file_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    """ONNX Runtime takes some names for a format of its own, in which nothing was checked."""
    assert saved(tmp_path, IDENTITY) is None
    (tmp_path / "m.onnx").rename(tmp_path / name)
    reason, told = message(check(tmp_path, name))
    assert (reason, "mlflow.onnx.log_model" in told) == ("BadModelFile", True)


BRANCH = helper.make_graph([helper.make_node("Constant", [], ["y"], value_float=1.0)], "branch", [], [ANSWER])
WHERE_VALUES_DECIDE = [
    helper.make_node("If", ["x"], ["y"], then_branch=BRANCH, else_branch=BRANCH),
    helper.make_node("Scan", ["x"], ["y"], body=BRANCH, num_scan_inputs=1),
    helper.make_node("Range", ["x", "x", "x"], ["y"]),
    helper.make_node("Same", ["x"], ["y"], domain="own"),
]


def test_a_model_is_steady_unless_values_decide_what_runs(tmp_path: Path) -> None:
    """Then the time that the example took says nothing of other rows, and the event loop must not run it."""
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Same", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], opset)
    assert saved(tmp_path, IDENTITY) is None
    assert is_steady(read(tmp_path / "m.onnx"))
    for node in WHERE_VALUES_DECIDE:
        assert saved(tmp_path, node, functions=[function] if node.domain else []) is None
        assert not is_steady(read(tmp_path / "m.onnx"))


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n", b"\x08" * 50, b"not an onnx file"])
def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    """In whichever way it breaks the parser."""
    (tmp_path / "m.onnx").write_bytes(content)
    assert message(check(tmp_path, "m.onnx"))[0] == "BadModelFile"


TREE = {
    "nodes_treeids": [0, 0, 0],
    "nodes_nodeids": [0, 1, 2],
    "nodes_featureids": [0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_values": [0.5, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0],
    "n_targets": 1,
    "target_treeids": [0, 0],
    "target_nodeids": [1, 2],
    "target_ids": [0, 0],
    "target_weights": [1.0, 2.0],
}
HOSTILE: list[dict[str, Any]] = [
    {"nodes_featureids": [10**8, 0, 0]},
    {"nodes_featureids": [-(10**8), 0, 0]},
    {"nodes_truenodeids": [10**8, 0, 0]},
    {"nodes_truenodeids": [0, 0, 0]},
    {"nodes_values": [0.5]},
    {"target_ids": [10**8, 0]},
    {"target_ids": [-5, 0]},
]
RUN = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
for name in sys.argv[1:]:
    try:
        session = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
        session.run(None, {"x": numpy.ones((3, 2), numpy.float32)})
        print("answered", name)
    except Exception as error:
        print("refused", name)
"""


def test_no_more_outputs_than_can_be_answered(tmp_path: Path) -> None:
    """ONNX Runtime takes the memory for all of them, and Linux as Kubernetes sets it up gives it until none is left."""
    for number, reason in ((10_000, None), (10_001, "BadModelFile"), (2**40, "BadModelFile")):
        node = helper.make_node(
            "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **TREE | {"n_targets": number}
        )
        refused = saved(tmp_path, node)
        assert (refused and refused.reason) == reason


def test_onnx_runtime_itself_refuses_trees_that_lead_elsewhere(tmp_path: Path) -> None:
    """So they are not checked here: a release that followed them would end this process, or never."""
    for number, changes in enumerate([{}, *HOSTILE]):
        node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **TREE | changes)
        saved(tmp_path, node)
        (tmp_path / "m.onnx").rename(tmp_path / f"{number}.onnx")
    files = [f"{number}.onnx" for number in range(len(HOSTILE) + 1)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *files], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.splitlines() == ["answered 0.onnx", *(f"refused {name}" for name in files[1:])]
