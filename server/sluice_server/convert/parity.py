"""Whether two models answer the same rows alike: the condition under which one may take the other's place."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.port import LoadedModel

TOLERANCE = 1e-5  # of a number, or of its size where that is more than 1
MOST_BEYOND = 0.001  # share of the rows
MOST_TIES = 0.01  # the same; more of them are a way of its own to break ties
_TRIES = 2_000  # parts of the rows in which a model is asked that refuses some of them


@dataclass(frozen=True, slots=True)
class Parity:
    """How many rows were compared, how many differ too much, and the largest difference of all numbers.

    A row also differs too much if only one of the two models answers it. `ties`: rows with another label than before,
    and as good a one by their probabilities. `of_example`: how many of `beyond` were logged with the model.
    """

    rows: int
    beyond: int
    largest: float
    ties: int = 0
    of_example: int = 0

    @property
    def passes(self) -> bool:
        """Whether so few rows differ, and none of the example, that one model may stand for the other."""
        few = self.beyond <= MOST_BEYOND * self.rows and self.ties <= MOST_TIES * self.rows
        return self.rows > 0 and few and not self.of_example

    def __str__(self) -> str:
        return (
            f"{self.beyond} of {self.rows} rows differ too much, numbers by {self.largest:.1e} at most, and "
            f"{self.ties} ties have another label"
        )


def compare(own: LoadedModel, other: LoadedModel, rows: Rows, example: int = 0) -> Parity:
    """Compare what two models give for the same rows; `own` is the one that is right.

    `example`: how many of them, from the first on, were logged with the model.
    Numbers may differ by 1e-5, or by that share of a larger one. Labels must be equal, but where the probabilities of
    both are as close as that. Rows that both models refuse count as equal.
    """
    ours, theirs = _answer(own, rows), _answer(other, rows)
    differs = ours.answered != theirs.answered
    both = ours.answered & theirs.answered
    if not both.any():
        return Parity(0, 0, 0.0)
    first, second = ours.at(both), theirs.at(both)
    if first.values.shape != second.values.shape or first.type_in_json != second.type_in_json:
        return Parity(len(rows), len(rows), np.inf, of_example=example)
    difference = _difference(first, second)
    relabelled = _other_labels(first, second)
    ties = relabelled & _ties(first, second)
    differs[both] = (difference > TOLERANCE) | (relabelled & ~ties)
    counts = int(ties.sum()), int(differs[:example].sum())
    return Parity(len(rows), int(differs.sum()), float(difference.max()), *counts)


@dataclass(frozen=True, slots=True)
class _Answers:
    """Which rows a model has answered, and its output for these together."""

    answered: NDArray[np.bool_]
    output: Output | None

    def at(self, wanted: NDArray[np.bool_]) -> Output:
        assert self.output is not None  # asked only for rows that were answered
        which = wanted[self.answered]
        values, shares, classes = self.output.values, self.output.probabilities, self.output.classes
        return Output(
            values[which], None if shares is None else shares[which], None if classes is None else classes[which]
        )


def _answer(model: LoadedModel, rows: Rows) -> _Answers:
    """A model that refuses a row refuses the batch; it is asked again in parts until those are found."""
    found: list[tuple[NDArray[np.intp], Output]] = []
    waiting = deque([np.arange(len(rows))])
    for _ in range(_TRIES):
        if not waiting:
            break
        part = waiting.popleft()
        try:
            found.append((part, model.predict(rows[part])))
        except Exception:  # in whichever way a model says no
            if len(part) > 1:
                waiting.extend(np.array_split(part, 2))
    answered = np.zeros(len(rows), dtype=bool)
    found.sort(key=lambda each: int(each[0][0]))
    for part, _output in found:
        answered[part] = True
    return _Answers(answered, _together([output for _, output in found]) if found else None)


def _together(outputs: Sequence[Output]) -> Output:
    def joined(parts: Sequence[Values | None]) -> Values | None:
        there = [part for part in parts if part is not None]
        return np.concatenate(there) if len(there) == len(parts) else None

    values = joined([output.values for output in outputs])
    assert values is not None  # every output has them
    return Output(
        values, joined([output.probabilities for output in outputs]), joined([output.classes for output in outputs])
    )


def _difference(first: Output, second: Output) -> NDArray[np.float64]:
    """For each row the largest difference of a number, as a share of its size where that is more than 1."""
    pairs = [(first.probabilities, second.probabilities)]
    if first.type_in_json == "number":
        pairs.append((first.values, second.values))
    largest = np.zeros(len(first.values))
    for ours, theirs in pairs:
        if ours is None and theirs is None:
            continue
        if ours is None or theirs is None or ours.shape != theirs.shape:
            return np.full(len(largest), np.inf)
        parts = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
        largest = np.maximum(largest, parts.reshape(len(largest), -1).max(axis=1))
    return largest


def _other_labels(first: Output, second: Output) -> NDArray[np.bool_]:
    """The rows with another label; none where the answers are numbers."""
    if first.classes is not None and second.classes is not None:
        return np.asarray(first.classes != second.classes)
    if first.type_in_json == "number":
        return np.zeros(len(first.values), dtype=bool)
    return np.asarray((first.values != second.values).reshape(len(first.values), -1).any(axis=1))


def _ties(first: Output, second: Output) -> NDArray[np.bool_]:
    """The rows in which both labels are as good, by the probabilities of the model that is right."""
    shares, row = first.probabilities, np.arange(len(first.values))
    if shares is None or first.classes is None or second.classes is None:
        return np.zeros(len(row), dtype=bool)
    return np.asarray(np.abs(shares[row, first.classes] - shares[row, second.classes]) <= TOLERANCE)
