"""What the arrays of an estimator have to fulfil beside its trees, because compiled code follows them unchecked.

No type of these is suspicious, so a list of trusted types does not help: a file of plain numbers can lead beyond them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline
from sklearn.base import BaseEstimator, is_classifier
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.neighbors._base import NeighborsBase
from sklearn.svm._base import BaseLibSVM

from sluice_server.runtimes import fitted_sizes, sparse_indexes, support_vectors
from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.port import ModelError

_LIBRARIES = ("sklearn", "scipy")
_NORMS = {"X_norm_squared", "Y_norm_squared"}  # parameters of a metric that compiled code takes as they are


def make_safe(root: Any) -> None:
    """Check what compiled code follows, index neighbors anew, and have sparse matrices checked from now on.

    Raises ModelError for the first part that cannot be followed safely.
    """
    sparse_indexes.check_all()
    for part in parts(root):
        try:
            if what := _replaced(part):
                raise _hostile(part, f"it has a {what} of its own, instead of that of its class")
            for kinds, make in _RULES:
                if isinstance(part, kinds):
                    make(part)
        except (AttributeError, TypeError, ValueError) as error:
            raise _hostile(part, " ".join(str(error).split())) from error


def _replaced(part: Any) -> str:
    """What of its class a part has replaced: with a method or a constant of its own it would pass by all checks.

    A parameter may replace the default in its class. A class that the administrator trusts may have defaults that its
    objects replace, but none of a library.
    """
    own = getattr(part, "__dict__", {})
    if not isinstance(own, dict) or isinstance(part, partial):  # a class, or what keeps its function elsewhere
        return ""
    of_libraries = (kind for kind in type(part).__mro__ if kind.__module__.partition(".")[0] in _LIBRARIES)
    replaced = {name for kind in of_libraries for name in own.keys() & vars(kind).keys()}
    if isinstance(part, BaseEstimator):
        replaced -= set(type(part)._get_param_names())
    return min(replaced, default="")


def _is_fitted(part: Any) -> bool:
    """Whether it has anything beside what it is made with, so that scikit-learn may follow it.

    What a search, a bag or a vote made its members of is not fitted: it answers nothing.
    """
    made = type(part)(**part.get_params(deep=False))
    return not vars(part).keys() - {"_sklearn_version"} <= vars(made).keys()


def _check_sparse(matrix: Any) -> None:
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)


def _check_spline(part: Any) -> None:
    vars(part).update(vars(BSpline(part._t, part._c, part.k, part.extrapolate, 0)))  # which checks them


def _check_support_vectors(part: Any) -> None:
    if _is_fitted(part) and (fault := support_vectors.fault(part)):
        raise _hostile(part, fault)


def _index_neighbors(part: Any) -> None:
    """The index in the file is not used: it is made anew from the rows, as fitting makes it."""
    if not _is_fitted(part):
        return
    rows = part._fit_X
    if part.n_samples_fit_ != rows.shape[0]:
        raise _hostile(part, f"it has {rows.shape[0]} rows instead of {part.n_samples_fit_}")
    if not isinstance(part.effective_metric_, str) or _NORMS & part.effective_metric_params_.keys():
        raise _hostile(part, "its metric has numbers that it computes itself")
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


def _check_sizes(fault: Callable[[Any], str], part: Any) -> None:
    if what := fault(part):
        raise _hostile(part, what)


def _hostile(part: Any, what: str) -> ModelError:
    return ModelError(
        f"a {type(part).__name__} in the model file cannot be followed, {what}: the file was made or changed by hand: "
        "train and log the model again"
    )


_RULES: tuple[tuple[Any, Callable[[Any], None]], ...] = (
    ((sparse.spmatrix, sparse.sparray), _check_sparse),
    (BaseLibSVM, _check_support_vectors),
    (NeighborsBase, _index_neighbors),
    (BSpline, _check_spline),
    *((kind, partial(_check_sizes, fault)) for kind, fault in fitted_sizes.FAULTS),
    (BaseGradientBoosting, fitted_sizes.check_scores),
)
