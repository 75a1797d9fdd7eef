"""Which models become ONNX, and that those answer as before; what happens to the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from sluice_server.convert import convert
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from sluice_server.runtimes import by_name
from sluice_server.runtimes.output import Output
from sluice_server.settings import ConvertSettings, LogFormat, LogSettings

# The libraries warn about each other; the command `convert` hears nothing of it either.
pytestmark = pytest.mark.filterwarnings("ignore")

FLOWERS, SPECIES = load_iris(return_X_y=True)
PATIENTS, PROGRESS = (each[:200] for each in load_diabetes(return_X_y=True))
WITH_GAPS = np.where(np.random.default_rng(0).random(FLOWERS.shape) < 0.1, np.nan, FLOWERS)
LOG = LogSettings("INFO", LogFormat.TEXT)


def converted(
    folder: Path, estimator: Any, features: NDArray[Any], target: Any, names: str = "", **fields: Any
) -> Manifest:
    """The manifest after `convert`, for a model with a column for each letter of `names`."""
    (folder / FILES).mkdir()
    file = folder / FILES / "model.skops"
    skops.io.dump(estimator.fit(features, target), file)
    columns = names or [f"x{at}" for at in range(features.shape[1])]
    inputs = json.dumps([{"type": "double", "name": name} for name in columns])
    example = np.nan_to_num(features[:3], nan=1.0).tolist()
    found = Manifest(
        "sha256:1f", "skops", "sklearn", file.name, SignatureText(inputs, None), {"features": example}, **fields
    )
    manifest.write(found, folder)
    types = tuple(skops.io.get_untrusted_types(file=file))
    assert convert.run(ConvertSettings(folder, types, LOG)) == 0
    return manifest.read(folder)


def answer(folder: Path, rows: NDArray[Any]) -> Output:
    """What the model in the folder gives, loaded as the serving process loads it."""
    found = manifest.read(folder)
    types = skops.io.get_untrusted_types(file=folder / FILES / "model.skops")
    model = by_name(found.runtime).load(folder / found.folder, found, tuple(types), rows[:1])
    return model.predict(rows)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=500),
        make_pipeline(StandardScaler(), LogisticRegression()),
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(20, random_state=0),
        ExtraTreesClassifier(10, random_state=0),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        AdaBoostClassifier(n_estimators=5, random_state=0),
        VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression(max_iter=500))], voting="soft"),
        SVC(),
        SVC(kernel="linear"),
        OneVsOneClassifier(GaussianNB()),
        GaussianNB(),
        make_pipeline(
            ColumnTransformer([("scaled", StandardScaler(), [0, 3])], remainder="passthrough"),
            RandomForestClassifier(5, random_state=0),
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifier_becomes_onnx_and_answers_as_before(estimator: Any, tmp_path: Path) -> None:
    """Labels, and probabilities where the model has them."""
    found = converted(tmp_path, estimator, FLOWERS, SPECIES)
    assert (found.runtime, found.converted_from, found.not_converted) == ("onnx", "skops", None)
    output = answer(tmp_path, FLOWERS)
    assert np.array_equal(output.values, estimator.predict(FLOWERS))
    assert output.classes is not None
    if hasattr(estimator, "predict_proba"):
        assert output.probabilities is not None
        assert np.allclose(output.probabilities, estimator.predict_proba(FLOWERS), rtol=0, atol=1e-5)
    else:
        assert output.probabilities is None


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), Ridge()),
        RandomForestRegressor(10, random_state=0),
        GradientBoostingRegressor(n_estimators=10, random_state=0),
        HistGradientBoostingRegressor(max_iter=10, random_state=0),
        BaggingRegressor(n_estimators=3, random_state=0),
        SVR(),
        MLPRegressor(max_iter=20, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_regressor_becomes_onnx_and_answers_as_before(estimator: Any, tmp_path: Path) -> None:
    """One number for each row."""
    assert converted(tmp_path, estimator, PATIENTS, PROGRESS).runtime == "onnx"
    assert np.allclose(answer(tmp_path, PATIENTS).values, estimator.predict(PATIENTS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", [LinearRegression(), RandomForestRegressor(5, random_state=0)])
def test_several_outputs_stay_several(estimator: Any, tmp_path: Path) -> None:
    """A list of numbers for each row."""
    assert converted(tmp_path, estimator, PATIENTS, np.column_stack([PROGRESS, -PROGRESS])).runtime == "onnx"
    assert np.allclose(answer(tmp_path, PATIENTS).values, estimator.predict(PATIENTS), rtol=1e-5)


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(10, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        make_pipeline(SimpleImputer(), GaussianNB()),
    ],
    ids=["tree", "forest", "histogram", "imputer"],
)
def test_missing_values_go_where_they_went_before(estimator: Any, tmp_path: Path) -> None:
    """Trained with gaps: thresholds are infinite, and each node has a direction for a value that is not there."""
    found = converted(tmp_path, estimator, WITH_GAPS, SPECIES)
    assert (found.runtime, found.nullable) == ("onnx", [True] * 4)
    output = answer(tmp_path, WITH_GAPS)
    assert np.array_equal(output.values, estimator.predict(WITH_GAPS))
    assert np.allclose(np.asarray(output.probabilities), estimator.predict_proba(WITH_GAPS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("labels", [np.array(["setosa", "b", "a"]), np.array([7, 3, 5]), np.array([1.0, 2.0, 3.0])])
@pytest.mark.parametrize("estimator", [GaussianNB(), RandomForestClassifier(5, random_state=0)])
def test_labels_keep_their_type_and_their_order(estimator: Any, labels: NDArray[Any], tmp_path: Path) -> None:
    """Text, whole numbers that do not count from 0, and floats, which an ONNX file cannot hold as labels."""
    found = converted(tmp_path, estimator, FLOWERS, labels[SPECIES])
    assert found.runtime == "onnx"
    output = answer(tmp_path, FLOWERS)
    assert output.values.tolist() == estimator.predict(FLOWERS).tolist()
    assert np.asarray(output.classes).tolist() == np.searchsorted(estimator.classes_, output.values).tolist()


def test_boolean_labels_stay_booleans(tmp_path: Path) -> None:
    """An ONNX file has 0 and 1 for them."""
    assert converted(tmp_path, LogisticRegression(max_iter=500), FLOWERS, SPECIES == 1).classes == [False, True]
    assert answer(tmp_path, FLOWERS).type_in_json == "boolean"


def test_predictions_may_be_the_probabilities(tmp_path: Path) -> None:
    """As for a model that was logged with pyfunc_predict_fn="predict_proba"."""
    estimator = LogisticRegression(max_iter=500)
    converted(tmp_path, estimator, FLOWERS, SPECIES, predict_function="predict_proba")
    assert np.allclose(answer(tmp_path, FLOWERS).values, estimator.predict_proba(FLOWERS))


def test_columns_in_another_order_are_put_into_that_of_the_fit(tmp_path: Path) -> None:
    """The signature names them dcba, the model was fitted on abcd."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(FLOWERS, columns=list("abcd"))
    estimator = GaussianNB().fit(table, SPECIES)
    (tmp_path / FILES).mkdir()
    skops.io.dump(estimator, tmp_path / FILES / "model.skops")
    inputs = json.dumps([{"type": "double", "name": name} for name in "dcba"])
    example = {"features": FLOWERS[:3, ::-1].tolist()}
    found = Manifest("sha256:1f", "skops", "sklearn", "model.skops", SignatureText(inputs, None), example)
    manifest.write(found, tmp_path)
    convert.run(ConvertSettings(tmp_path, (), LOG))
    assert manifest.read(tmp_path).runtime == "onnx"
    assert np.array_equal(answer(tmp_path, FLOWERS[:, ::-1]).values, estimator.predict(table))


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (TransformedTargetRegressor(Ridge(), transformer=StandardScaler()), "shape calculator"),
        (SGDClassifier(loss="log_loss", random_state=0), "rows differ too much"),
        (KNeighborsClassifier(), "neighbors"),
        (HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]), "categories"),
    ],
    ids=["no converter", "other labels", "neighbors", "categories"],
)
def test_what_cannot_be_proven_stays_as_it_was(estimator: Any, reason: str, tmp_path: Path) -> None:
    """The manifest says why, and the model is served by scikit-learn."""
    found = converted(tmp_path, estimator, FLOWERS, SPECIES)
    assert (found.runtime, found.model_file, found.converted_from) == ("skops", "model.skops", None)
    assert reason in str(found.not_converted)
    assert not (tmp_path / "converted").exists()
    assert np.array_equal(answer(tmp_path, FLOWERS[:5]).values, estimator.predict(FLOWERS[:5]))


def moments(rows: int = 150) -> tuple[NDArray[Any], NDArray[Any]]:
    """A moment in Unix seconds, within some hours of another, beside an ordinary number; and what follows from both."""
    chance = np.random.default_rng(0)
    hours, number = chance.normal(size=(2, rows))
    return np.column_stack([1.7e9 + np.round(hours * 7200), number]), np.sin(2 * hours) + number


def test_single_precision_is_not_taken_where_it_cannot_hold_the_example(tmp_path: Path) -> None:
    """A Unix time is rounded to two minutes there; far from the data, a model of it answers the same constant."""
    found = converted(tmp_path, make_pipeline(StandardScaler(), SVR()), *moments())
    assert found.runtime == "skops"
    assert "cannot hold" in str(found.not_converted)


def test_it_is_compared_where_its_data_are(tmp_path: Path) -> None:
    """Columns far from 0 that vary little: all that was learned is in a small part of the column's size."""
    features, target = moments()
    found = converted(tmp_path, make_pipeline(StandardScaler(), SVR()), features + 0.3, target)
    assert found.runtime == "skops"
    assert "rows differ too much" in str(found.not_converted)


def test_a_model_without_a_logged_example_stays_as_it_was(tmp_path: Path) -> None:
    """Rows around values that the server made up say nothing of where its data are."""
    found = converted(tmp_path, LinearRegression(), PATIENTS, PROGRESS, example_is_made_up=True)
    assert found.runtime == "skops"
    assert "log it with input_example" in str(found.not_converted)
