"""Feedback: the true labels for an earlier prediction, counted once per row for the revision that predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction_ids import FeedbackError, Keys, Label, LabelError, PredictionId


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of labels: how many were counted, how many of these were right, how many came again."""

    counted: int
    correct: int
    repeats: int


class LabelledRows:
    """Which rows of which predictions have a label; keeps the newest `size` predictions."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._rows: dict[bytes, int] = {}

    def add(self, request: bytes, row: int) -> bool:
        """Remembers that the row has a label; False if it had one already."""
        seen = self._rows.get(request, 0)
        if seen >> row & 1:
            return False
        self._rows[request] = seen | 1 << row
        if len(self._rows) > self._size:
            del self._rows[next(iter(self._rows))]
        return True


class Feedback:
    """Counts labels in the metrics. `max_age` is in seconds; older predictions take none."""

    def __init__(self, keyring: Keys, metrics: Metrics, max_age: float) -> None:
        self._keyring = keyring
        self._metrics = metrics
        self._max_age = max_age
        self._labelled = LabelledRows()

    def count(
        self, prediction_id: str, label: Label | None, labels: Sequence[Label | None] | None, now: float
    ) -> Counted:
        """Counts each labelled row at most once; raises FeedbackError and then counts nothing.

        Either `label` is given, for a prediction of one row, or `labels`, with None for a row whose label is not known.
        """
        predicted = self._keyring.read(prediction_id, now, self._max_age)
        field = "label" if labels is None else "labels"
        given = enumerate(_one_per_row(predicted, label, labels))
        right = {row: _is_right(predicted, field, row, label) for row, label in given if label is not None}
        counted = correct = repeats = 0
        for row, is_right in right.items():
            if not self._labelled.add(predicted.request, row):
                self._metrics.repeated(predicted.revision, predicted.entry)
                repeats += 1
                continue
            self._metrics.labelled(predicted.revision, predicted.entry, is_right)
            counted += 1
            correct += is_right
        return Counted(counted, correct, repeats)


def _is_right(predicted: PredictionId, field: str, row: int, label: Label) -> bool:
    try:
        return predicted.is_right(row, label)
    except LabelError as error:
        raise FeedbackError((field, row) if field == "labels" else (field,), str(error)) from None


def _one_per_row(
    predicted: PredictionId, label: Label | None, labels: Sequence[Label | None] | None
) -> list[Label | None]:
    if (label is None) == (labels is None):
        raise FeedbackError(("label",), "send either 'label' (one row) or 'labels' (one per row)")
    given = [label] if labels is None else list(labels)
    if len(given) != predicted.rows:
        field = "label" if labels is None else "labels"
        raise FeedbackError((field,), f"the prediction has {predicted.rows} rows, and {len(given)} labels came")
    return given
