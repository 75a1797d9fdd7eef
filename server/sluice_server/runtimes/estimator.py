"""A loaded scikit-learn estimator and everything that it consists of, made ready for matrices and one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer


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
        else:
            yield part
            waiting.extend(getattr(part, "__dict__", {}).values())


def adapt(root: Any) -> None:
    """Have an estimator take matrices where it was fitted on a table, give arrays, and use one thread."""
    for part in parts(root):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1  # a pool of threads for one row costs more than it gives
        if hasattr(part, "_sklearn_output_config"):
            del part._sklearn_output_config  # tables as output need pandas, which is not here
        if isinstance(part, ColumnTransformer):
            _name_by_place(part)


def _name_by_place(transformer: ColumnTransformer) -> None:
    """It selects columns by their names, where it was fitted on a table; a matrix has only places."""
    at = transformer._transformer_to_input_indices

    def place(name: str, columns: Any) -> Any:
        places = list(at.get(name, ()))
        return places[0] if isinstance(columns, str) else places  # one name alone selects a vector, and not a table

    transformer.transformers_ = [(name, part, place(name, by)) for name, part, by in transformer.transformers_]
