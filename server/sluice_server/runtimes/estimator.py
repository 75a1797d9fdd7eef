"""A loaded scikit-learn estimator and everything that it consists of, made ready for matrices and one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

_MEMBERS = ("best_estimator_", "estimator_", "regressor_", "estimators_", "calibrated_classifiers_")


def parts(root: Any) -> Iterator[Any]:
    """Everything that an estimator holds, at any depth, each once: steps, members, trees, and what they keep."""
    waiting, seen = [root], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or part is None or isinstance(part, str | bytes | bool | int | float | np.generic):
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.flat if part.dtype == object else ())
        elif isinstance(part, partial):
            waiting.extend((part.func, part.args, part.keywords, vars(part)))
        else:
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())


def adapt(root: Any) -> None:
    """Have an estimator take matrices where it was fitted on a table, give arrays, and use one thread.

    A matrix with text in it is one of objects, of which a table has numbers column by column.
    """
    for part in parts(root):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1  # a pool of threads for one row costs more than it gives
        if hasattr(part, "_n_threads"):
            part._n_threads = 1  # a file may say any number
        if hasattr(part, "_sklearn_output_config"):
            del part._sklearn_output_config  # tables as output need pandas, which is not here
        if isinstance(part, ColumnTransformer):
            _name_by_place(part)
        if isinstance(part, FunctionTransformer) and part.func is not None:
            part.func = _OfNumbers(part.func)
        if isinstance(part, Pipeline):
            # scikit-learn asks the first step for the columns of the fit, and such a step has none
            part.steps = [step for step in part.steps if not _passes_through(step[1])] or part.steps


class _OfNumbers:
    """A function that gets numbers as such: one of numpy cannot use objects. All other parts make numbers of them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, values: Any, **how: Any) -> Any:
        is_mixed = isinstance(values, np.ndarray) and values.dtype == object
        if is_mixed and all(isinstance(cell, float | int | np.number) for cell in values.flat):
            values = values.astype(np.float64)
        return self._function(values, **how)


def fitted_columns(fitted: Any) -> tuple[tuple[str, ...] | None, int | None]:
    """The names and the number of the columns that an adapted estimator was fitted with; None where nobody says.

    One that hands its rows on as they are does not always say; then those to which it hands them do.
    """
    names, width = getattr(fitted, "feature_names_in_", None), getattr(fitted, "n_features_in_", None)
    if names is not None:
        return tuple(map(str, names)), width
    for member in _members(fitted):
        of_member = fitted_columns(member)
        if of_member[0] is not None and width in (None, of_member[1]):
            return of_member
        width = of_member[1] if width is None else width
    return None, width


def _members(part: Any) -> list[Any]:
    """What gets the rows that an estimator gets."""
    if isinstance(part, Pipeline):
        return [part.steps[0][1]]
    if isinstance(part, FeatureUnion):
        return [each for _, each in part.transformer_list]
    found: list[Any] = []
    for name in _MEMBERS:
        held = getattr(part, name, [])
        found.extend(held.flat if isinstance(held, np.ndarray) else held if isinstance(held, list) else [held])
    return [member.estimator if type(member).__name__ == "_CalibratedClassifier" else member for member in found]


def _passes_through(step: Any) -> bool:
    if isinstance(step, Pipeline):
        return all(_passes_through(each) for _, each in step.steps)
    return step is None or (isinstance(step, str) and step == "passthrough")


def _name_by_place(transformer: ColumnTransformer) -> None:
    """It selects columns by their names, where it was fitted on a table; a matrix has only places."""
    at = transformer._transformer_to_input_indices

    def place(name: str, columns: Any) -> Any:
        places = list(at.get(name, ()))
        return places[0] if isinstance(columns, str) else places  # one name alone selects a vector, and not a table

    transformer.transformers_ = [(name, part, place(name, by)) for name, part, by in transformer.transformers_]
