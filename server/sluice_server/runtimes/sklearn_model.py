"""A scikit-learn estimator in memory: loaded through skops with the operator's own list of types, and run.

Runs in the one worker thread: nothing here is called from the event loop. Importing scikit-learn takes most of the
start, so this module is imported only when a model is loaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output, Values

# Their `predict` is the argmax of `predict_proba`, which is the mean over the trees.
_FORESTS = (RandomForestClassifier, ExtraTreesClassifier)


class ModelError(Exception):
    """The file holds something that cannot serve predictions; the message says what."""


class SklearnModel:
    """A fitted estimator with one way to run it."""

    def __init__(self, estimator: Any) -> None:
        if not hasattr(estimator, "predict"):
            raise ModelError(f"the model file holds a {type(estimator).__name__}, which cannot predict")
        self.estimator = estimator
        self.classes: tuple[Any, ...] | None = _classes(estimator)
        self._has_probabilities = self.classes is not None and hasattr(estimator, "predict_proba")
        self._trees = _trees(estimator) if self.classes is not None else ()
        self._class_values = None if self.classes is None else np.asarray(estimator.classes_)

    def predict(self, rows: Rows) -> Output:
        """The output for rows of shape (rows, columns); raises what the estimator raises, and on NaN predictions."""
        if self._class_values is None:
            return Output(_finite(np.asarray(self.estimator.predict(rows))), None, None)
        if self._trees:
            shares = _finite(_mean_of_trees(self._trees, rows))
            indexes = np.argmax(shares, axis=1)
            return Output(self._class_values[indexes], shares, indexes)
        values = np.asarray(self.estimator.predict(rows))
        indexes = np.searchsorted(self._class_values, values)  # scikit-learn keeps classes_ sorted
        probabilities = _finite(self.estimator.predict_proba(rows)) if self._has_probabilities else None
        return Output(values, probabilities, indexes)


def load(path: Path, trusted_types: Sequence[str]) -> SklearnModel:
    """The model in a skops file; raises skops' own exceptions for types that are not trusted, and ModelError."""
    # Requests are matrices in the signature's column order, which is checked before; the names add nothing.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    threadpool_limits(limits=1)  # rows are few, and a pod's cores are not the node's
    estimator = skops.io.load(path, trusted=list(trusted_types))
    for part in _parts(estimator):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1  # a pool of threads for one row costs more than it gives
    return SklearnModel(estimator)


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    for _, step in getattr(estimator, "steps", ()):
        yield from _parts(step)


def _trees(estimator: Any) -> tuple[Any, ...]:
    """The trees of a forest classifier with one output; empty for everything else."""
    if type(estimator) not in _FORESTS or estimator.n_outputs_ != 1:
        return ()
    return tuple(member.tree_ for member in estimator.estimators_)


def _mean_of_trees(trees: tuple[Any, ...], rows: Rows) -> Values:
    """What `predict_proba` of a forest computes, bit by bit, without its 4 ms of dispatching per call."""
    single = np.ascontiguousarray(rows, dtype=np.float32)
    total: Values = trees[0].predict(single)
    for tree in trees[1:]:
        total += tree.predict(single)
    total /= len(trees)
    return total


def _classes(estimator: Any) -> tuple[Any, ...] | None:
    """The labels of a classifier with one output; None for regressors and for several outputs."""
    classes = getattr(estimator, "classes_", None)
    if not is_classifier(estimator) or not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return None
    return tuple(classes.tolist())


def _finite(values: Values) -> Values:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ArithmeticError("the model answered NaN or infinity")
    return values
