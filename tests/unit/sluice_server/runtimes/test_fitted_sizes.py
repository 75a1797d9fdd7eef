"""Numbers of an estimator from a file that was changed by hand are not taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import Birch, KMeans, MiniBatchKMeans
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LassoLars, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, PolynomialFeatures, SplineTransformer

from sluice_server.runtimes import arrays, fitted_sizes
from sluice_server.runtimes.estimator import adapt
from sluice_server.runtimes.port import ModelError

NUMBERS = np.random.default_rng(0).normal(size=(60, 3))
WHICH = (NUMBERS[:, 0] > 0).astype(int)
CATEGORIES = np.array([["a", "x"], ["b", "y"], ["c", "x"]] * 20, dtype=object)
TEXTS = ["good bad", "okay fine", "good fine"] * 20
FITTED: list[tuple[Any, Any]] = [
    (KMeans(2, n_init=1), NUMBERS),
    (MiniBatchKMeans(2, n_init=1), NUMBERS),
    (Birch(n_clusters=2), NUMBERS),
    (LassoLars(positive=True), NUMBERS),  # its class has a default of this parameter
    (GradientBoostingClassifier(n_estimators=2), NUMBERS),
    (GradientBoostingClassifier(n_estimators=2, init="zero"), NUMBERS),
    (GradientBoostingRegressor(n_estimators=2), NUMBERS),
    (make_pipeline(OneHotEncoder(min_frequency=30), LogisticRegression()), CATEGORIES),
    (make_pipeline(OneHotEncoder(drop="if_binary", sparse_output=False), LogisticRegression()), CATEGORIES),
    (make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LogisticRegression()), NUMBERS),
    (make_pipeline(SplineTransformer(sparse_output=True), PolynomialFeatures(), LogisticRegression()), NUMBERS),
    (make_pipeline(CountVectorizer(), LogisticRegression()), TEXTS),
    (make_pipeline(CountVectorizer(vocabulary=["good", "bad"]), LogisticRegression()), TEXTS),
    (make_pipeline(TfidfVectorizer(max_features=2), LogisticRegression()), TEXTS),
    (make_pipeline(HashingVectorizer(n_features=16), LogisticRegression()), TEXTS),
]


@pytest.mark.parametrize(("estimator", "rows"), FITTED, ids=lambda each: type(each).__name__)
def test_what_scikit_learn_has_fitted_answers_as_before(estimator: Any, rows: Any) -> None:
    """With all checks, those of each request among them."""
    estimator.fit(rows, WHICH)
    before = estimator.predict(rows)
    arrays.make_safe(estimator)
    assert np.array_equal(estimator.predict(rows), before)


def member(name: str, value: Any) -> Callable[[Any], None]:
    return lambda estimator: setattr(estimator, name, value)


def word(number: int) -> Callable[[Any], None]:
    return lambda estimator: estimator.vocabulary_.update(good=number)


@pytest.mark.parametrize(
    ("estimator", "rows", "change", "words"),
    [
        (KMeans(2, n_init=1), NUMBERS, member("cluster_centers_", np.zeros((2, 1))), r"of shape \(2, 1\), for 3"),
        (KMeans(2, n_init=1), NUMBERS, member("cluster_centers_", np.zeros(3)), r"of shape \(3,\)"),
        (KMeans(2, n_init=1), NUMBERS, member("_check_test_data", np.positive), "_check_test_data of its own"),
        (Birch(n_clusters=2), NUMBERS, member("_subcluster_norms", np.zeros(1)), r"norms of shape \(1,\)"),
        (CountVectorizer(), TEXTS, word(2_000_000_000), "number its words from 0 on"),
        (CountVectorizer(), TEXTS, word(64), "number its words from 0 on"),
        (TfidfVectorizer(), TEXTS, word(-1), "number its words from 0 on"),
        (TfidfVectorizer(), TEXTS, member("vocabulary_", ["good"]), "number its words from 0 on"),
        (OneHotEncoder(), CATEGORIES, member("_n_features_outs", [2_000_000_000, -1_999_999_995]), "categories"),
        (HashingVectorizer(), TEXTS, member("n_features", 0), "n_features=0"),
        (HashingVectorizer(), TEXTS, member("n_features", 2**31), "n_features=2147483648"),
    ],
)
def test_what_leads_beyond_its_arrays_is_not_loaded(
    estimator: Any, rows: Any, change: Callable[[Any], None], words: str
) -> None:
    """The message names the part, and what is wrong with it; nothing of it is run."""
    estimator.fit(rows)
    change(estimator)
    with pytest.raises(ModelError, match=f"{type(estimator).__name__} in the model file .*{words}"):
        arrays.make_safe(make_pipeline(estimator, LogisticRegression()))


@pytest.mark.parametrize("labels", [np.array(["a", "b" * 2_000]), [np.array(["a", "b" * 2_000], dtype=object)]])
def test_a_label_is_no_book(labels: Any) -> None:
    """A request for 10,000 rows gets as many of them."""
    estimator = LogisticRegression().fit(NUMBERS, WHICH)
    estimator.classes_ = labels
    with pytest.raises(ModelError, match="a label of 2000 characters, and 1000 are the limit"):
        arrays.make_safe(make_pipeline(estimator))


@pytest.mark.parametrize("width", [1, 3])
def test_boosting_adds_its_trees_to_as_many_scores(width: int) -> None:
    """Compiled code writes behind scores that are fewer, whichever estimator they start with."""
    boosting = GradientBoostingClassifier(n_estimators=2, init="zero").fit(NUMBERS, WHICH)
    boosting.estimators_ = np.tile(boosting.estimators_, (1, width))
    fitted_sizes.check_scores(boosting)
    if width == 1:
        assert boosting.predict(NUMBERS[:5]).shape == (5,)
    else:
        with pytest.raises(ModelError, match=r"scores of shape \(5, 1\) get 3 trees in each stage"):
            boosting.predict(NUMBERS[:5])


@pytest.mark.parametrize("shape", [(2,), (0, 1)])
def test_boosting_has_stages_of_trees(shape: tuple[int, ...]) -> None:
    """Each with one or more."""
    boosting = GradientBoostingRegressor(n_estimators=2).fit(NUMBERS, WHICH)
    boosting.estimators_ = np.empty(shape, dtype=object)
    with pytest.raises(ModelError, match="trees of shape"):
        arrays.make_safe(boosting)


def test_indexes_that_an_encoder_makes_of_a_request_are_seen() -> None:
    """Here the categories are in another order than scikit-learn keeps them, so one of them is behind the last."""
    encoder = OneHotEncoder().fit(NUMBERS[:2, :1])
    arrays.make_safe(encoder)
    encoder.categories_ = [np.array([5.0, 1.0])]
    with pytest.raises(ValueError, match="indices must be < 2"):
        encoder.transform([[5.0]])


def test_every_sparse_matrix_has_its_indexes_within_it() -> None:
    """scipy itself compares no more than sizes."""
    arrays.make_safe(KMeans())
    for kind in (sparse.csr_matrix, sparse.csc_array):
        with pytest.raises(ValueError, match="indices must be < 2"):
            kind((np.ones(1), np.array([2]), np.array([0, 1, 1])), shape=(2, 2))


def test_a_file_has_no_say_in_threads() -> None:
    """OpenMP ends the process when it cannot make as many as it is told."""
    estimator = KMeans(2, n_init=1).fit(NUMBERS)
    estimator._n_threads = 2_000_000
    adapt(estimator)
    assert estimator._n_threads == 1
