"""Counts of the values that features have in requests, by the bins of the training data.

Numbers are only collected when a request is answered, and counted with numpy when enough have come or Prometheus asks:
one at a time they would cost as much as a small model. What is collected has a known size: of text only its bin is
kept, and of columns without bins nothing. A request with very many rows is counted in a sample of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from sluice_server.model.reference import MOST_FEATURES, FeatureReference, Reference
from sluice_server.model.schema import NUMERIC, Kind, Rows, Schema

ROWS_TOGETHER = 500  # 50 features of so many rows are counted in about 1 ms


class _Bins(Protocol):
    """The bins of one feature, each with a name.

    `kept`: what is collected of a column, a number for each row; `places`: the bin of each of these.
    """

    names: tuple[str, ...]

    def kept(self, column: NDArray[Any]) -> NDArray[np.float64]: ...

    def places(self, kept: NDArray[np.float64]) -> NDArray[np.intp]: ...


class _Ranges:
    """Of numbers: below, one bin for each pair of edges, above, missing."""

    def __init__(self, feature: FeatureReference) -> None:
        *starts, end = feature.edges
        ends = [f"{high})" for high in starts[1:]] + [f"{end}]"]
        ranges = (f"[{low}, {high}" for low, high in zip(starts, ends, strict=True))
        self.names = ("below", *ranges, "above", "missing")
        self._edges = np.array([*starts, math.nextafter(end, math.inf)])  # the last bin includes its end

    def kept(self, column: NDArray[Any]) -> NDArray[np.float64]:
        return column.astype(np.float64)

    def places(self, kept: NDArray[np.float64]) -> NDArray[np.intp]:
        places = np.searchsorted(self._edges, kept, side="right")
        places[np.isnan(kept)] = len(self.names) - 1
        return places


class _Categories:
    """Of text: one bin for each category that the reference lists, then unseen, missing."""

    def __init__(self, feature: FeatureReference) -> None:
        others = (f"({name})" if name in feature.categories else name for name in ("unseen", "missing"))
        self.names = (*feature.categories, *others)
        self._places = {category: place for place, category in enumerate(feature.categories)}

    def kept(self, column: NDArray[Any]) -> NDArray[np.float64]:
        unseen = len(self._places)
        return np.array(
            [self._places.get(value, unseen) if isinstance(value, str) else unseen + 1 for value in column.tolist()],
            dtype=np.float64,
        )

    def places(self, kept: NDArray[np.float64]) -> NDArray[np.intp]:
        return kept.astype(np.intp)


@dataclass(frozen=True, slots=True)
class _Feature:
    name: str
    at: int  # its column in the rows
    bins: _Bins
    counts: NDArray[np.int64]
    expected: tuple[float, ...]  # the share of each bin in the training data


class FeatureBins:
    """Counts rows of `schema` for the features that `reference` has. Not for several threads."""

    def __init__(self, schema: Schema, reference: Reference) -> None:
        self._features = tuple(_features(schema, reference))
        self._at = np.array([feature.at for feature in self._features], dtype=np.intp)
        self._waiting: list[NDArray[np.float64]] = []  # a column for each feature
        self._rows = 0

    def add(self, rows: Rows) -> None:
        """The rows of a request that was answered."""
        sample = rows[:: math.ceil(len(rows) / ROWS_TOGETHER)] if len(rows) > ROWS_TOGETHER else rows
        self._waiting.append(self._kept(sample))
        self._rows += len(sample)
        if self._rows >= ROWS_TOGETHER:
            self._count()

    def counted(self) -> Iterator[tuple[str, str, int, float]]:
        """Feature, bin, rows since the start of the process, and share of the training rows."""
        self._count()
        for feature in self._features:
            for name, count, share in zip(feature.bins.names, feature.counts.tolist(), feature.expected, strict=True):
                yield feature.name, name, count, share

    def _kept(self, rows: Rows) -> NDArray[np.float64]:
        if rows.dtype != object:
            return rows[:, self._at]  # a copy
        kept = np.empty((len(rows), len(self._features)))
        for place, feature in enumerate(self._features):
            kept[:, place] = feature.bins.kept(rows[:, feature.at])
        return kept

    def _count(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting, self._rows = self._waiting, [], 0
        rows = np.concatenate(waiting)
        for place, feature in enumerate(self._features):
            places = feature.bins.places(rows[:, place])
            feature.counts[:] += np.bincount(places, minlength=len(feature.counts))


class FeatureBinCollector:
    """What Prometheus reads of it, with the labels `model`, `version` and `revision` in front."""

    def __init__(self, bins: FeatureBins, labels: tuple[str, ...]) -> None:
        self._bins = bins
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        """The two metrics, each with all bins from the start."""
        names = ("model", "version", "revision", "feature", "bin")
        rows = CounterMetricFamily("ml_feature_bin", "Rows in requests, by the value of a feature.", labels=names)
        expected = GaugeMetricFamily("ml_feature_reference_ratio", "Share of the training rows.", labels=names)
        for feature, name, count, share in self._bins.counted():
            rows.add_metric((*self._labels, feature, name), count)
            expected.add_metric((*self._labels, feature, name), share)
        return rows, expected


def _features(schema: Schema, reference: Reference) -> Iterator[_Feature]:
    """The first features of the schema that the reference has bins for, of the kind of the column."""
    known = {feature.name: feature for feature in reference.features}
    places = [at for at, column in enumerate(schema.columns) if _fits(column.kind, known.get(column.name))]
    for at in places[:MOST_FEATURES]:
        feature = known[schema.columns[at].name]
        bins = _Ranges(feature) if feature.edges else _Categories(feature)
        missing = feature.missing / reference.rows
        listed = [count / reference.rows for count in feature.counts]
        unlisted = max(1.0 - math.fsum(listed) - missing, 0.0)
        expected = (0.0, *listed, 0.0, missing) if feature.edges else (*listed, unlisted, missing)
        yield _Feature(feature.name, at, bins, np.zeros(len(bins.names), dtype=np.int64), expected)


def _fits(kind: Kind, feature: FeatureReference | None) -> bool:
    if feature is None:
        return False
    return kind in NUMERIC if feature.edges else kind is Kind.TEXT
