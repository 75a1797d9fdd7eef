"""How the outputs of an ONNX model become predictions: labels and probabilities, or numbers.

The converters of scikit-learn models write labels first, and then the probabilities as a tensor or as one dict for each
row. Models of other origins have one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice_server.runtimes.finite import finite
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.port import ModelError

Answers: TypeAlias = list[Any]
_SUM_ERROR = 1e-3  # of the probabilities of a row
_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)", "tensor(bool)")
_NUMBERS = ("tensor(float)", "tensor(double)")


@dataclass(frozen=True, slots=True)
class Reading:
    """Which outputs are asked for, the labels of a classifier, and what makes predictions out of the answers."""

    names: list[str]
    classes: tuple[Any, ...] | None
    read: Callable[[Answers], Output]


def reading(
    outputs: Sequence[tuple[str, str]], answers: Answers, labels: Sequence[Any] | None, function: str
) -> Reading:
    """`outputs`: name and type of each; `answers`: what they are for an example. `labels`: what is known beside it.

    `function`: predict, or predict_proba for a model whose predictions are its probabilities. Raises ModelError if they
    are none that can be served.
    """
    by_kind: dict[str, tuple[str, Any]] = {}
    for (name, kind), answer in zip(outputs, answers, strict=True):
        what = "labels" if kind in _LABELS else "numbers" if kind in _NUMBERS else "dicts" if "map(" in kind else ""
        if what in by_kind:
            what = ""
        by_kind[what] = (name, answer)
    if "dicts" in by_kind:
        labels = list(by_kind["dicts"][1][0])
    shares = by_kind.get("dicts") or by_kind.get("numbers")
    label = by_kind.get("labels")
    if labels is not None and shares is not None and _are_shares(shares[1], len(labels)):
        return _classifier(label, shares, tuple(labels), function)
    if label is not None:
        return _labels(label, None if labels is None else tuple(labels))
    if len(outputs) == 1 and "numbers" in by_kind:
        return Reading([outputs[0][0]], None, lambda got: Output(finite(_flat(got[0])), None, None))
    shown = ", ".join(f"{name!r} {kind}" for name, kind in outputs[:5])
    raise ModelError(
        f"the model has the outputs {shown}: a model is served that gives labels, labels and probabilities, or one "
        "tensor of numbers"
    )


def _are_shares(answer: Any, classes: int) -> bool:
    if isinstance(answer, list):
        return True
    is_row = answer.ndim == 2 and answer.shape[1] == classes
    return is_row and bool((answer >= 0).all() and (np.abs(answer.sum(axis=1) - 1) < _SUM_ERROR).all())


def _classifier(
    label: tuple[str, Any] | None, shares: tuple[str, Any], classes: tuple[Any, ...], function: str
) -> Reading:
    values = np.asarray(classes)
    matrix = _dicts(shares[1]) if isinstance(shares[1], list) else _matrix

    def probabilities(got: Answers) -> Output:
        found = finite(matrix(got[0]))
        return Output(found, found, np.argmax(found, axis=1))

    def best(got: Answers) -> Output:
        found = finite(matrix(got[0]))
        at = np.argmax(found, axis=1)
        return Output(values[at], found, at)

    if function == "predict_proba":
        return Reading([shares[0]], classes, probabilities)
    if label is None or _flat(label[1]).ndim != 1:
        return Reading([shares[0]], classes, best)
    indexes = _indexes(classes, label[1].dtype)

    def labelled(got: Answers) -> Output:
        at = indexes(_flat(got[0]))
        return Output(values[at], finite(matrix(got[1])), at)

    return Reading([label[0], shares[0]], classes, labelled)


def _labels(label: tuple[str, Any], classes: tuple[Any, ...] | None) -> Reading:
    if classes is None or _flat(label[1]).ndim != 1:
        return Reading([label[0]], None, lambda got: Output(_flat(got[0]), None, None))
    values, indexes = np.asarray(classes), _indexes(classes, label[1].dtype)

    def read(got: Answers) -> Output:
        at = indexes(_flat(got[0]))
        return Output(values[at], None, at)

    return Reading([label[0]], classes, read)


def _indexes(classes: Sequence[Any], kind: np.dtype[Any]) -> Callable[[Values], Values]:
    """Where each label is among the classes. The file has whole numbers where labels are booleans or floats."""
    is_number = kind.kind != "O"
    keys = np.asarray(classes, dtype=np.int64 if is_number else None)
    if is_number and np.array_equal(keys, np.arange(len(keys))):
        return lambda labels: labels
    order = np.argsort(keys)
    ordered = keys[order]
    return lambda labels: order[np.searchsorted(ordered, labels.astype(ordered.dtype))]


def _matrix(answer: Values) -> Values:
    return answer


def _dicts(example: list[dict[Any, float]]) -> Callable[[list[dict[Any, float]]], NDArray[np.float64]]:
    classes = list(example[0])
    return lambda rows: np.array([[row[each] for each in classes] for row in rows], dtype=np.float64)


def _flat(values: Values) -> Values:
    """A column is one value for each row."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
