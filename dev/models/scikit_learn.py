"""Models of scikit-learn as mlflow.sklearn logs them: estimators, inputs of each type, and what people do wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import skops.io
import xgboost
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, svm, tree
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from dev.models import data
from dev.models.case import Case, Logged, Rows

CLASSIFIERS: tuple[BaseEstimator, ...] = (
    linear_model.LogisticRegression(max_iter=1000),
    linear_model.SGDClassifier(random_state=0),
    ensemble.RandomForestClassifier(50, random_state=0),
    ensemble.ExtraTreesClassifier(50, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
    ensemble.AdaBoostClassifier(n_estimators=20, random_state=0),
    ensemble.BaggingClassifier(random_state=0),
    ensemble.VotingClassifier([("a", linear_model.LogisticRegression(max_iter=1000)), ("b", naive_bayes.GaussianNB())]),
    tree.DecisionTreeClassifier(random_state=0),
    neighbors.KNeighborsClassifier(),
    svm.SVC(),
    svm.LinearSVC(random_state=0),
    naive_bayes.GaussianNB(),
    neural_network.MLPClassifier(max_iter=2000, random_state=0),
    LinearDiscriminantAnalysis(),
    CalibratedClassifierCV(svm.LinearSVC(random_state=0)),
    OneVsRestClassifier(linear_model.LogisticRegression()),
    OutputCodeClassifier(linear_model.LogisticRegression(max_iter=1000), random_state=0),
    GridSearchCV(linear_model.LogisticRegression(max_iter=1000), {"C": [0.1, 1.0]}),
    make_pipeline(StandardScaler(), PCA(2), linear_model.LogisticRegression()),
    make_pipeline(PolynomialFeatures(), SelectKBest(k=5), QuantileTransformer(n_quantiles=20), svm.SVC()),
)
REGRESSORS: tuple[BaseEstimator, ...] = (
    linear_model.LinearRegression(),
    linear_model.ElasticNet(),
    ensemble.RandomForestRegressor(50, random_state=0),
    ensemble.HistGradientBoostingRegressor(max_iter=20, random_state=0),
    neighbors.KNeighborsRegressor(),
    make_pipeline(StandardScaler(), svm.SVR()),
    GaussianProcessRegressor(),
    TransformedTargetRegressor(linear_model.Ridge(), func=np.log, inverse_func=np.exp),
    make_pipeline(SplineTransformer(), linear_model.Ridge()),
    linear_model.TweedieRegressor(power=1.5),
    linear_model.PoissonRegressor(),
    linear_model.GammaRegressor(),
)


def cases() -> Iterator[Case]:
    """All of them, by group."""
    for estimator in CLASSIFIERS:
        yield Case("Classifiers of scikit-learn", _title(estimator), _of(estimator, data.named_iris))
    for estimator in REGRESSORS:
        yield Case("Regressors of scikit-learn", _title(estimator), _of(estimator, data.diabetes))
    yield from _inputs()
    yield from _outputs()
    yield from _as_logged()


def _title(estimator: BaseEstimator) -> str:
    steps = getattr(estimator, "steps", None)
    return " + ".join(type(step).__name__ for _, step in steps) if steps else type(estimator).__name__


def _of(estimator: BaseEstimator, source: Callable[..., tuple[Any, Any]], **how: Any) -> Callable[[], Logged]:
    def log() -> Logged:
        rows, labels = source()
        return saved(estimator.fit(rows, labels), rows, **how)

    return log


def saved(
    fitted: Any, rows: Rows, *, signature: bool = True, example: bool = True, serialization: str | None = "skops"
) -> Logged:
    """A fitted estimator, saved by mlflow.sklearn with the signature of `rows` and an example of two of them.

    `serialization` is None where whoever logs it says nothing of the format.
    """
    asked = rows[: data.MOST_ROWS]
    expected = np.asarray(fitted.predict(asked))

    def save(folder: Path) -> None:
        how: dict[str, Any] = {} if serialization is None else {"serialization_format": serialization}
        if serialization == "skops":
            how["skops_trusted_types"] = _untrusted(fitted)
        mlflow.sklearn.save_model(
            fitted,
            folder,
            signature=mlflow.models.infer_signature(rows, expected) if signature else None,
            input_example=asked[:2] if example and not isinstance(rows, list) else None,
            pip_requirements=["scikit-learn"],
            **how,
        )

    return Logged(save, asked, expected)


def _untrusted(fitted: Any) -> list[str]:
    return list(skops.io.get_untrusted_types(data=skops.io.dumps(fitted)))


def _columns(city: Any) -> ColumnTransformer:
    """Columns chosen by name, as people do it with a table."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("city", city, ["city"]), ("numbers", numbers, ["age", "visits"])])


def _log_and_city() -> ColumnTransformer:
    """A function of numpy for the numbers, as people do it beside text."""
    log = FunctionTransformer(np.log1p, feature_names_out="one-to-one")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("city", one_hot, ["city"]), ("numbers", log, ["age", "visits"])])


def _inputs() -> Iterator[Case]:
    group = "Inputs, with scikit-learn"
    classifier = linear_model.LogisticRegression()
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    one_hot = OneHotEncoder(handle_unknown="ignore")
    frequent = make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot)

    def categories() -> tuple[pd.DataFrame, Any]:
        table, labels = data.customers()
        return table.assign(city=table.city.astype("category")), labels

    def numbers(gaps: bool = True) -> tuple[pd.DataFrame, Any]:
        table, labels = data.customers(gaps)
        return table[["age", "visits", "member"]], labels

    def two_classes() -> tuple[pd.DataFrame, Any]:
        table, classes = data.iris()
        return table, (classes > 0).astype(np.int64)

    def tensor() -> tuple[Any, Any]:
        table, labels = data.iris()
        return table.to_numpy(np.float32), labels

    for name, estimator, source in (
        ("a tensor of float32", ensemble.RandomForestClassifier(50, random_state=0), tensor),
        ("a tensor of 600 columns, sparse", classifier, data.wide),
        ("whole numbers and booleans", boosted, lambda: numbers(gaps=False)),
        ("two classes, TunedThresholdClassifierCV", TunedThresholdClassifierCV(classifier), two_classes),
        ("numbers with gaps", boosted, numbers),
        ("numbers with gaps, imputed", make_pipeline(SimpleImputer(), classifier), numbers),
        ("categories, one-hot", make_pipeline(_columns(one_hot), classifier), data.customers),
        ("categories, imputed and one-hot", make_pipeline(_columns(frequent), classifier), data.customers),
        ("categories, by target", make_pipeline(_columns(TargetEncoder()), classifier), data.customers),
        ("categories, and log1p of numbers", make_pipeline(_log_and_city(), boosted), data.customers),
        ("categories, ordinal", make_pipeline(_columns(ordinal), boosted), data.customers),
        ("categories of pandas", boosted, categories),
        ("text, TfidfVectorizer", make_pipeline(TfidfVectorizer(), classifier), data.reviews),
        ("text, HashingVectorizer", make_pipeline(HashingVectorizer(), classifier), data.reviews),
    ):
        yield Case(group, name, _of(estimator, source))


def _outputs() -> Iterator[Case]:
    group = "Outputs, with scikit-learn"

    def several_numbers() -> tuple[Any, Any]:
        table, target = data.diabetes()
        return table, np.column_stack([target, target**2])

    def several_labels() -> tuple[Any, Any]:
        table, classes = data.iris()
        return table, np.column_stack([classes == 0, classes > 0]).astype(np.int64)

    forest = ensemble.RandomForestRegressor(20, random_state=0)
    yield Case(group, "several numbers", _of(forest, several_numbers))
    yield Case(group, "multilabel, a forest", _of(ensemble.RandomForestClassifier(20, random_state=0), several_labels))
    several = MultiOutputClassifier(linear_model.LogisticRegression())
    yield Case(group, "multilabel, MultiOutputClassifier", _of(several, several_labels))
    yield Case(group, "a cluster, KMeans", _of(KMeans(3, random_state=0), data.iris))
    outliers = ensemble.IsolationForest(n_estimators=20, random_state=0)
    yield Case(group, "an outlier, IsolationForest", _of(outliers, data.iris))


def _log_of_first(rows: pd.DataFrame) -> pd.DataFrame:
    return np.log1p(rows)


def _as_logged() -> Iterator[Case]:
    group = "As people log them"
    forest = ensemble.RandomForestClassifier(20, random_state=0)
    own = make_pipeline(FunctionTransformer(_log_of_first), linear_model.LogisticRegression(max_iter=1000))
    linear = linear_model.LogisticRegression(max_iter=1000)  # of a forest MLflow wants to know more
    yield Case(group, "log_model without a format", _of(linear, data.iris, serialization=None))
    yield Case(group, "pickle", _of(forest, data.iris, serialization="pickle"))
    yield Case(group, "cloudpickle", _of(forest, data.iris, serialization="cloudpickle"))
    yield Case(group, "a function of one's own, skops", _of(own, data.iris))
    yield Case(group, "a function of one's own, cloudpickle", _of(own, data.iris, serialization="cloudpickle"))
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=5))
    yield Case(group, "a booster in a pipeline", _of(pipeline, data.iris))
    yield Case(group, "no input example", _of(forest, data.iris, example=False))
    yield Case(group, "no signature", _of(forest, data.iris, signature=False, example=False))
