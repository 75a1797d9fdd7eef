"""Rows that fit the signature, and that a step of the model does not take: the caller is told what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_approximation import SkewedChi2Sampler
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    SplineTransformer,
    StandardScaler,
)

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes import onnx_model
from sluice_server.runtimes.port import NotFiniteError, UnfitRowsError
from sluice_server.runtimes.sklearn_model import SklearnModel
from sluice_server.runtimes.steps import refusal
from tests.unit.growth import LINEAR, growth

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Save, Start

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for what it rounds to infinity

FLOWERS, SPECIES = load_iris(return_X_y=True)
GOOD, HUGE, NEGATIVE = [5.1, 3.5, 1.4, 0.2], [1e30, 3.5, 1.4, 0.2], [-5.1, 3.5, 1.4, 0.2]
INPUTS = '[{"type": "string", "name": "city"}, {"type": "double", "name": "size"}]'
CITIES = np.array([["ulm", 1.0], ["rom", 2.0], ["bonn", 3.0]] * 50, dtype=object)


@pytest.mark.parametrize(
    "steps",
    [
        (PolynomialFeatures(2), RandomForestClassifier(2, random_state=0)),
        (FunctionTransformer(np.exp), LogisticRegression(max_iter=5_000)),
        (StandardScaler(), PolynomialFeatures(12), LinearRegression()),
    ],
    ids=["powers", "exponential", "regressor"],
)
def test_what_is_infinite_between_the_steps_of_a_model_refuses_the_request(steps: Any) -> None:
    """The next step raises then; nothing is wrong with the model."""
    model = SklearnModel(make_pipeline(*steps).fit(FLOWERS, SPECIES), FLOWERS[:1])
    with pytest.raises(NotFiniteError, match="a step of the model gets infinity for a row"):
        model.predict(np.array([GOOD, HUGE]))


@pytest.mark.parametrize(
    ("estimator", "row", "told"),
    [
        (make_pipeline(SplineTransformer(extrapolation="error"), LinearRegression()), HUGE, "limits of the knots"),
        (make_pipeline(PowerTransformer("box-cox"), LinearRegression()), NEGATIVE, "strictly positive data"),
        (CategoricalNB(), NEGATIVE, "Negative values in data passed to CategoricalNB"),
        (CategoricalNB(), [99, 3, 1, 0], "index 99 is out of bounds"),
        (RadiusNeighborsClassifier(), HUGE, "No neighbors found"),
        (make_pipeline(SkewedChi2Sampler(), LinearRegression()), NEGATIVE, "smaller than -skewedness"),
    ],
    ids=["splines", "logarithm", "counts", "categories", "neighbors", "kernel"],
)
def test_a_value_that_a_step_does_not_take_refuses_the_request(estimator: Any, row: Any, told: str) -> None:
    """With what scikit-learn says of it."""
    model = SklearnModel(estimator.fit(FLOWERS, SPECIES), FLOWERS[:1])
    with pytest.raises(UnfitRowsError, match=told):
        model.predict(np.array([GOOD, row]))


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()])
def test_a_category_that_an_encoder_does_not_know_is_the_callers(
    start: Start, save: Save, tmp_path: Path, encoder: Any
) -> None:
    """Encoders refuse them unless they are told otherwise, and a new city is no fault of the model."""
    to_numbers = make_column_transformer((encoder, [0]), remainder="passthrough")
    fitted = make_pipeline(to_numbers, LogisticRegression(max_iter=500)).fit(CITIES, SPECIES)
    client = start(model_dir=save(tmp_path / "model", fitted, inputs=INPUTS, example=("ulm", 1.0)))
    assert client.post("/predict", json={"features": [["rom", 1.0]]}).status_code == 200
    answer = client.post("/predict", json={"features": [["rom", 1.0], ["paris", 2.0]]})
    assert (answer.status_code, "paris" in answer.text, "handle_unknown" in answer.text) == (422, True, True)
    assert client.value("ml_requests_total", code="500") == 0


OPERATORS = [
    (helper.make_node("Gather", ["table", "x"], ["y"]), 99, "the operator Gather .* idx=99 must be within"),
    (helper.make_node("Div", ["seven", "x"], ["y"]), 0, "the operator Div .* division by zero"),
]


@pytest.mark.parametrize(("node", "value", "told"), OPERATORS, ids=["a table", "a division"])
def test_a_value_that_an_operator_does_not_take_refuses_the_request(
    tmp_path: Path, node: Any, value: int, told: str
) -> None:
    """An ONNX file with a table of users, and a user that it does not have."""
    known = [numpy_helper.from_array(np.arange(3), "table"), numpy_helper.from_array(np.array([7]), "seven")]
    ends = [[helper.make_tensor_value_info(name, TensorProto.INT64, [None])] for name in "xy"]
    proto = helper.make_model(
        helper.make_graph([node], "g", *ends, known), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    model = onnx_model.load(tmp_path / "model.onnx", Schema((Column("x", Kind.INTEGER),)), np.array([[1.0]]))
    assert len(model.predict(np.array([[1.0], [2.0]])).values) == 2
    with pytest.raises(UnfitRowsError, match=told):
        model.predict(np.array([[1.0], [float(value)]]))


def test_memory_that_is_not_there_is_no_fault_of_a_row() -> None:
    """It is one of the pod, and its callers may try again."""
    said = "Non-zero status code returned while running MatMul node. Name:'' Status Message: Failed to allocate memory"
    assert refusal(RuntimeError(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {said} for requested buffer")) is None


def test_other_faults_of_a_model_stay_its_own() -> None:
    """They are counted as errors, and no client is told to change its rows."""

    class Broken(LinearRegression):  # type: ignore[misc]  # scikit-learn has no types
        def predict(self, rows: Any) -> Any:
            if len(rows) > 1:
                raise ValueError("operands could not be broadcast together")
            return super().predict(rows)

    model = SklearnModel(Broken().fit(FLOWERS, SPECIES), FLOWERS[:1])
    with pytest.raises(ValueError, match="broadcast") as raised:
        model.predict(FLOWERS[:2])
    assert not isinstance(raised.value, UnfitRowsError)


def test_words_of_a_step_take_no_more_time_than_they_have_length() -> None:
    """An error repeats texts of the request, which its client may have written for the search."""
    assert growth(lambda length: refusal(ValueError("A value " * length))) < LINEAR
    assert growth(lambda length: refusal(ValueError("while running x node." * length))) < LINEAR
