"""Arrays of numbers, and means of what is kept as logarithms."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_mean(logs: Floats, axis: int, weights: Floats | None = None) -> Floats:
    """The logarithm of the (weighted) mean of what `logs` are the logarithms of. A log of -inf is a 0."""
    top = np.max(logs, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    values = np.exp(logs - top)
    mean = values.mean(axis) if weights is None else np.moveaxis(values, axis, -1) @ (weights / weights.sum())
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mean) + np.squeeze(top, axis=axis))
