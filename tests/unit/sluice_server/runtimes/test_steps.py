"""Rows that fit the signature, and that a step of the model does not take: the caller is told what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import CategoricalNB
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

from sluice_server.runtimes.port import NotFiniteError, UnfitRowsError
from sluice_server.runtimes.sklearn_model import SklearnModel

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
    ],
    ids=["splines", "logarithm", "counts"],
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
