"""Arrays from a file that was changed by hand are not followed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from sluice_server.runtimes import arrays
from sluice_server.runtimes.port import ModelError

FEATURES, CLASSES = load_iris(return_X_y=True)
BOTH = np.column_stack([CLASSES, CLASSES > 0]).astype(int)
ESTIMATORS: list[Any] = [
    SVC().fit(FEATURES, CLASSES),
    SVC(kernel="linear").fit(FEATURES, CLASSES > 0),
    SVC().fit(sparse.csr_matrix(FEATURES), CLASSES),
    NuSVC().fit(FEATURES, CLASSES),
    SVR().fit(FEATURES, CLASSES),
    NuSVR().fit(FEATURES, CLASSES),
    OneClassSVM().fit(FEATURES),
    KNeighborsClassifier().fit(FEATURES, CLASSES),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan").fit(FEATURES, BOTH),
    KNeighborsClassifier(algorithm="brute").fit(FEATURES, CLASSES),
    KNeighborsClassifier().fit(sparse.csr_matrix(FEATURES), CLASSES),
    KNeighborsRegressor(metric="minkowski", p=3).fit(FEATURES, CLASSES),
    RadiusNeighborsClassifier(9.0).fit(FEATURES, CLASSES),
    LocalOutlierFactor(novelty=True).fit(FEATURES),
    make_pipeline(StandardScaler(), SGDClassifier().fit(FEATURES, CLASSES).sparsify()).fit(FEATURES, CLASSES),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_what_scikit_learn_has_fitted_passes_and_answers_as_before(estimator: Any) -> None:
    """An index of neighbors that is made anew is the one that was there."""
    before = estimator.predict(FEATURES)
    arrays.make_safe(estimator)
    assert np.array_equal(estimator.predict(FEATURES), before)


@pytest.mark.parametrize(
    "estimator",
    [
        GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 2]}),
        BaggingClassifier(KNeighborsClassifier(), n_estimators=2, random_state=0),
        VotingClassifier([("a", NuSVC()), ("b", KNeighborsClassifier())]),
        StackingClassifier([("a", SVC()), ("b", RadiusNeighborsClassifier(9.0))]),
        TransformedTargetRegressor(SVR(), transformer=StandardScaler()),
        MultiOutputRegressor(KNeighborsRegressor()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_the_members_were_made_of_needs_no_arrays(estimator: Any) -> None:
    """A search, a bag or a vote keeps an estimator that was never fitted beside those that answer."""
    estimator.fit(FEATURES, BOTH if isinstance(estimator, MultiOutputRegressor) else CLASSES)
    file = skops.io.dumps(estimator)
    loaded = skops.io.loads(file, trusted=skops.io.get_untrusted_types(data=file))
    arrays.make_safe(loaded)
    assert np.array_equal(loaded.predict(FEATURES), estimator.predict(FEATURES))


@pytest.mark.parametrize("estimator", [SVC(), SVR(), KNeighborsClassifier(), LocalOutlierFactor(novelty=True)])
def test_a_member_without_arrays_is_not_followed(estimator: Any) -> None:
    """scikit-learn itself refuses what is not checked because it was never fitted."""
    arrays.make_safe(estimator)
    with pytest.raises(NotFittedError):
        estimator.predict(FEATURES)


SPLINE = make_pipeline(SplineTransformer(), Ridge())


def splines() -> Any:
    return SPLINE.fit(FEATURES, CLASSES).steps[0][1].bsplines_


def test_splines_of_a_file_answer_as_before() -> None:
    """They are made anew out of what was in it."""
    before = SPLINE.fit(FEATURES, CLASSES).predict(FEATURES)
    arrays.make_safe(SPLINE)
    assert np.array_equal(SPLINE.predict(FEATURES), before)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("_t", np.zeros(3)),
        ("_t", np.array([3.0, 2.0, 1.0] * 4)),
        ("_t", np.full(12, np.nan)),
        ("_c", np.ones((1, 7))),
        ("k", 500_000),
        ("k", -4),
        ("_t", "no array"),
    ],
)
def test_a_spline_that_leads_beyond_its_arrays_is_not_loaded(field: str, value: Any) -> None:
    """Compiled code takes places of knots and coefficients as they come."""
    setattr(splines()[1], field, value)
    with pytest.raises(ModelError, match="BSpline in the model file"):
        arrays.make_safe(SPLINE)


def fields(**changes: Any) -> Callable[[Any], None]:
    def change(estimator: Any) -> None:
        for name, value in changes.items():
            setattr(estimator, name, value)

    return change


def stretch(matrix: Any) -> Any:
    changed = matrix.copy()
    changed.indices[0] = 1_000_000
    return changed


@pytest.mark.parametrize(
    ("estimator", "change", "words"),
    [
        (SVC(), fields(_dual_coef_=np.ones((2, 1))), "coefficients"),
        (SVC(), fields(_intercept_=np.ones(1)), "intercepts"),
        (SVC(), fields(support_vectors_=np.ones((60, 1))), "columns"),
        (SVC(), fields(support_=np.zeros(1, np.int32)), "indexes"),
        (SVC(), fields(_probA=np.ones(1), _probB=np.ones(1)), "probabilities"),
        (SVC(), fields(_n_support=np.array([90, -20, -10], np.int32)), "negative numbers"),
        (SVC(), fields(_probA=np.ones(6), _probB=np.empty(0)), "probabilities"),
        (SVR(), fields(_n_support=np.ones(1_000, np.int32)), "numbers of support vectors"),
        (SVR(), fields(_impl="c_svc"), "_impl of its own"),
        (SVR(), fields(_dual_coef_=np.ones((1, 1))), "coefficients"),
        (KNeighborsClassifier(), fields(_y=np.full(150, 99)), "no class"),
        (KNeighborsClassifier(), fields(_y=np.full(150, -1)), "no class"),
        (KNeighborsClassifier(), fields(_y=np.zeros(3, int)), "reshape"),
        (KNeighborsClassifier(), fields(_fit_X=FEATURES[:, :1]), "1 columns instead of 4"),
        (KNeighborsClassifier(), fields(effective_metric_="no metric"), "metric"),
        (KNeighborsClassifier(), fields(n_samples_fit_=1_000_000), "150 rows instead of 1000000"),
        (KNeighborsClassifier(), fields(effective_metric_params_={"Y_norm_squared": np.ones(1)}), "computes itself"),
        (KNeighborsClassifier(), fields(_validate_params=np.maximum), "_validate_params of its own"),
    ],
)
def test_what_leads_beyond_its_arrays_is_not_loaded(estimator: Any, change: Callable[[Any], None], words: str) -> None:
    """The message names the part, and what is wrong with it."""
    estimator.fit(FEATURES, CLASSES)
    change(estimator)
    with pytest.raises(ModelError, match=f"{type(estimator).__name__} in the model file .*{words}"):
        arrays.make_safe(make_pipeline(StandardScaler(), estimator))


@pytest.mark.parametrize("kernel", ["precomputed", np.maximum, ["rbf"]])
def test_a_kernel_that_was_computed_before_is_not_served(kernel: Any) -> None:
    """Its support vectors are indexes of columns, which libsvm does not compare with their number."""
    estimator = SVR().fit(FEATURES, CLASSES)
    estimator.kernel = kernel
    with pytest.raises(ModelError, match=r"a SVR has the kernel .*: train it with one of linear, poly, rbf, sigmoid"):
        arrays.make_safe(make_pipeline(estimator))


def test_a_sparse_matrix_that_leads_beyond_its_columns_is_not_loaded() -> None:
    """scipy compares the indexes with the shape only when it is told to."""
    estimator = SGDClassifier().fit(FEATURES, CLASSES).sparsify()
    estimator.coef_ = stretch(estimator.coef_)
    with pytest.raises(ModelError, match="csr_"):
        arrays.make_safe(estimator)


def test_a_spline_is_also_found_in_a_function_of_it() -> None:
    """A step of a pipeline may be any function of its rows."""
    spline = splines()[1]
    spline._t = np.zeros(3)
    with pytest.raises(ModelError, match="BSpline in the model file"):
        arrays.make_safe(make_pipeline(FunctionTransformer(partial(np.add, partial(spline, extrapolate=True)))))
