"""The data set: iris, its digest, the hold-out split and label noise.

Everything here is arithmetic on arrays. Randomness comes from a seed, so a run can be repeated exactly.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

Features = NDArray[np.float64]  # rows x features
Labels = NDArray[np.int64]  # one class index per row


@dataclass(frozen=True, slots=True)
class Dataset:
    features: Features
    labels: Labels
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """The features with their names as columns, so that the model and its signature use the same names."""
        return pd.DataFrame(self.features, columns=list(self.feature_names))


@dataclass(frozen=True, slots=True)
class Split:
    train: Dataset
    hold_out: Dataset


def iris() -> Dataset:
    """The 150 rows that come with scikit-learn. The column names are those of the examples in docs/server.md."""
    bunch = load_iris()
    return Dataset(
        features=np.asarray(bunch.data, dtype=np.float64),
        labels=np.asarray(bunch.target, dtype=np.int64),
        feature_names=("sepal_length", "sepal_width", "petal_length", "petal_width"),
        class_names=tuple(str(name) for name in bunch.target_names),
    )


def digest(dataset: Dataset) -> str:
    """`sha256:<hex>` of names, shape, values and labels. Equal data has the same digest on each machine."""
    hasher = hashlib.sha256()
    hasher.update(repr((dataset.feature_names, dataset.class_names, dataset.features.shape)).encode())
    hasher.update(np.ascontiguousarray(dataset.features, dtype="<f8").tobytes())
    hasher.update(np.ascontiguousarray(dataset.labels, dtype="<i8").tobytes())
    return f"sha256:{hasher.hexdigest()}"


def split(dataset: Dataset, holdout_share: float, seed: int) -> Split:
    """A stratified split: each class has the same share in both parts. `holdout_share`: 0 to 1."""
    train_rows, hold_out_rows = train_test_split(
        np.arange(len(dataset.labels)), test_size=holdout_share, stratify=dataset.labels, random_state=seed
    )
    return Split(train=chosen(dataset, train_rows), hold_out=chosen(dataset, hold_out_rows))


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The rows of both, which have the same features and classes."""
    return Dataset(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.labels, second.labels]),
        first.feature_names,
        first.class_names,
    )


def with_label_noise(dataset: Dataset, share: float, seed: int) -> Dataset:
    """The same rows, with exactly `round(share * rows)` labels replaced by another class. All other classes are equally
    likely.
    """
    random = np.random.default_rng(seed)
    rows, classes = len(dataset.labels), len(dataset.class_names)
    wrong = random.choice(rows, size=round(share * rows), replace=False)
    labels = dataset.labels.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, classes, size=len(wrong))) % classes
    return Dataset(dataset.features, labels, dataset.feature_names, dataset.class_names)


def chosen(dataset: Dataset, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Dataset:
    """Some rows: their places, or for each row whether it is one of them."""
    return Dataset(dataset.features[rows], dataset.labels[rows], dataset.feature_names, dataset.class_names)
