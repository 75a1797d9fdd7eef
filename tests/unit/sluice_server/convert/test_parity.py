"""When one model may take the place of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from sluice_server.convert.parity import Parity, compare
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

ROWS = np.arange(2000.0)[:, None]


@dataclass
class Regressor:
    """Answers ten times the number, with an `error` for the first `wrong` rows; refuses rows beyond `refuses`."""

    error: float = 0.0
    wrong: int = 2000
    refuses: float = np.inf
    classes: tuple[Any, ...] | None = None
    nullable: tuple[bool, ...] = (False,)

    def predict(self, rows: Rows) -> Output:
        if (rows >= self.refuses).any():
            raise ValueError("out of range")
        return Output(rows[:, 0] * 10 + self.error * (rows[:, 0] < self.wrong), None, None)


@dataclass
class Classifier:
    """Gives each row these probabilities; the label is 0, and `best` for the first `other` rows, whatever they say."""

    probabilities: tuple[float, float]
    best: int
    other: int = 20
    has_probabilities: bool = True
    classes: tuple[Any, ...] | None = ("a", "b")
    nullable: tuple[bool, ...] = (False,)
    labels: Any = field(default_factory=lambda: np.array(["a", "b"]))

    def predict(self, rows: Rows) -> Output:
        indexes = np.where(rows[:, 0] < self.other, self.best, 0)
        shares = np.tile(self.probabilities, (len(rows), 1)) if self.has_probabilities else None
        return Output(self.labels[indexes], shares, indexes)


@pytest.mark.parametrize(
    ("error", "wrong", "passes"), [(0.9e-5, 2000, True), (0.1, 1, True), (0.1, 2, True), (0.1, 3, False)]
)
def test_numbers_may_differ_a_little_or_in_one_row_of_a_thousand(error: float, wrong: int, passes: bool) -> None:
    """1e-5 everywhere passes; a large difference passes in 2 of 2,000 rows, and not in 3."""
    assert compare(Regressor(), Regressor(error, wrong), ROWS).passes == passes


def test_no_row_of_the_example_may_differ() -> None:
    """The other rows were made up; these were sent to the model by its author."""
    assert not compare(Regressor(), Regressor(0.1, 1), ROWS, example=1).passes
    assert compare(Regressor(), Regressor(0.1, 1), ROWS[::-1], example=1999).passes


def test_a_large_number_may_differ_by_its_share() -> None:
    """0.09 of 10,000 and more is less than 1e-5 of it."""
    assert compare(Regressor(), Regressor(0.09), ROWS + 1000).passes
    assert not compare(Regressor(), Regressor(0.2), ROWS + 1000).passes


def test_rows_that_only_one_of_them_answers_differ() -> None:
    """A model that refuses a value must not become one that answers it; rows that both refuse are equal."""
    refusing = Regressor(refuses=1500)
    assert compare(refusing, Regressor(refuses=1500), ROWS) == Parity(2000, 0, 0.0)
    assert compare(refusing, Regressor(), ROWS) == Parity(2000, 500, 0.0)
    assert compare(Regressor(), refusing, ROWS).beyond == 500


def test_models_that_answer_nothing_are_not_alike() -> None:
    """What was not compared is not proven."""
    refusing = Regressor(refuses=-1)
    assert not compare(refusing, refusing, ROWS).passes


@pytest.mark.parametrize(
    ("shares", "other", "passes"),
    [((0.5, 0.5), (0.5, 0.5), True), ((0.500004, 0.499996), (0.5, 0.5), True), ((0.6, 0.4), (0.6, 0.4), False)],
)
def test_labels_are_equal_but_at_ties(shares: tuple[float, float], other: tuple[float, float], passes: bool) -> None:
    """Which of two equal classes is taken is chance; otherwise another label is another answer."""
    assert compare(Classifier(shares, 0), Classifier(other, 1), ROWS).passes == passes


def test_ties_are_few() -> None:
    """A model that breaks ties in a way of its own would have another accuracy."""
    shares = (0.5, 0.5)
    assert compare(Classifier(shares, 0), Classifier(shares, 1, other=20), ROWS) == Parity(2000, 0, 0.0, ties=20)
    assert not compare(Classifier(shares, 0), Classifier(shares, 1, other=21), ROWS).passes


def test_labels_without_probabilities_have_no_ties() -> None:
    """Nothing says that both are as good."""
    first = Classifier((0.5, 0.5), 0, has_probabilities=False)
    assert not compare(first, Classifier((0.5, 0.5), 1, has_probabilities=False), ROWS).passes


def test_answers_of_another_form_are_other_answers() -> None:
    """Without the probabilities, or with numbers for labels."""
    own = Classifier((0.6, 0.4), 0)
    assert not compare(own, Classifier((0.6, 0.4), 0, has_probabilities=False), ROWS).passes
    assert not compare(own, Classifier((0.6, 0.4), 0, labels=np.array([0, 1])), ROWS).passes
