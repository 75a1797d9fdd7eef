"""Which scikit-learn models become ONNX, and how far the answers differ: a table in Markdown.

    .venv/bin/python -m dev.bench.conversions [NAME...]

Each model is fitted on a data set that comes with scikit-learn, saved with skops, and converted as `prepare` does it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn import (
    calibration,
    compose,
    cross_decomposition,
    datasets,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)

from sluice_server.convert.convert import convert
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from sluice_server.settings import ConvertSettings, LogFormat, LogSettings

FLOWERS, SPECIES = datasets.load_iris(return_X_y=True)
CELLS, TUMOURS = (each[:300] for each in datasets.load_breast_cancer(return_X_y=True))
PATIENTS, PROGRESS = datasets.load_diabetes(return_X_y=True)
WITH_GAPS = np.where(np.random.default_rng(0).random(FLOWERS.shape) < 0.1, np.nan, FLOWERS)
TWO_LABELS = np.column_stack([SPECIES, SPECIES == 1])
TWO_NUMBERS = np.column_stack([PROGRESS, 2 * PROGRESS])


@dataclass(frozen=True)
class Case:
    """A model that was not fitted yet, and the data for it; `target` is None where there is nothing to predict."""

    name: str
    estimator: Any
    features: NDArray[np.float64]
    target: NDArray[Any] | None


def classifiers() -> Iterator[Case]:
    """Models of iris, and of two classes."""
    logistic = linear_model.LogisticRegression(max_iter=500)
    for name, estimator in {
        "LogisticRegression": logistic,
        "SGDClassifier": linear_model.SGDClassifier(random_state=0),
        "SGDClassifier, log_loss": linear_model.SGDClassifier(loss="log_loss", random_state=0),
        "RidgeClassifier": linear_model.RidgeClassifier(),
        "Perceptron": linear_model.Perceptron(),
        "LinearDiscriminantAnalysis": discriminant_analysis.LinearDiscriminantAnalysis(),
        "QuadraticDiscriminantAnalysis": discriminant_analysis.QuadraticDiscriminantAnalysis(),
        "DecisionTreeClassifier": tree.DecisionTreeClassifier(random_state=0),
        "RandomForestClassifier, 100 trees": ensemble.RandomForestClassifier(100, random_state=0),
        "ExtraTreesClassifier": ensemble.ExtraTreesClassifier(50, random_state=0),
        "GradientBoostingClassifier": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
        "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
        "AdaBoostClassifier": ensemble.AdaBoostClassifier(n_estimators=10, random_state=0),
        "BaggingClassifier": ensemble.BaggingClassifier(n_estimators=5, random_state=0),
        "VotingClassifier, soft": ensemble.VotingClassifier(
            [("a", logistic), ("b", ensemble.RandomForestClassifier(10, random_state=0))], voting="soft"
        ),
        "StackingClassifier": ensemble.StackingClassifier(
            [("a", logistic), ("b", ensemble.RandomForestClassifier(10, random_state=0))], logistic
        ),
        "SVC": svm.SVC(),
        "SVC, probabilities": svm.SVC(probability=True, random_state=0),
        "LinearSVC": svm.LinearSVC(),
        "NuSVC": svm.NuSVC(),
        "KNeighborsClassifier": neighbors.KNeighborsClassifier(),
        "MLPClassifier": neural_network.MLPClassifier(max_iter=100, random_state=0),
        "GaussianNB": naive_bayes.GaussianNB(),
        "GaussianProcessClassifier": gaussian_process.GaussianProcessClassifier(),
        "CalibratedClassifierCV": calibration.CalibratedClassifierCV(svm.LinearSVC()),
        "OneVsRestClassifier": multiclass.OneVsRestClassifier(logistic),
        "OneVsOneClassifier": multiclass.OneVsOneClassifier(logistic),
        "GridSearchCV": model_selection.GridSearchCV(logistic, {"C": [1, 10]}, cv=3),
        "StandardScaler, LogisticRegression": pipeline.make_pipeline(preprocessing.StandardScaler(), logistic),
        "PCA, SVC": pipeline.make_pipeline(decomposition.PCA(2), svm.SVC()),
        "SelectKBest, LogisticRegression": pipeline.make_pipeline(feature_selection.SelectKBest(k=2), logistic),
        "QuantileTransformer, LogisticRegression": pipeline.make_pipeline(
            preprocessing.QuantileTransformer(n_quantiles=20), logistic
        ),
        "PowerTransformer, LogisticRegression": pipeline.make_pipeline(preprocessing.PowerTransformer(), logistic),
        "ColumnTransformer, RandomForestClassifier": pipeline.make_pipeline(
            compose.ColumnTransformer([("n", preprocessing.StandardScaler(), [0, 1])], remainder="passthrough"),
            ensemble.RandomForestClassifier(20, random_state=0),
        ),
    }.items():
        yield Case(name, estimator, FLOWERS, SPECIES)
    yield Case("LogisticRegression, labels of text", logistic, FLOWERS, np.array(["a", "b", "c"])[SPECIES])
    yield Case("LogisticRegression, boolean labels", logistic, FLOWERS, SPECIES == 1)
    forest = ensemble.RandomForestClassifier(50, random_state=0)
    yield Case("RandomForestClassifier, two classes", forest, CELLS, TUMOURS)
    yield Case("RandomForestClassifier, missing values", forest, WITH_GAPS, SPECIES)
    histogram = ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0)
    yield Case("HistGradientBoostingClassifier, missing values", histogram, WITH_GAPS, SPECIES)
    imputed = pipeline.make_pipeline(impute.SimpleImputer(), logistic)
    yield Case("SimpleImputer, LogisticRegression", imputed, WITH_GAPS, SPECIES)
    yield Case("RandomForestClassifier, two outputs", ensemble.RandomForestClassifier(10), FLOWERS, TWO_LABELS)
    yield Case("MultiOutputClassifier", multioutput.MultiOutputClassifier(logistic), FLOWERS, TWO_LABELS)


def regressors() -> Iterator[Case]:
    """Models of diabetes, and of two numbers."""
    for name, estimator in {
        "LinearRegression": linear_model.LinearRegression(),
        "Ridge": linear_model.Ridge(),
        "Lasso": linear_model.Lasso(),
        "ElasticNet": linear_model.ElasticNet(),
        "HuberRegressor": linear_model.HuberRegressor(max_iter=500),
        "PoissonRegressor": linear_model.PoissonRegressor(),
        "TweedieRegressor": linear_model.TweedieRegressor(),
        "BayesianRidge": linear_model.BayesianRidge(),
        "RANSACRegressor": linear_model.RANSACRegressor(random_state=0),
        "DecisionTreeRegressor": tree.DecisionTreeRegressor(random_state=0),
        "RandomForestRegressor": ensemble.RandomForestRegressor(20, random_state=0),
        "ExtraTreesRegressor": ensemble.ExtraTreesRegressor(20, random_state=0),
        "GradientBoostingRegressor": ensemble.GradientBoostingRegressor(n_estimators=50, random_state=0),
        "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(max_iter=50, random_state=0),
        "AdaBoostRegressor": ensemble.AdaBoostRegressor(n_estimators=10, random_state=0),
        "BaggingRegressor": ensemble.BaggingRegressor(n_estimators=5, random_state=0),
        "VotingRegressor": ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", linear_model.Lasso())]),
        "StackingRegressor": ensemble.StackingRegressor([("a", linear_model.Ridge()), ("b", linear_model.Lasso())]),
        "SVR": svm.SVR(),
        "LinearSVR": svm.LinearSVR(),
        "KNeighborsRegressor": neighbors.KNeighborsRegressor(),
        "KNeighborsRegressor, by distance": neighbors.KNeighborsRegressor(weights="distance"),
        "MLPRegressor": neural_network.MLPRegressor(max_iter=100, random_state=0),
        "GaussianProcessRegressor": gaussian_process.GaussianProcessRegressor(alpha=1.0),
        "PLSRegression": cross_decomposition.PLSRegression(),
        "PolynomialFeatures, StandardScaler, Ridge": pipeline.make_pipeline(
            preprocessing.PolynomialFeatures(2), preprocessing.StandardScaler(), linear_model.Ridge()
        ),
        "TransformedTargetRegressor": compose.TransformedTargetRegressor(
            linear_model.Ridge(), transformer=preprocessing.StandardScaler()
        ),
    }.items():
        yield Case(name, estimator, PATIENTS, PROGRESS)
    forest = ensemble.RandomForestRegressor(10, random_state=0)
    yield Case("LinearRegression, two outputs", linear_model.LinearRegression(), PATIENTS, TWO_NUMBERS)
    yield Case("RandomForestRegressor, two outputs", forest, PATIENTS, TWO_NUMBERS)
    yield Case("MultiOutputRegressor", multioutput.MultiOutputRegressor(linear_model.Ridge()), PATIENTS, TWO_NUMBERS)


def saved(case: Case, folder: Path) -> tuple[Manifest, tuple[str, ...]]:
    """The fitted model in a folder, as `fetch` leaves it, and the types in it that skops does not trust."""
    (folder / FILES).mkdir()
    file = folder / FILES / "model.skops"
    skops.io.dump(case.estimator.fit(case.features, case.target), file)
    inputs = json.dumps([{"type": "double", "name": f"x{at}"} for at in range(case.features.shape[1])])
    example = case.features[~np.isnan(case.features).any(axis=1)][:5]
    body = {"features": example.tolist()}
    found = Manifest(f"sha256:{'1f' * 32}", "skops", "sklearn", file.name, SignatureText(inputs, None), body)
    manifest.write(found, folder)
    return found, tuple(skops.io.get_untrusted_types(file=file))


def line(case: Case) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as name:
        found, types = saved(case, Path(name))
        began = time.perf_counter()
        log = LogSettings("CRITICAL", LogFormat.TEXT)
        converted, parity = convert(found, ConvertSettings(Path(name), types, log))
        seconds = time.perf_counter() - began
    if parity is None:
        return f"| {case.name} | no | {(converted.not_converted or '')[:160]} | {seconds:.1f} |"
    return f"| {case.name} | yes | {parity.largest:.1e}, {parity.beyond} of {parity.rows} rows | {seconds:.1f} |"


def main(names: list[str]) -> None:
    """Prints the table, of all models or of those whose names begin so."""
    warnings.simplefilter("ignore")
    print("| model | converted | largest difference, rows beyond 1e-5; or the reason | s |\n| --- | --- | --- | --- |")
    for case in (*classifiers(), *regressors()):
        if not names or case.name.startswith(tuple(names)):
            print(line(case), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
