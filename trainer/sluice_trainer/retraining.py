"""The rules of a retraining: which rows it learns from and which it is judged by, and what comes of it. Pure.

A row of production is for the hold-out or for the training by its features alone. So it is on the same side each time,
and a version is never judged by rows that it, or a version of an earlier retraining, was trained on.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sluice_trainer import data, forest, paired
from sluice_trainer.data import Dataset, Split
from sluice_trainer.paired import Compared, Verdict
from sluice_trainer.quality import Quality, Schema


class Outcome(StrEnum):
    CHALLENGER = "Challenger"
    ARCHIVED = "Archived"
    TOO_FEW_ROWS = "TooFewRows"
    QUALITY_TOO_LOW = "QualityTooLow"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a retraining needs: rows, quality score (0 to 100), and by how much its accuracy must be higher (0 to 1)."""

    min_rows: int = 100
    min_score: float = 80.0
    min_gain: float = 0.05


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason`: a sentence with the numbers."""

    outcome: Outcome
    reason: str


def key(name: str, base: Dataset, table: pd.DataFrame, schema: Schema, recipe: forest.Recipe, terms: Terms) -> str:
    """Names a retraining by all that decides it, apart from the version that serves: two with the same key would end
    with the same model.
    """
    parts = [name, data.digest(base), table.to_json(orient="split"), asdict(schema), asdict(recipe), asdict(terms)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def usable(table: pd.DataFrame, base: Dataset, label: str) -> Dataset:
    """The rows from which the model can learn: all features are numbers, and the class is known.

    Rows with the same features count once, with the newest label: requests that come again say nothing new.
    """
    wanted = table.reindex(columns=[*base.feature_names, label])
    features = wanted[list(base.feature_names)].apply(pd.to_numeric, errors="coerce").astype(float)
    places = {name: place for place, name in enumerate(base.class_names)}
    labels = wanted[label].map(places)
    good = np.isfinite(features.to_numpy()).all(axis=1) & labels.notna().to_numpy()
    newest = ~features[good].duplicated(keep="last").to_numpy()
    return Dataset(
        features[good].to_numpy(dtype=np.float64)[newest],
        labels[good].to_numpy(dtype=np.int64)[newest],
        base.feature_names,
        base.class_names,
    )


def split(rows: Dataset, base: Split) -> Split:
    """A row with the features of one of `base` is where that is; of the others, HOLDOUT_SHARE are for the hold-out."""
    sides = dict.fromkeys(_names(base.hold_out.features), True) | dict.fromkeys(_names(base.train.features), False)
    held_out = np.array([sides.get(name, _by_name(name)) for name in _names(rows.features)], dtype=bool)
    return Split(train=data.chosen(rows, ~held_out), hold_out=data.chosen(rows, held_out))


def refusal(rows: Split, quality: Quality, terms: Terms) -> Decision | None:
    """Why nothing is trained; None if the data are good enough."""
    usable, judges = len(rows.train.labels) + len(rows.hold_out.labels), len(rows.hold_out.labels)
    if usable < terms.min_rows:
        reason = (
            f"{usable} different rows of {quality.rows} can be used, {terms.min_rows} are needed: "
            "take more days, keep a larger share of the predictions, or send more labels"
        )
        return Decision(Outcome.TOO_FEW_ROWS, reason)
    if judges < paired.FEWEST:
        reason = f"{judges} rows are for the hold-out, and fewer than {paired.FEWEST} can show nothing: take more days"
        return Decision(Outcome.TOO_FEW_ROWS, reason)
    if quality.score < terms.min_score:
        found = "; ".join(f"{finding.where or 'the data set'}: {finding.what}" for finding in quality.findings)
        reason = f"the quality score is {quality.score:.1f}, {terms.min_score:g} is needed: {found}"
        return Decision(Outcome.QUALITY_TOO_LOW, reason)
    return None


def judged(compared: Compared, terms: Terms) -> Decision:
    """Whether the candidate becomes the challenger. It must be better by more than chance, and by enough."""
    numbers = (
        f"{compared.candidate} instead of {compared.champion} of {compared.total} rows right ({compared.gain:+.1%}, "
        f"p = {compared.p_value:.2g})"
    )
    if compared.gain <= terms.min_gain:
        return Decision(Outcome.ARCHIVED, f"{numbers}, more than {terms.min_gain:+.1%} is needed")
    if compared.verdict is not Verdict.BETTER:
        return Decision(Outcome.ARCHIVED, f"{numbers}, which so few rows can show by chance")
    return Decision(Outcome.CHALLENGER, numbers)


def _names(features: NDArray[np.float64]) -> Iterator[bytes]:
    """What a row of features is called, so that equal ones are found."""
    return (hashlib.sha256(row.tobytes()).digest() for row in np.ascontiguousarray(features + 0.0, dtype="<f8"))


def _by_name(name: bytes) -> bool:
    return int.from_bytes(name[:8]) < forest.HOLDOUT_SHARE * 2**64
