"""Reference bins: how each feature was distributed when the model was trained.

Drift is later judged against these counts, so they are logged with the model and not computed again from data that
may have changed since.
"""

from dataclasses import asdict, dataclass

import numpy as np

from sluice_trainer.data import Dataset

BINS = 10


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """`counts[i]` rows lie in `[edges[i], edges[i + 1])`, the last bin includes its right edge; `missing` were NaN."""

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int


def reference_bins(dataset: Dataset, bins: int = BINS) -> tuple[FeatureBins, ...]:
    """Bins of about equal count (quantile edges); repeated values make fewer, never empty, bins."""
    return tuple(_feature(name, dataset.features[:, column], bins) for column, name in enumerate(dataset.feature_names))


def as_document(reference: tuple[FeatureBins, ...], rows: int) -> dict[str, object]:
    return {"rows": rows, "features": [asdict(feature) for feature in reference]}


def _feature(name: str, values: np.ndarray, bins: int) -> FeatureBins:
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1), method="nearest"))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)  # a constant feature: one bin of no width
    counts, _ = np.histogram(present, bins=edges)
    return FeatureBins(
        name=name,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
        missing=len(values) - len(present),
    )
