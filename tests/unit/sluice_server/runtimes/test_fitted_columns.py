"""Where an estimator hands its rows on as they are, the columns of the fit are those of the one that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes import estimator
from sluice_server.runtimes.port import ModelError
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.sklearn_model import SklearnModel, load

FLOWERS, KINDS = load_iris(return_X_y=True, as_frame=True)
TURNED = FLOWERS[FLOWERS.columns[::-1]]


def handing_on() -> Pipeline:
    return make_pipeline("passthrough", DecisionTreeClassifier(random_state=0))


ESTIMATORS: list[Any] = [
    handing_on(),
    make_pipeline(None, "passthrough", LogisticRegression(max_iter=500)),
    make_pipeline(make_pipeline("passthrough", StandardScaler()), LogisticRegression()),
    make_pipeline(make_pipeline("passthrough", "passthrough"), LogisticRegression(max_iter=500)),
    make_pipeline(
        SelectFromModel(handing_on(), importance_getter="named_steps.decisiontreeclassifier.feature_importances_"),
        StandardScaler(),
        LogisticRegression(),
    ),
    GridSearchCV(
        make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)), {"standardscaler": ["passthrough"]}
    ),
    CalibratedClassifierCV(handing_on()),
    OneVsRestClassifier(handing_on()),
    VotingClassifier([("a", handing_on())]),
]


def served(fitted: Any, folder: Path, names: list[str]) -> SklearnModel:
    skops.io.dump(fitted, folder / "m.skops")
    schema = Schema(tuple(Column(name, Kind.NUMBER) for name in names))
    return load(folder / "m.skops", schema, sorted(SAFE_TYPES), FLOWERS[names].to_numpy()[:2], "predict")


@pytest.mark.parametrize("unfitted", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_columns_in_another_order_are_put_into_that_of_the_fit(unfitted: Any, tmp_path: Path) -> None:
    """Whatever stands in front of the estimator that reads them."""
    fitted = unfitted.fit(FLOWERS, KINDS)
    output = served(fitted, tmp_path, list(TURNED.columns)).predict(TURNED.to_numpy())
    assert np.array_equal(output.values, fitted.predict(FLOWERS))


@pytest.mark.parametrize("unfitted", ESTIMATORS[:1] + ESTIMATORS[5:], ids=lambda each: type(each).__name__)
def test_fewer_columns_than_in_the_fit_are_refused(unfitted: Any, tmp_path: Path) -> None:
    """A tree would read what is beside the row in memory."""
    with pytest.raises(ModelError, match="fitted on 4 columns"):
        served(unfitted.fit(FLOWERS.to_numpy(), KINDS), tmp_path, list(TURNED.columns[:2]))


def test_a_step_that_passes_all_through_is_no_obstacle_for_the_conversion() -> None:
    """The converter knows estimators only."""
    fitted = make_pipeline("passthrough", make_pipeline(None, StandardScaler()), LogisticRegression()).fit(
        FLOWERS, KINDS
    )
    estimator.adapt(fitted)
    assert convert_sklearn(fitted, "model", [("rows", DoubleTensorType([None, 4]))]).graph.node
