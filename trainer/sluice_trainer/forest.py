"""Trains the random forest and scores it on the hold-out.

A recipe has all settings that decide the result. With `label_noise` and `max_depth` a model is really worse, for
demonstrations and tests of a rollout.
"""

import time
from dataclasses import dataclass

from sklearn.ensemble import RandomForestClassifier

from sluice_trainer import data

HOLDOUT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train a forest. `max_depth`: of each tree. `label_noise`: share of wrong training labels, 0 to 1."""

    trees: int = 100
    max_depth: int | None = None
    label_noise: float = 0.0
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Score:
    """Which rows of the hold-out the model predicted correctly. An accuracy does not show how few there are."""

    right: tuple[bool, ...]  # by row

    @property
    def correct(self) -> int:
        return sum(self.right)

    @property
    def total(self) -> int:
        return len(self.right)

    @property
    def accuracy(self) -> float:
        return self.correct / self.total

    def as_metrics(self) -> dict[str, float]:
        return {"accuracy": self.accuracy, "correct": self.correct, "total": self.total}


@dataclass(frozen=True, slots=True)
class Trained:
    model: RandomForestClassifier
    recipe: Recipe
    score: Score
    rows: data.Dataset  # the training rows, with noise
    hold_out: data.Dataset  # the rows of the score
    seconds: float  # that the training took


def train(dataset: data.Dataset, recipe: Recipe) -> Trained:
    """Train a forest and score it. Only the training rows get noise; the hold-out keeps its true labels."""
    return fit(data.split(dataset, HOLDOUT_SHARE, recipe.seed), recipe)


def fit(parts: data.Split, recipe: Recipe) -> Trained:
    """The same, of a data set that is split already."""
    rows = data.with_label_noise(parts.train, recipe.label_noise, recipe.seed)
    model = RandomForestClassifier(
        n_estimators=recipe.trees, max_depth=recipe.max_depth, random_state=recipe.seed, n_jobs=1
    )
    began = time.perf_counter()
    model.fit(rows.frame, rows.labels)
    seconds = time.perf_counter() - began
    return Trained(model, recipe, score(model, parts.hold_out), rows, parts.hold_out, seconds)


def score(model: RandomForestClassifier, hold_out: data.Dataset) -> Score:
    return Score(tuple((model.predict(hold_out.frame) == hold_out.labels).tolist()))
