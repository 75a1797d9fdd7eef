"""Counting of features by the bins of the training data."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sluice_server.inference.feature_bins import ROWS_TOGETHER, FeatureBinCollector, FeatureBins
from sluice_server.model import reference
from sluice_server.model.reference import FeatureReference, Reference
from sluice_server.model.schema import Column, Kind, Rows, Schema
from sluice_trainer import reference as trainer

NUMBERS = FeatureReference("x", (2, 5), edges=(0.0, 1.0, 2.0), missing=3)
COLOURS = FeatureReference("c", (6, 3), categories=("red", "blue"), missing=1)


def counts(bins: FeatureBins) -> dict[tuple[str, str], int]:
    return {(feature, name): count for feature, name, count, _ in bins.counted()}


def one_column(kind: Kind, feature: FeatureReference, values: list[object]) -> dict[str, int]:
    bins = FeatureBins(Schema((Column(feature.name, kind),)), Reference(10, (feature,)))
    kinds = np.float64 if kind is Kind.NUMBER else object
    bins.add(np.array(values, dtype=kinds).reshape(-1, 1))
    return {name: count for (_, name), count in counts(bins).items() if count}


def test_each_number_is_in_one_bin() -> None:
    """At the edges: the lower one belongs to a bin, and of the last bin the upper one too."""
    values = [-0.1, 0.0, 0.999, 1.0, 1.5, 2.0, 2.1, math.nan, -math.inf, math.inf]
    counted = one_column(Kind.NUMBER, NUMBERS, list(values))
    assert counted == {"below": 2, "[0.0, 1.0)": 2, "[1.0, 2.0]": 3, "above": 2, "missing": 1}


def test_each_text_is_in_one_bin() -> None:
    """What the training has not seen, or was too rare to be listed, is unseen."""
    counted = one_column(Kind.TEXT, COLOURS, ["red", "red", "green", math.nan, None, "Red", ""])
    assert counted == {"red": 2, "unseen": 3, "missing": 2}


def test_a_category_that_is_called_like_a_bin_is_told_apart() -> None:
    """Two series with the same labels would make the whole scrape unreadable."""
    feature = FeatureReference("c", (1, 1), categories=("missing", "unseen"))
    assert one_column(Kind.TEXT, feature, ["missing", "x", None]) == {"missing": 1, "(unseen)": 1, "(missing)": 1}


def test_shares_of_the_training_add_up_to_one() -> None:
    """Nothing was below or above, and what the categories leave is unseen."""
    schema = Schema((Column("c", Kind.TEXT), Column("x", Kind.NUMBER)))
    bins = FeatureBins(schema, Reference(12, (NUMBERS, COLOURS)))
    shares: dict[str, dict[str, float]] = {}
    for feature, name, _, share in bins.counted():
        shares.setdefault(feature, {})[name] = round(share, 6)
    assert shares["c"] == {"red": 0.5, "blue": 0.25, "unseen": 0.166667, "missing": 0.083333}
    assert shares["x"] == {"below": 0, "[0.0, 1.0)": 0.166667, "[1.0, 2.0]": 0.416667, "above": 0, "missing": 0.25}


def test_rows_are_counted_when_somebody_asks_and_when_enough_have_come() -> None:
    """However they come: a few at a time, or so many in one request that only a part of them is counted."""
    bins = FeatureBins(Schema((Column("x", Kind.NUMBER),)), Reference(10, (NUMBERS,)))
    row: Rows = np.array([[0.5]])
    for _ in range(2 * ROWS_TOGETHER + 1):
        bins.add(row)
    assert len(bins._waiting) == 1
    assert counts(bins)["x", "[0.0, 1.0)"] == 2 * ROWS_TOGETHER + 1
    bins.add(np.array([[0.5], [1.5]] * 5 * ROWS_TOGETHER))
    added = sum(counts(bins).values()) - 2 * ROWS_TOGETHER - 1
    assert ROWS_TOGETHER / 2 < added <= ROWS_TOGETHER


def test_rows_that_wait_to_be_counted_keep_no_text() -> None:
    """Neither of a column without bins nor of one with them: a few large requests would fill the memory."""
    schema = Schema((Column("text", Kind.TEXT), Column("c", Kind.TEXT), Column("x", Kind.NUMBER)))
    bins = FeatureBins(schema, Reference(10, (NUMBERS, COLOURS)))
    tracemalloc.start()
    for at in range(20):
        text = f"{at} " + "a" * 1_000_000
        bins.add(np.array([[text, text, 0.5]], dtype=object))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 2_000_000
    counted = counts(bins)
    assert (counted["c", "unseen"], counted["x", "[0.0, 1.0)"]) == (20, 20)


def test_rows_that_wait_to_be_counted_keep_no_other_columns() -> None:
    """Of wide rows with a few bins, what waits is a few numbers, whoever else holds the rows."""
    schema = Schema((*(Column(str(at), Kind.NUMBER) for at in range(9)), Column("x", Kind.NUMBER)))
    bins = FeatureBins(schema, Reference(10, (NUMBERS,)))
    rows = np.full((3, 10), 0.5)
    bins.add(rows)
    rows[:] = 9.0
    kept = bins._waiting[0]
    assert (kept if kept.base is None else kept.base).nbytes == 3 * 8
    assert counts(bins)["x", "[0.0, 1.0)"] == 3


@pytest.mark.parametrize(("kind", "feature"), [(Kind.TEXT, NUMBERS), (Kind.NUMBER, COLOURS), (Kind.DATE, COLOURS)])
def test_a_feature_of_another_kind_than_its_column_is_left_out(kind: Kind, feature: FeatureReference) -> None:
    """As one that the model does not have."""
    columns = (Column(feature.name, kind), Column("other", kind))
    assert counts(FeatureBins(Schema(columns), Reference(10, (feature,)))) == {}


def test_at_most_fifty_features_are_counted() -> None:
    """The first ones of the signature."""
    features = tuple(FeatureReference(f"f{at}", (10,), edges=(0.0, 1.0)) for at in range(70))
    schema = Schema(tuple(Column(f"f{at}", Kind.NUMBER) for at in reversed(range(70))))
    counted = {feature for feature, _ in counts(FeatureBins(schema, Reference(10, features)))}
    assert counted == {f"f{at}" for at in range(20, 70)}


def test_the_rows_of_the_training_have_the_shares_of_the_reference() -> None:
    """What the trainer writes and what the server counts are the same bins, at every edge."""
    rng = np.random.default_rng(7)
    rows = pd.DataFrame(
        {
            "normal": rng.normal(size=301),
            "whole": rng.integers(0, 5, 301),
            "zeros": np.where(rng.random(301) < 0.7, 0.0, rng.exponential(size=301)),
            "gaps": np.where(rng.random(301) < 0.1, np.nan, np.round(rng.normal(size=301), 1)),
            "colour": rng.choice(["red", "blue", "green"], 301),
        }
    )
    document = trainer.as_document(trainer.reference_bins(rows), len(rows))
    known = reference.parse(trainer.as_metadata(document)[reference.METADATA_KEY])
    assert trainer.METADATA_KEY == reference.METADATA_KEY
    kinds = [Kind.TEXT if name == "colour" else Kind.NUMBER for name in rows]
    bins = FeatureBins(Schema(tuple(Column(name, kind) for name, kind in zip(rows, kinds, strict=True))), known)
    for at in range(len(rows)):
        bins.add(rows.iloc[[at]].to_numpy(dtype=object))
    for feature, name, count, share in bins.counted():
        assert count == round(share * 301), (feature, name)
    assert len({feature for feature, *_ in bins.counted()}) == len(json.loads(json.dumps(document))["features"]) == 5


def test_prometheus_gets_all_bins_from_the_start() -> None:
    """With 0, so that the first value of a bin is an increase; shares of the training beside them."""
    registry = CollectorRegistry()
    bins = FeatureBins(Schema((Column("x", Kind.NUMBER),)), Reference(10, (NUMBERS,)))
    registry.register(FeatureBinCollector(bins, ("iris", "3", "abcdefghij")))
    labels = {"model": "iris", "version": "3", "revision": "abcdefghij", "feature": "x"}
    assert registry.get_sample_value("ml_feature_bin_total", labels | {"bin": "above"}) == 0
    bins.add(np.array([[9.0]]))
    assert registry.get_sample_value("ml_feature_bin_total", labels | {"bin": "above"}) == 1
    assert registry.get_sample_value("ml_feature_reference_ratio", labels | {"bin": "[1.0, 2.0]"}) == 0.5
    assert b"_created" not in generate_latest(registry)
