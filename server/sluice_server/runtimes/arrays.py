"""What the arrays of an estimator have to fulfil beside its trees, because compiled code follows them unchecked.

No type of these is suspicious, so a list of trusted types does not help: a file of plain numbers can lead beyond them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline
from sklearn.base import is_classifier
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM

from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.port import ModelError


def make_safe(root: Any) -> None:
    """Check neighbors, support vectors, splines and sparse matrices, and index the neighbors anew.

    Raises ModelError for the first part that cannot be followed safely.
    """
    for part in parts(root):
        try:
            if isinstance(part, BaseLibSVM | NeighborsBase) and not _is_fitted(part):
                continue  # what a search, a bag or a vote made its members of: it answers nothing
            if sparse.issparse(part):
                _check_sparse(part)
            elif isinstance(part, BaseLibSVM):
                _check_support_vectors(part)
            elif isinstance(part, NeighborsBase):
                _index_neighbors(part)
            elif isinstance(part, BSpline):
                vars(part).update(vars(BSpline(part._t, part._c, part.k, part.extrapolate, 0)))  # which checks them
        except (AttributeError, TypeError, ValueError) as error:
            raise _hostile(part, " ".join(str(error).split())) from error


def _is_fitted(part: Any) -> bool:
    """Whether it has anything beside what it is made with, so that scikit-learn may follow it."""
    made = type(part)(**part.get_params(deep=False))
    return not vars(part).keys() - {"_sklearn_version"} <= vars(made).keys()


def _check_sparse(matrix: Any) -> None:
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)


def _check_support_vectors(part: Any) -> None:
    count, width = part.support_vectors_.shape
    classes = len(part.classes_) if is_classifier(part) else 2
    pairs = classes * (classes - 1) // 2
    dual = part._dual_coef_.data if sparse.issparse(part._dual_coef_) else part._dual_coef_
    expected = {
        "columns": (width, part.n_features_in_),
        "indexes": (len(part.support_), count),
        "coefficients": (np.size(dual), (classes - 1) * count),
        "intercepts": (np.size(part._intercept_), pairs),
        "probabilities": (np.size(part._probA) + np.size(part._probB), 2 * pairs if np.size(part._probA) else 0),
    }
    if is_classifier(part):
        expected["classes"] = (len(part._n_support), classes)
        expected["support vectors by class"] = (int(part._n_support.sum()), count)
        expected["negative numbers"] = (int((part._n_support < 0).sum()), 0)
    for what, (there, needed) in expected.items():
        if there != needed:
            raise _hostile(part, f"it has {there} {what} instead of {needed}")


def _index_neighbors(part: Any) -> None:
    """The index in the file is not used: it is made anew from the rows, as fitting makes it."""
    rows = part._fit_X
    if rows.shape[1] != part.n_features_in_:
        raise _hostile(part, f"it has {rows.shape[1]} columns instead of {part.n_features_in_}")
    if is_classifier(part):
        several = part.classes_ if part.outputs_2d_ else [part.classes_]
        labels = np.asarray(part._y).reshape(rows.shape[0], len(several))
        if (labels < 0).any() or (labels >= [len(classes) for classes in several]).any():
            raise _hostile(part, "it has labels that are no class")
    if getattr(part, "_tree", None) is not None:
        metric, parameters = part.effective_metric_, part.effective_metric_params_
        part._tree = type(part._tree)(rows, part.leaf_size, metric=metric, **parameters)


def _hostile(part: Any, what: str) -> ModelError:
    return ModelError(
        f"a {type(part).__name__} in the model file cannot be followed, {what}: the file was made or changed by hand: "
        "train and log the model again"
    )
