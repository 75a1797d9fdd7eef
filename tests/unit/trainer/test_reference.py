import numpy as np

from sluice_trainer import data, reference


def one_feature(values: list[float]) -> data.Dataset:
    return data.Dataset(np.array(values).reshape(-1, 1), np.zeros(len(values), dtype=np.int64), ("x",), ("only",))


def test_every_row_is_in_one_bin() -> None:
    """The counts of a feature add up to the number of rows, with its lowest and highest value."""
    iris = data.iris()

    for feature in reference.reference_bins(iris):
        assert sum(feature.counts) + feature.missing == 150
        assert len(feature.edges) == len(feature.counts) + 1


def test_bins_hold_about_equal_shares() -> None:
    """Edges are quantiles, so that each bin can show drift."""
    (feature,) = reference.reference_bins(one_feature([float(n) for n in range(1000)]))

    assert len(feature.counts) == 10
    assert all(90 <= count <= 110 for count in feature.counts)


def test_repeated_values_make_fewer_bins_and_no_empty_one() -> None:
    """A feature with few distinct values has as many bins as it can fill."""
    (feature,) = reference.reference_bins(one_feature([0.0] * 90 + [1.0] * 5 + [2.0] * 5))

    assert all(count > 0 for count in feature.counts)
    assert sum(feature.counts) == 100


def test_a_constant_feature_has_one_bin() -> None:
    """All its rows are counted in it."""
    (feature,) = reference.reference_bins(one_feature([3.0, 3.0, 3.0]))

    assert feature.counts == (3,)


def test_missing_values_are_counted_apart() -> None:
    """NaN is in no bin, but it is counted."""
    (feature,) = reference.reference_bins(one_feature([1.0, float("nan"), 2.0, 3.0]))

    assert (sum(feature.counts), feature.missing) == (3, 1)


def test_document_is_plain_data() -> None:
    """It has each feature with its edges, counts and missing rows."""
    document = reference.as_document(reference.reference_bins(data.iris()), rows=150)

    assert document["rows"] == 150
    assert isinstance(document["features"], list)
    assert set(document["features"][0]) == {"name", "edges", "counts", "missing"}
