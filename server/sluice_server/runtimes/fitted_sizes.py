"""What else of a fitted estimator compiled code takes as it is: numbers that others in it, or its columns, decide.

Of the compiled modules of scikit-learn 1.9 these are the ones that a prediction comes to, beside trees, neighbors,
support vectors and sparse matrices: the distances of KMeans and Birch, the stages of gradient boosting, and the hashes
of words. All others get their numbers from the rows of the same call, or by way of numpy, which checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import Birch
from sklearn.cluster._kmeans import _BaseKMeans
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.preprocessing import OneHotEncoder

from sluice_server.runtimes.nodes import changed

_LONGEST_LABEL = 1_000  # characters, at the most
_MOST_HASHES = 2**31 - 1  # of what scikit-learn takes


def _of_centers(part: Any) -> str:
    if "cluster_centers_" not in vars(part):
        return ""
    shape = np.shape(part.cluster_centers_)
    fits = len(shape) == 2 and shape[0] > 0 and shape[1] == part.n_features_in_
    return "" if fits else f"its centers are of shape {shape}, for {part.n_features_in_} columns"


def _of_norms(part: Any) -> str:
    if "subcluster_centers_" not in vars(part):
        return ""
    norms, centers = np.shape(part._subcluster_norms), np.shape(part.subcluster_centers_)
    return "" if norms == centers[:1] else f"it has norms of shape {norms} for centers of shape {centers}"


def _of_vocabulary(part: Any) -> str:
    if "vocabulary_" not in vars(part):
        return ""
    words = part.vocabulary_
    if isinstance(words, dict) and set(words.values()) == set(range(len(words))):
        return ""
    return "its vocabulary does not number its words from 0 on"


def _of_categories(part: Any) -> str:
    if "_n_features_outs" not in vars(part) or part._n_features_outs == part._compute_n_features_outs():
        return ""
    return "it has another number of columns for its categories than categories"


def _of_hashes(part: Any) -> str:
    count = part.n_features
    is_number = isinstance(count, int | np.integer) and 0 < count <= _MOST_HASHES
    return "" if is_number else f"it has n_features={str(count)[:20]}"


def _of_labels(part: Any) -> str:
    """Each row of an answer gets a copy of one."""
    labels = vars(part).get("classes_", ())
    several = labels if isinstance(labels, list) else [labels]
    longest = max((len(str(label)) for some in several for label in np.ravel(some)), default=0)
    if longest <= _LONGEST_LABEL:
        return ""
    return f"it has a label of {longest} characters, and {_LONGEST_LABEL} are the limit"


FAULTS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (_BaseKMeans, _of_centers),
    (Birch, _of_norms),
    (CountVectorizer, _of_vocabulary),
    (OneHotEncoder, _of_categories),
    ((HashingVectorizer, FeatureHasher), _of_hashes),
    (BaseEstimator, _of_labels),
)


def check_scores(part: Any) -> None:
    """Have a gradient boosting add its trees to as many scores for a row as it has trees in a stage.

    What it starts with may come from any other estimator, so this is seen with each call. Raises ModelError then.
    """
    if "estimators_" not in vars(part):
        return
    stages = np.shape(part.estimators_)
    if len(stages) != 2 or 0 in stages:
        raise changed(f"a {type(part).__name__} has trees of shape {stages}")
    part._raw_predict_init = _Scores(part._raw_predict_init, stages[1])


class _Scores:
    """What a gradient boosting starts with, of the width that its trees have."""

    def __init__(self, start: Callable[[Any], Any], width: int) -> None:
        self._start, self._width = start, width

    def __call__(self, rows: Any) -> Any:
        scores = self._start(rows)
        if scores.shape != (rows.shape[0], self._width):
            raise changed(f"scores of shape {scores.shape} get {self._width} trees in each stage")
        return scores
