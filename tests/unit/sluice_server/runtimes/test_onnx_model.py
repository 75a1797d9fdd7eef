"""ONNX models as people log them: which inputs and outputs are served, and what is told of the others."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC

from sluice_server.model.schema import Column, Kind, Schema, parse_inputs
from sluice_server.runtimes import container_memory
from sluice_server.runtimes.onnx_labels import labels
from sluice_server.runtimes.onnx_model import OnnxModel, load
from sluice_server.runtimes.port import ModelError, NotFiniteError

FLOWERS, SPECIES = load_iris(return_X_y=True)
# skl2onnx asks scikit-learn's models for what will be gone some day.
pytestmark = pytest.mark.filterwarnings("ignore")
SCHEMA = Schema(tuple(Column(name, Kind.NUMBER) for name in "abcd"))
NAMES = np.array(["setosa", "versicolor", "virginica"])
FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


def model(tmp_path: Path, proto: Any, schema: Schema = SCHEMA, example: Any = FLOWERS[:2]) -> OnnxModel:
    """Loaded as `fetch` and the serving process do: with the labels that the file tells."""
    file = tmp_path / "model.onnx"
    file.write_bytes(proto.SerializeToString())
    return load(file, schema, example, labels(proto, tmp_path))


def graph(nodes: list[Any], inputs: list[tuple[str, int, Any]], outputs: list[tuple[str, int, Any]]) -> Any:
    infos = [[helper.make_tensor_value_info(*each) for each in side] for side in (inputs, outputs)]
    made = helper.make_graph(nodes, "g", *infos)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("zipmap", [True, False, "columns"])
@pytest.mark.parametrize("names", [np.array([0, 1, 2]), NAMES])
def test_a_classifier_gives_labels_and_probabilities(tmp_path: Path, zipmap: Any, names: Any) -> None:
    """Whether the probabilities are a tensor or one dict for each row; single columns for each class are not read."""
    estimator = LogisticRegression(max_iter=500).fit(FLOWERS, names[SPECIES])
    proto = to_onnx(estimator, FLOWERS[:1].astype(np.float32), options={id(estimator): {"zipmap": zipmap}})
    served = model(tmp_path, proto)
    output = served.predict(FLOWERS)
    assert output.values.tolist() == estimator.predict(FLOWERS).tolist()
    assert served.classes == tuple(names.tolist())
    if zipmap != "columns":
        assert np.allclose(np.asarray(output.probabilities), estimator.predict_proba(FLOWERS), atol=1e-5)
    assert np.array_equal(np.asarray(served.classes)[np.asarray(output.classes)], output.values)


def test_scores_are_no_probabilities(tmp_path: Path) -> None:
    """What the converter of an SVC calls so is none."""
    estimator = SVC().fit(FLOWERS, NAMES[SPECIES])
    proto = to_onnx(estimator, FLOWERS[:1].astype(np.float32), options={id(estimator): {"zipmap": False}})
    output = model(tmp_path, proto).predict(FLOWERS)
    assert output.probabilities is None
    assert output.values.tolist() == estimator.predict(FLOWERS).tolist()


def test_one_input_for_each_column_is_fed_by_its_name(tmp_path: Path) -> None:
    """The order of the inputs in the file is another one than that of the signature."""
    inputs = [(name, FLOAT, [None, 1]) for name in "dcba"]
    nodes = [helper.make_node("Concat", list("abcd"), ["y"], axis=1)]
    served = model(tmp_path, graph(nodes, inputs, [("y", FLOAT, [None, 4])]))
    assert np.allclose(served.predict(FLOWERS).values, FLOWERS)


def test_text_is_an_input_of_its_own(tmp_path: Path) -> None:
    """A column of text beside one of numbers."""
    schema = Schema((Column("a", Kind.NUMBER), Column("t", Kind.TEXT)))
    nodes = [
        helper.make_node("LabelEncoder", ["t"], ["n"], domain="ai.onnx.ml", keys_strings=["x"], values_floats=[10.0]),
        helper.make_node("Add", ["a", "n"], ["y"]),
    ]
    proto = graph(nodes, [("a", FLOAT, [None, 1]), ("t", TensorProto.STRING, [None, 1])], [("y", FLOAT, [None, 1])])
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    rows = np.array([[1.0, "x"], [2.0, "x"]], dtype=object)
    assert model(tmp_path, proto, schema, rows).predict(rows).values.tolist() == [11.0, 12.0]


def test_one_tensor_is_a_number_or_several_for_each_row(tmp_path: Path) -> None:
    """A column of numbers is one for each row."""
    single = to_onnx(Ridge().fit(FLOWERS, SPECIES), FLOWERS[:1].astype(np.float32))
    several = to_onnx(Ridge().fit(FLOWERS, np.eye(3)[SPECIES]), FLOWERS[:1].astype(np.float32))
    assert model(tmp_path, single).predict(FLOWERS[:7]).values.shape == (7,)
    assert model(tmp_path, several).predict(FLOWERS[:7]).values.shape == (7, 3)


def identity(kind: int = DOUBLE, shape: Any = (None, 4)) -> Any:
    return graph([helper.make_node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)])


def tensor(dtype: str) -> Schema:
    """As MLflow writes the signature of an array of this type."""
    spec = {"dtype": dtype, "shape": [-1, 4]}
    return parse_inputs(json.dumps([{"type": "tensor", "tensor-spec": spec}]))


NARROW = ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float16"]


@pytest.mark.parametrize("dtype", NARROW)
def test_a_narrow_type_is_served_where_the_signature_has_it(tmp_path: Path, dtype: str) -> None:
    """Rows beyond its range were refused before; within it, each number reaches the model as it is."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    as_numbers = helper.make_node("Cast", ["x"], ["y"], to=DOUBLE)
    proto = graph([as_numbers], [("x", kind, [None, 4])], [("y", DOUBLE, [None, 4])])
    schema = tensor(dtype)
    limits = schema.columns[0].range
    assert limits is not None
    rows = np.array([[max(limits.low, -(2.0**53)), min(limits.high, 2.0**53), 0.0, 1.0]])
    assert model(tmp_path, proto, schema, rows).predict(rows).values.tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("dtype", "logged"), [("int8", "int16"), ("int8", "int64"), ("uint8", "int8"), ("float16", "float32")]
)
def test_a_narrow_type_is_refused_for_columns_that_go_beyond_it(tmp_path: Path, dtype: str, logged: str) -> None:
    """A number beyond the type would be another one without a word."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    with pytest.raises(ModelError, match=r"log it with a signature of the same types"):
        model(tmp_path, identity(kind), tensor(logged), np.ones((1, 4)))


def test_no_whole_number_may_be_missing(tmp_path: Path) -> None:
    """NaN would become the smallest one, also in a column that the signature calls optional."""
    columns = tuple(Column(name, Kind.INTEGER, required=name != "d") for name in "abcd")
    as_numbers = helper.make_node("Cast", ["x"], ["y"], to=DOUBLE)
    proto = graph([as_numbers], [("x", INT64, [None, 4])], [("y", DOUBLE, [None, 4])])
    assert model(tmp_path, proto, Schema(columns), np.ones((1, 4))).nullable == (False,) * 4


@pytest.mark.parametrize(
    ("proto", "told"),
    [
        (identity(shape=(None, 3)), "the signature has 4 columns"),
        (identity(shape=(1, 4)), "takes 1 rows at a time"),
        (identity(INT64), "is a tensor(int64), and the signature calls column 'a' a number"),
        (identity(TensorProto.FLOAT16), "is a tensor(float16)"),
        (graph([helper.make_node("Identity", ["x"], ["y"])], [("x", FLOAT, [None, 2, 2])], [("y", FLOAT, None)]), "4"),
        (
            graph(
                [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])],
                [("x", FLOAT, [None, 4])],
                [("y", FLOAT, None), ("z", FLOAT, None)],
            ),
            "has the outputs 'y' tensor(float), 'z' tensor(float)",
        ),
    ],
    ids=["width", "batch", "whole numbers", "half precision", "rank", "outputs"],
)
def test_what_cannot_be_served_is_told_with_what_to_do(tmp_path: Path, proto: Any, told: str) -> None:
    """Before the first request."""
    with pytest.raises(ModelError) as refusal:
        model(tmp_path, proto)
    assert told in str(refusal.value)
    assert any(hint in str(refusal.value) for hint in ("export", "is served"))


def test_as_many_answers_as_the_example_has_rows_are_not_enough(tmp_path: Path) -> None:
    """An output of a fixed size has it by chance: four columns, and an example of four rows."""
    proto = graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=0)],
        [("x", FLOAT, [None, 4])],
        [("y", FLOAT, [4])],
    )
    with pytest.raises(ModelError, match="5 rows with 4 predictions"):
        model(tmp_path, proto, example=FLOWERS[:4])


def test_nan_is_no_prediction(tmp_path: Path) -> None:
    """ONNX Runtime refuses nothing."""
    served = model(tmp_path, identity())
    with pytest.raises(NotFiniteError):
        served.predict(np.full((1, 4), np.nan))


def test_a_value_may_be_missing_only_where_the_signature_says_so(tmp_path: Path) -> None:
    """An operator may make some number out of NaN, which nobody has trained."""
    columns = tuple(Column(name, Kind.NUMBER, required=name != "d") for name in "abcd")
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gaps"]),
        helper.make_node("Where", ["gaps", "zero", "x"], ["y"]),
    ]
    proto = graph(nodes, [("x", FLOAT, [None, 4])], [("y", FLOAT, [None, 4])])
    proto.graph.initializer.append(helper.make_tensor("zero", FLOAT, [1], [0.0]))
    assert model(tmp_path, proto, Schema(columns)).nullable == (False, False, False, True)


WITHIN_64_MIB = """
import sys, numpy
from pathlib import Path
from sluice_server.runtimes import onnx_model
onnx_model._has_limit = lambda: True
onnx_model.limit_memory(64 * 2**20)
for name in sys.argv[1:]:
    try:
        print(onnx_model.session(Path(name)).run(None, {"x": numpy.ones((1, 4), numpy.float32)})[0].shape)
    except Exception as error:
        print("Available memory" in str(error))
"""


def test_what_doubles_again_and_again_ends_before_the_memory(tmp_path: Path) -> None:
    """Four operators make 64 numbers of a row with four; twenty-four 64 million, which are 256 MiB."""
    for times in (4, 24):
        names = ["x", *(f"v{number}" for number in range(times - 1)), "y"]
        nodes = [helper.make_node("Concat", [a, a], [b], axis=1) for a, b in itertools.pairwise(names)]
        proto = graph(nodes, [("x", FLOAT, [None, 4])], [("y", FLOAT, [None, None])])
        (tmp_path / f"{times}.onnx").write_bytes(proto.SerializeToString())
    command = [sys.executable, "-c", WITHIN_64_MIB, "4.onnx", "24.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.splitlines() == ["(1, 64)", "True"]


@pytest.mark.parametrize(("taken", "left"), [(100, 775), (800, 250), (2_000, 250)])
def test_a_model_may_take_what_the_process_and_its_requests_leave(taken: int, left: int) -> None:
    """Of 1,000; and a quarter in any case."""
    assert container_memory.for_model(1_000, taken) == left
