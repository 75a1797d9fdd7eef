"""Reference bins: how each feature was distributed in the training data.

They are logged with the model, in the metadata of MLmodel, so that the model server can count requests by the same
bins. Drift is the difference. Any trainer may use this module on its own data.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

METADATA_KEY = "sluice.reference_bins"
BINS = 10
MOST_CATEGORIES = 40


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """One feature. Numbers have `edges`, text has `categories`.

    `counts[i]` rows are in `[edges[i], edges[i + 1])`; the last bin includes its end. Or they are in `categories[i]`,
    which are the most frequent ones. `missing` rows have no value.
    """

    name: str
    counts: tuple[int, ...]
    missing: int
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()


def reference_bins(rows: pd.DataFrame, bins: int = BINS) -> tuple[FeatureBins, ...]:
    """The bins of all columns that are numbers, booleans or text and have values; others are left out.

    Those of numbers have about equal counts: their edges are quantiles. A feature with at most `bins` different numbers
    has a bin for each.
    """
    return tuple(_features(rows, bins))


def as_document(reference: tuple[FeatureBins, ...], rows: int) -> dict[str, object]:
    """The bins as plain data for a JSON file. `rows`: the number of training rows."""
    features = [{key: value for key, value in asdict(feature).items() if value != ()} for feature in reference]
    return {"rows": rows, "features": features}


def as_metadata(document: dict[str, object]) -> dict[str, str]:
    """The `metadata` to log a model with."""
    return {METADATA_KEY: json.dumps(document, separators=(",", ":"))}


def _features(rows: pd.DataFrame, bins: int) -> Iterator[FeatureBins]:
    for name, column in rows.items():
        present = column.dropna()
        missing = len(column) - len(present)
        if present.empty:
            continue
        if pd.api.types.is_numeric_dtype(column):  # booleans too
            edges = _edges(present.to_numpy(dtype=np.float64), bins)
            counts, _ = np.histogram(present.to_numpy(dtype=np.float64), bins=edges)
            yield FeatureBins(str(name), tuple(map(int, counts)), missing, edges=tuple(map(float, edges)))
        elif all(isinstance(value, str) for value in present):
            frequent = present.value_counts()[:MOST_CATEGORIES]
            yield FeatureBins(str(name), tuple(map(int, frequent)), missing, categories=tuple(frequent.index))


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    different = np.unique(values)
    if len(different) <= bins:
        return np.append(different, different[-1])  # the last bin has width 0
    return np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="nearest"))
