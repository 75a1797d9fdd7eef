"""What the arrays of a support vector machine have to fulfil, because libsvm follows them unchecked."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from sluice_server.runtimes.port import ModelError

_KERNELS = ("linear", "poly", "rbf", "sigmoid")


def fault(part: Any) -> str:
    """What is wrong with the arrays of a fitted BaseLibSVM; empty if they can be followed.

    Raises ModelError where the columns of a row are not those of a request, but rows of the training, which `support_`
    counts.
    """
    if not isinstance(part.kernel, str) or part.kernel not in _KERNELS:
        raise ModelError(
            f"a {type(part).__name__} has the kernel {str(part.kernel)[:50]!r}, which takes a row of the training for "
            f"each column: train it with one of {', '.join(_KERNELS)}"
        )
    count, width = part.support_vectors_.shape
    classes = len(part.classes_) if is_classifier(part) else 2
    pairs = classes * (classes - 1) // 2
    dual = part._dual_coef_.data if sparse.issparse(part._dual_coef_) else part._dual_coef_
    has_probabilities = np.size(part._probA) > 0 or np.size(part._probB) > 0
    expected = {
        "columns": (width, part.n_features_in_),
        "indexes": (len(part.support_), count),
        "coefficients": (np.size(dual), (classes - 1) * count),
        "intercepts": (np.size(part._intercept_), pairs),
        "slopes of probabilities": (np.size(part._probA), pairs if has_probabilities else 0),
        "offsets of probabilities": (np.size(part._probB), pairs if has_probabilities else 0),
        "numbers of support vectors": (len(part._n_support), classes),
    }
    if is_classifier(part):
        expected["support vectors by class"] = (int(part._n_support.sum()), count)
        expected["negative numbers"] = (int((part._n_support < 0).sum()), 0)
    for what, (there, needed) in expected.items():
        if there != needed:
            return f"it has {there} {what} instead of {needed}"
    return ""
