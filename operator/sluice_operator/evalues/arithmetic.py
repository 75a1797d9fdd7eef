"""The array type of this package, and means of numbers that are stored as logarithms."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_mean(logs: Floats, axis: int, weights: Floats | None = None) -> Floats:
    """The logarithm of the (weighted) mean of exp(`logs`) along `axis`. A log of -inf stands for 0."""
    top = np.max(logs, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    values = np.exp(logs - top)
    mean = values.mean(axis) if weights is None else np.moveaxis(values, axis, -1) @ (weights / weights.sum())
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mean) + np.squeeze(top, axis=axis))
