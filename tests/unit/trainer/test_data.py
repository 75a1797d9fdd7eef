import numpy as np
import pytest

from sluice_trainer import data

IRIS = data.iris()


def test_holdout_has_the_same_share_of_each_class() -> None:
    """Iris has 50 rows of each class, so the hold-out has as many rows of each."""
    parts = data.split(IRIS, 0.3, seed=1)

    assert np.bincount(parts.hold_out.labels).tolist() == [15, 15, 15]
    assert len(parts.train.labels) == 105


def test_no_row_is_in_both_parts() -> None:
    """Training rows and hold-out rows together are the data set, with each row once."""
    parts = data.split(IRIS, 0.3, seed=1)
    all_rows = np.vstack([parts.train.features, parts.hold_out.features])

    assert sorted(map(tuple, all_rows)) == sorted(map(tuple, IRIS.features))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.45, 1.0])
def test_label_noise_makes_exactly_that_share_wrong(share: float) -> None:
    """Noise replaces labels by other classes, so exactly the given share is wrong."""
    noisy = data.with_label_noise(IRIS, share, seed=3)

    assert int((noisy.labels != IRIS.labels).sum()) == round(share * 150)
    assert set(noisy.labels) <= {0, 1, 2}


def test_label_noise_is_seeded() -> None:
    """The same seed changes the same rows in the same way. Another seed changes other rows."""
    first, repeated, other_seed = (data.with_label_noise(IRIS, 0.3, seed) for seed in (3, 3, 4))

    assert first.labels.tolist() == repeated.labels.tolist()
    assert first.labels.tolist() != other_seed.labels.tolist()


def test_digest_depends_on_the_data_only() -> None:
    """Equal data has an equal digest. One changed label changes it."""
    changed = data.with_label_noise(IRIS, 1 / 150, seed=0)

    assert data.digest(IRIS) == data.digest(data.iris())
    assert data.digest(IRIS) != data.digest(changed)
    assert data.digest(IRIS).startswith("sha256:")
