"""How the columns of a signature meet those that a model was fitted with.

scikit-learn compares no names when it gets a matrix, and its trees no width: columns in another order give wrong
numbers without a word, and too few of them let a tree read what is beside the row in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from sluice_server.model.schema import Schema
from sluice_server.runtimes.port import ModelError

_LOG_AGAIN = (
    "log it again with signature=mlflow.models.infer_signature(X, model.predict(X)), X being the data it was fitted on"
)


def places(schema: Schema, fitted: tuple[str, ...] | None, width: int | None) -> tuple[int, ...] | None:
    """Where each column that the model was fitted with is in the rows of `schema`; None if they are as they must be.

    `fitted`: the names, `width`: the number of the columns that it was fitted with; None where the model does not say.
    Raises ModelError if they are not those of the schema.
    """
    if width is not None and width != len(schema.columns):
        has = _count(len(schema.columns))
        raise ModelError(f"the signature has {has}, and the model was fitted on {_count(width)}: {_LOG_AGAIN}")
    if fitted is None or fitted == schema.names:
        return None
    missing, unknown = set(fitted) - set(schema.names), set(schema.names) - set(fitted)
    if (missing or unknown) and not schema.is_named:
        return None
    if missing or unknown:
        raise ModelError(
            f"the signature names other columns than the model was fitted on: it lacks {_listed(missing)}, "
            f"and has {_listed(unknown)} instead: {_LOG_AGAIN}"
        )
    return tuple(map(schema.names.index, fitted))


def _count(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(map(repr, shown[:5])) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "") or "none"
