"""Reference bins: how each feature was distributed in the training data.

They are logged with the model, so that drift can be measured later, when the data may have changed.
"""

from dataclasses import asdict, dataclass

import numpy as np

from sluice_trainer.data import Dataset

BINS = 10


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """`counts[i]` rows are in `[edges[i], edges[i + 1])`; the last bin includes its end. `missing` rows are NaN."""

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int


def reference_bins(dataset: Dataset, bins: int = BINS) -> tuple[FeatureBins, ...]:
    """Bins with about equal counts: their edges are quantiles. Repeated values make fewer bins, not empty ones."""
    return tuple(_feature(name, dataset.features[:, column], bins) for column, name in enumerate(dataset.feature_names))


def as_document(reference: tuple[FeatureBins, ...], rows: int) -> dict[str, object]:
    """The bins as plain data for a JSON file. `rows`: the number of training rows."""
    return {"rows": rows, "features": [asdict(feature) for feature in reference]}


def _feature(name: str, values: np.ndarray, bins: int) -> FeatureBins:
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1), method="nearest"))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)  # a constant feature gets one bin of width 0
    counts, _ = np.histogram(present, bins=edges)
    return FeatureBins(
        name=name,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
        missing=len(values) - len(present),
    )
