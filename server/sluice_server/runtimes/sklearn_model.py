"""A scikit-learn estimator in memory: loaded through skops with the operator's own list of types, and run.

Importing scikit-learn takes most of the start, so this module is imported only when a model is loaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from sluice_server.model.precision import common_precision
from sluice_server.model.schema import DOUBLE, Rows, Schema
from sluice_server.runtimes import arrays, columns, estimator, row_count, trees, vectorizers
from sluice_server.runtimes.finite import finite
from sluice_server.runtimes.missing import nullable
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.perturbed import trials
from sluice_server.runtimes.port import ModelError, OtherAnswersError
from sluice_server.runtimes.steps import refusal

# Their `predict` is the argmax of `predict_proba`, which is the mean over the trees.
_FORESTS = (RandomForestClassifier, ExtraTreesClassifier)
_PREDICT, _PROBABILITIES = "predict", "predict_proba"


class SklearnModel:
    """A fitted estimator with one way to run it.

    `function`: the method that answers for it, predict or predict_proba. `places`: where the columns that it was fitted
    with are in a row; None if they are in their order. `precision`: the type of numpy that it gets, where all columns
    are numbers: scikit-learn computes in the precision of what it is given. It is asked for the rows of `example` to
    see what it gives, and whether it takes rows of one text as a list of texts: a vectorizer does, as it was fitted on
    a list of them.

    Each call of the estimator gets a copy of the rows: one such as StandardScaler(copy=False) changes what it is given.
    """

    def __init__(
        self,
        fitted: Any,
        example: Rows,
        function: str = _PREDICT,
        places: tuple[int, ...] | None = None,
        precision: str = DOUBLE,
    ) -> None:
        if not hasattr(fitted, function):
            raise ModelError(f"the model file holds a {type(fitted).__name__}, which has no {function}")
        self.estimator = fitted
        self._places: list[int] | int | None = None if places is None else list(places)
        self._type = example.dtype if example.dtype == object else np.dtype(precision)
        if example.dtype == object and example.shape[1] == 1 and not _answers(fitted, example.copy()):
            self._places = 0
        self.classes = _classes(fitted, self._ordered(example))
        self._class_values = np.asarray(getattr(fitted, "classes_", ())) if self.classes is not None else np.array(())
        self._run = self._way(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.nullable = nullable(self.predict, example)

    def predict(self, rows: Rows) -> Output:
        """The output for rows of shape (rows, columns).

        Raises NotFiniteError where one is NaN or infinite, UnfitRowsError where a step does not take the values of a
        row, and what the estimator raises.
        """
        try:
            return self._run(rows)
        except (ValueError, IndexError) as error:
            if told := refusal(error):
                raise told from error
            raise

    @property
    def places(self) -> list[int] | None:
        """Where the columns that it was fitted with are in a row; None if they are in their order."""
        return self._places if isinstance(self._places, list) else None

    @property
    def has_probabilities(self) -> bool:
        """Whether its output has them."""
        return self.classes is not None and hasattr(self.estimator, _PROBABILITIES)

    @property
    def has_short_way(self) -> bool:
        """Whether it is run in another way than the estimator's own."""
        return self._run == self._forest

    def own(self, rows: Rows) -> tuple[Values, Values]:
        """The predictions and probabilities that the estimator's own methods give."""
        return self.estimator.predict(self._ordered(rows)), self.estimator.predict_proba(self._ordered(rows))

    def _ordered(self, rows: Rows) -> Rows:
        """A copy for one call of the estimator."""
        if isinstance(self._places, list):
            return rows[:, self._places].astype(self._type, copy=False)
        return (rows if self._places is None else rows[:, self._places]).astype(self._type)

    def _way(self, function: str) -> Callable[[Rows], Output]:
        if function == _PROBABILITIES:
            return self._probabilities
        if self.classes is None:
            return self._values
        return self._forest if _is_forest(self.estimator) else self._classifier

    def _values(self, rows: Rows) -> Output:
        return Output(finite(np.asarray(self.estimator.predict(self._ordered(rows)))), None, None)

    def _probabilities(self, rows: Rows) -> Output:
        shares = finite(_by_row(self.estimator.predict_proba(self._ordered(rows))))
        return Output(shares, shares, None if self.classes is None else np.argmax(shares, axis=1))

    def _forest(self, rows: Rows) -> Output:
        shares = finite(_mean_of_trees(self.estimator.estimators_, self._ordered(rows)))
        indexes = np.argmax(shares, axis=1)
        return Output(self._class_values[indexes], shares, indexes)

    def _classifier(self, rows: Rows) -> Output:
        values = np.asarray(self.estimator.predict(self._ordered(rows)))
        indexes = np.searchsorted(self._class_values, values)  # scikit-learn keeps classes_ sorted
        shares = finite(self.estimator.predict_proba(self._ordered(rows))) if self.has_probabilities else None
        return Output(values, shares, indexes)


def load(path: Path, schema: Schema, trusted_types: Sequence[str], example: Rows, function: str) -> SklearnModel:
    """The model in a skops file, which has answered `example` and rows like it as the estimator itself does.

    Raises skops' own exceptions for types that are not trusted, what the estimator raises, and ModelError.
    """
    # Requests are matrices in the order that the model was fitted with, which is checked here; names add nothing.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    threadpool_limits(limits=1)  # rows are few, and a pod's cores are not the node's
    fitted = skops.io.load(path, trusted=list(trusted_types))
    trees.check(fitted)
    arrays.make_safe(fitted)
    vectorizers.check(fitted)
    estimator.adapt(fitted)
    places = columns.places(schema, *estimator.fitted_columns(fitted))
    model = SklearnModel(fitted, example, function, places, common_precision(schema) or DOUBLE)
    _prove(model, example, schema)
    return model


def _prove(model: SklearnModel, example: Rows, schema: Schema) -> None:
    """See that each row gets a prediction, and that a short way to it leads to the same one as the estimator's own."""
    row_count.prove(model.predict, example)
    if model.has_short_way:
        for rows in trials(example, schema, model.nullable):
            output = model.predict(rows)
            ours = output.values, np.asarray(output.probabilities)
            if not all(map(np.array_equal, ours, model.own(rows))):
                raise OtherAnswersError


def _by_row(shares: Any) -> Values:
    """Probabilities by row first; of several outputs they are a list with those of each, of shape (rows, classes).

    Raises ModelError where the outputs have different numbers of classes, which no array holds.
    """
    if not isinstance(shares, list):
        return np.asarray(shares)
    if len(widths := sorted({each.shape[1] for each in shares})) > 1:
        raise ModelError(
            f"the outputs of the model have {' and '.join(map(str, widths))} classes, and probabilities are served of "
            "outputs with as many each: log it without pyfunc_predict_fn, or a model for each output"
        )
    return np.stack(shares, axis=1)


def _answers(fitted: Any, rows: Rows) -> bool:
    try:
        return len(fitted.predict(rows)) == len(rows)
    except Exception:  # in whichever way an estimator says that it wants something else
        return False


def _is_forest(fitted: Any) -> bool:
    """Whether it is a forest classifier with one output, whose trees can be asked directly."""
    return type(fitted) in _FORESTS and fitted.n_outputs_ == 1


def _mean_of_trees(members: Sequence[Any], rows: Rows) -> Values:
    """What `predict_proba` of a forest computes, bit by bit, without its 4 ms of dispatching per call."""
    single = np.ascontiguousarray(rows, dtype=np.float32)
    total: Values = members[0].tree_.predict(single)
    for member in members[1:]:
        total += member.tree_.predict(single)
    total /= len(members)
    return total


def _classes(fitted: Any, rows: Rows) -> tuple[Any, ...] | None:
    """The labels of a classifier that gives one of them per row; None for everything else."""
    classes = getattr(fitted, "classes_", None)
    if not is_classifier(fitted) or not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return None
    return tuple(classes.tolist()) if np.ndim(fitted.predict(rows)) == 1 else None  # not where it gives a set of labels
