"""Feedback: the true labels for an earlier prediction, counted once per row for the revision that predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluice_server.inference.labels import LabelCounter, Outcome, RowLabel
from sluice_server.inference.prediction_ids import FeedbackError, Keys, Label, LabelError, PredictionId

LONGEST_VALUE = 1_000  # characters of a label that is kept; a longer one is counted as any other
LARGEST_ERROR = 1e15  # of a number: the sum of all errors still knows a tenth then


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of labels: counted, how many of these were right, came again, wait for the store, were refused."""

    counted: int
    correct: int
    repeats: int
    pending: int
    refused: int


class Feedback:
    """Has the labels of predictions counted. `max_age` is in seconds; older predictions take none."""

    def __init__(self, keyring: Keys, labels: LabelCounter, max_age: float) -> None:
        self._keyring = keyring
        self._labels = labels
        self._max_age = max_age

    async def count(
        self, prediction_id: str, label: Label | None, labels: Sequence[Label | None] | None, now: float
    ) -> Counted:
        """Counts each labelled row at most once; raises FeedbackError or TooManyPendingError, and then counts nothing.

        Either `label` is given, for a prediction of one row, or `labels`, with None for a row whose label is not known.
        """
        predicted = self._keyring.read(prediction_id, now, self._max_age)
        field = "label" if labels is None else "labels"
        given = enumerate(_one_per_row(predicted, label, labels))
        labelled = [_row_label(predicted, field, row, label) for row, label in given if label is not None]
        outcomes = await self._labels.count(labelled)
        return Counted(
            outcomes.count(Outcome.COUNTED),
            sum(label.correct for label, came in zip(labelled, outcomes, strict=True) if came is Outcome.COUNTED),
            outcomes.count(Outcome.REPEAT),
            outcomes.count(Outcome.PENDING),
            outcomes.count(Outcome.REFUSED),
        )

    async def close(self) -> None:
        """See `LabelCounter.close`."""
        await self._labels.close()


def _row_label(predicted: PredictionId, field: str, row: int, label: Label) -> RowLabel:
    """The label with what it says of the prediction; raises FeedbackError where it says nothing."""
    try:
        correct, error = _judged(predicted, row, label)
    except LabelError as bad:
        raise FeedbackError((field, row) if field == "labels" else (field,), str(bad)) from None
    who = (predicted.request, row, predicted.revision, predicted.entry, predicted.issued)
    return RowLabel(*who, correct, _kept(predicted, label), error)


def _judged(predicted: PredictionId, row: int, label: Label) -> tuple[bool, float | None]:
    """Whether the prediction was right, and the size of its error, which only a number has; raises LabelError."""
    if predicted.tolerance is None:
        return predicted.is_right(row, label), None
    error = abs(predicted.error(row, label))
    if not error <= LARGEST_ERROR:
        raise LabelError(
            f"the label is {error:.3g} away from the prediction, and {LARGEST_ERROR:g} is the most that is counted: "
            "send it in the unit of the prediction"
        )
    return predicted.tolerance.accepts(error, float(label)), error


def _kept(predicted: PredictionId, label: Label) -> str | int | float | None:
    """The label as the store keeps it; None where it does not."""
    value = predicted.label(label) if predicted.kept else None
    return None if isinstance(value, str) and len(value) > LONGEST_VALUE else value


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
