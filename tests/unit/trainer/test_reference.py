import json

import pandas as pd
import pytest

from sluice_trainer import data, reference


def one_feature(values: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"x": values})


def test_every_row_is_in_one_bin() -> None:
    """The counts of a feature add up to the number of rows, with its lowest and highest value."""
    for feature in reference.reference_bins(data.iris().frame):
        assert sum(feature.counts) + feature.missing == 150
        assert len(feature.edges) == len(feature.counts) + 1


def test_bins_hold_about_equal_shares() -> None:
    """Edges are quantiles, so that each bin can show drift."""
    (feature,) = reference.reference_bins(one_feature([float(n) for n in range(1000)]))

    assert len(feature.counts) == 10
    assert all(90 <= count <= 110 for count in feature.counts)


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        ([0.0] * 90 + [1.0] * 5 + [2.0] * 5, (0.0, 1.0, 2.0, 2.0), (90, 5, 5)),
        ([False, True, True], (0.0, 1.0, 1.0), (1, 2)),
        ([3, 3, 3], (3.0, 3.0), (3,)),
    ],
)
def test_few_different_values_have_a_bin_each(
    values: list[object], edges: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    """Or drift between them could not be seen. The last bin includes its end, so it may have no width."""
    (feature,) = reference.reference_bins(one_feature(values))

    assert (feature.edges, feature.counts) == (edges, counts)


def test_the_most_frequent_texts_are_categories() -> None:
    """A long tail would be one series each. What is neither text nor number has no bins."""
    rows = one_feature([*["red"] * 3, *["blue"] * 2, *map(str, range(100)), None])
    (feature,) = reference.reference_bins(rows.assign(day=pd.Timestamp("2026-01-02"), nothing=None))

    assert (feature.name, feature.categories[:2], feature.counts[:3]) == ("x", ("red", "blue"), (3, 2, 1))
    assert (len(feature.categories), feature.missing) == (reference.MOST_CATEGORIES, 1)


def test_missing_values_are_counted_apart() -> None:
    """NaN is in no bin, but it is counted."""
    (feature,) = reference.reference_bins(one_feature([1.0, float("nan"), 2.0, 3.0]))

    assert (sum(feature.counts), feature.missing) == (3, 1)


def test_document_is_plain_data() -> None:
    """It has each feature with its edges, counts and missing rows."""
    document = reference.as_document(reference.reference_bins(data.iris().frame), rows=150)

    assert document["rows"] == 150
    assert isinstance(document["features"], list)
    assert set(document["features"][0]) == {"name", "edges", "counts", "missing"}
    assert json.loads(reference.as_metadata(document)[reference.METADATA_KEY])["features"][3]["name"] == "petal_width"
