import numpy as np
import pytest

from sluice_trainer import data

IRIS = data.iris()


def test_holdout_keeps_the_share_of_every_class() -> None:
    """A stratified split gives each class the same number of hold-out rows, since iris has 50 of each."""
    parts = data.split(IRIS, 0.3, seed=1)

    assert np.bincount(parts.holdout.labels).tolist() == [15, 15, 15]
    assert len(parts.train.labels) == 105


def test_no_row_is_on_both_sides() -> None:
    """Training rows and hold-out rows together are the data set, each row once."""
    parts = data.split(IRIS, 0.3, seed=1)
    both = np.vstack([parts.train.features, parts.holdout.features])

    assert sorted(map(tuple, both)) == sorted(map(tuple, IRIS.features))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.45, 1.0])
def test_label_noise_makes_exactly_that_share_wrong(share: float) -> None:
    """Noise replaces labels by other ones, so the share that was asked for is the share that is wrong."""
    noisy = data.with_label_noise(IRIS, share, seed=3)

    assert int((noisy.labels != IRIS.labels).sum()) == round(share * 150)
    assert set(noisy.labels) <= {0, 1, 2}


def test_label_noise_is_seeded() -> None:
    """The same seed spoils the same rows in the same way; another seed others."""
    once, again, other = (data.with_label_noise(IRIS, 0.3, seed) for seed in (3, 3, 4))

    assert once.labels.tolist() == again.labels.tolist()
    assert once.labels.tolist() != other.labels.tolist()


def test_digest_follows_the_data() -> None:
    """Equal data has an equal digest; one changed label changes it."""
    changed = data.with_label_noise(IRIS, 1 / 150, seed=0)

    assert data.digest(IRIS) == data.digest(data.iris())
    assert data.digest(IRIS) != data.digest(changed)
    assert data.digest(IRIS).startswith("sha256:")
