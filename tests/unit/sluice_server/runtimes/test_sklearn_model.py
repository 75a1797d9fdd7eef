"""What loaded estimators answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multiclass import OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import LinearSVC
from skops.io.exceptions import UntrustedTypesFoundException

from sluice_server.convert.parity import Parity, compare
from sluice_server.inference.batching import predict_together
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.schema import Column, Kind, Schema, parse_inputs
from sluice_server.runtimes.output import Output
from sluice_server.runtimes.port import ModelError
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.sklearn_model import SklearnModel, load

FEATURES, CLASSES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[CLASSES]
TREE = ("sklearn.tree._tree.Tree",)
SCHEMA = Schema(tuple(Column(name, Kind.NUMBER) for name in "0123"))
ROWS = np.random.default_rng(1).uniform(0, 8, (500, 4))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(20, random_state=0).fit(FEATURES, CLASSES),
        ExtraTreesClassifier(20, random_state=0).fit(FEATURES, NAMES),
        LogisticRegression(max_iter=500).fit(FEATURES, NAMES),
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(FEATURES, CLASSES),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_answers_are_those_of_scikit_learn_bit_by_bit(estimator: Any) -> None:
    """The short way through a forest, and every other way, gives what the estimator itself gives."""
    answer = SklearnModel(estimator, ROWS[:1]).predict(ROWS)
    assert np.array_equal(answer.values, estimator.predict(ROWS))
    assert answer.probabilities is not None
    assert np.array_equal(answer.probabilities, estimator.predict_proba(ROWS))
    assert np.array_equal(estimator.classes_[answer.classes], answer.values)


@pytest.mark.parametrize("function", ["predict", "predict_proba"])
@pytest.mark.parametrize("places", [None, (3, 1, 0, 2)])
def test_an_estimator_that_changes_its_input_answers_as_one_that_copies_it(
    function: str, places: tuple[int, ...] | None
) -> None:
    """For its probabilities, too; and the rows, which others still read, stay as they were."""
    copying, changing = (
        make_pipeline(StandardScaler(copy=copy), LogisticRegression()).fit(FEATURES.copy(), NAMES)
        for copy in (True, False)
    )
    example, rows = FEATURES[:1].copy(), FEATURES.copy()
    own, other = (SklearnModel(estimator, example, function, places) for estimator in (copying, changing))
    answer = other.predict(rows)
    assert np.array_equal(answer.values, own.predict(rows).values)
    assert np.array_equal(np.asarray(answer.probabilities), np.asarray(own.predict(rows).probabilities))
    assert all(map(np.array_equal, other.own(rows), own.own(rows)))
    assert compare(other, own, rows) == Parity(len(rows), 0, 0.0)
    assert np.array_equal(example, FEATURES[:1])
    assert np.array_equal(rows, FEATURES)


def test_a_classifier_without_probabilities_has_none() -> None:
    """Class indexes are there nevertheless, so feedback works."""
    answer = SklearnModel(LinearSVC().fit(FEATURES, NAMES), ROWS[:1]).predict(ROWS[:3])
    assert answer.probabilities is None
    assert answer.classes is not None


def test_a_regressor_has_values_only() -> None:
    """Neither probabilities nor classes."""
    features, target = load_diabetes(return_X_y=True)
    model = SklearnModel(LinearRegression().fit(features, target), features[:1])
    answer = model.predict(features[:3])
    assert model.classes is None
    assert (answer.probabilities, answer.classes) == (None, None)
    assert answer.values.shape == (3,)


def test_types_that_the_operator_does_not_trust_are_not_loaded(tmp_path: Path) -> None:
    """The list is the caller's; what the file says of itself does not count."""
    skops.io.dump(RandomForestClassifier(2).fit(FEATURES, CLASSES), tmp_path / "m.skops")
    assert load(tmp_path / "m.skops", SCHEMA, TREE, ROWS[:1], "predict").classes == (0, 1, 2)
    with pytest.raises(UntrustedTypesFoundException, match="Tree"):
        load(tmp_path / "m.skops", SCHEMA, (), ROWS[:1], "predict")


TWO = (CLASSES > 0).astype(int)


@pytest.mark.parametrize(
    ("estimator", "labels"),
    [
        (HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]), CLASSES),
        (HistGradientBoostingRegressor(max_iter=3, loss="poisson"), CLASSES),
        (TunedThresholdClassifierCV(LogisticRegression(max_iter=500)), TWO),
        (OutputCodeClassifier(LogisticRegression(max_iter=500), random_state=0), CLASSES),
        (CalibratedClassifierCV(LogisticRegression(max_iter=500), method="temperature"), CLASSES),
        (make_pipeline(SelectKBest(mutual_info_classif, k=2), LogisticRegression()), CLASSES),
        (make_pipeline(SplineTransformer(), LinearRegression()), CLASSES),
        (make_pipeline(SparseRandomProjection(2, random_state=0), LinearRegression()), CLASSES),
        (TweedieRegressor(power=1.5), CLASSES + 1.0),
        (TweedieRegressor(power=0.0), CLASSES),
        (PoissonRegressor(), CLASSES),
        (GammaRegressor(), CLASSES + 1.0),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_what_is_data_is_served_as_such(tmp_path: Path, estimator: Any, labels: Any) -> None:
    """Nothing has to be allowed for it, and it answers as scikit-learn does."""
    rows = np.column_stack([FEATURES[:, :3], np.rint(FEATURES[:, 3])])
    skops.io.dump(estimator.fit(rows, labels), tmp_path / "m.skops")
    served = load(tmp_path / "m.skops", SCHEMA, sorted(SAFE_TYPES), rows[:2], "predict")
    assert np.array_equal(served.predict(rows).values, estimator.predict(rows))


SINGLES = np.random.default_rng(2).choice(np.array([0.1, 0.5, 1.5, 2.5], dtype=np.float32), (60, 2))


@pytest.mark.parametrize("types", [["float", "float"], ["float", "double"]], ids=["single", "mixed"])
def test_a_model_of_single_precision_gets_numbers_of_it(types: list[str], tmp_path: Path) -> None:
    """To an encoder of float32, the 0.1 of JSON would be no category, without a word."""
    table = pd.DataFrame({"0": SINGLES[:, 0], "1": SINGLES[:, 1].astype(np.float64)})
    table = table if types[1] == "double" else table.astype(np.float32)
    encoders = [("single", OneHotEncoder(handle_unknown="ignore"), ["0"])]
    estimator = make_pipeline(ColumnTransformer(encoders, remainder=StandardScaler()), LinearRegression())
    estimator.fit(table, SINGLES.sum(axis=1))
    wanted = estimator.predict(table)
    schema = parse_inputs(json.dumps([{"name": str(at), "type": kind} for at, kind in enumerate(types)]))
    rows = RowReader(schema, 100).read([[round(float(one), 6), float(other)] for one, other in table.to_numpy()])
    assert not isinstance(rows, Rejection)
    skops.io.dump(estimator, tmp_path / "m.skops")
    served = load(tmp_path / "m.skops", schema, sorted(SAFE_TYPES), rows[:5], "predict")
    assert np.allclose(served.predict(rows).values, wanted, rtol=1e-6)
    if types == ["float", "float"]:
        assert np.array_equal(served.predict(rows).values, wanted)


def test_something_that_cannot_predict_is_refused(tmp_path: Path) -> None:
    """A skops file may hold anything."""
    skops.io.dump({"no": "model"}, tmp_path / "m.skops")
    with pytest.raises(ModelError, match="a dict, which has no predict"):
        load(tmp_path / "m.skops", SCHEMA, (), ROWS[:1], "predict")


def test_parallel_estimators_are_made_sequential(tmp_path: Path) -> None:
    """One worker thread asks the model; a pool of its own would cost more than one row."""
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(2, n_jobs=-1)).fit(FEATURES, CLASSES)
    skops.io.dump(estimator, tmp_path / "m.skops")
    model = load(tmp_path / "m.skops", SCHEMA, TREE, ROWS[:1], "predict")
    assert model.estimator.steps[-1][1].n_jobs == 1


def test_probabilities_of_several_outputs_are_given_row_by_row(tmp_path: Path) -> None:
    """scikit-learn gives a list of outputs: two of them are not the answers to an example of two rows."""
    both = np.column_stack([CLASSES % 2, CLASSES > 0]).astype(int)
    estimator = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(FEATURES, both)
    skops.io.dump(estimator, tmp_path / "m.skops")
    served = load(tmp_path / "m.skops", SCHEMA, (), FEATURES[:2], "predict_proba")
    first, second = predict_together(served.predict, [FEATURES[:1], FEATURES[149:]])
    for output, row in ((first, FEATURES[:1]), (second, FEATURES[149:])):
        assert isinstance(output, Output)
        assert np.allclose(output.values[0], [shares[0] for shares in estimator.predict_proba(row)])


def test_outputs_with_other_numbers_of_classes_are_told(tmp_path: Path) -> None:
    """Their probabilities have no shape; the author hears what can be logged instead."""
    both = np.column_stack([CLASSES, CLASSES > 0]).astype(int)
    estimator = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(FEATURES, both)
    skops.io.dump(estimator, tmp_path / "m.skops")
    with pytest.raises(ModelError, match="2 and 3 classes"):
        load(tmp_path / "m.skops", SCHEMA, (), FEATURES[:2], "predict_proba")
