"""Answers that are no finite number. They follow from a row on a model, so the request is refused, and the row named.

A number that is too large for one step of a model ends as infinity or NaN, which JSON does not have. No failure of the
model is made of that: any client could send such rows, and roll back a healthy version. A version that answers so more
often than another one refuses more, and that is compared.
"""

from __future__ import annotations

import numpy as np

from sluice_server.runtimes.output import Values
from sluice_server.runtimes.port import NotFiniteError


def finite(values: Values) -> Values:
    """The values, one or more for each row; raises NotFiniteError for the first row with NaN or infinity."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise not_finite(row, "NaN" if np.isnan(values[row]).any() else "infinite")
    return values


def refuse_infinity(values: Values) -> None:
    """Raise NotFiniteError for the first row with infinity; for a model whose NaN says that a value is missing."""
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise not_finite(int(np.argwhere(np.isinf(values))[0][0]), "infinite")


def not_finite(row: int, what: str) -> NotFiniteError:
    """What to raise for the answer to a row."""
    return NotFiniteError(
        f"the model's answer for row {row} is {what}, so there is no prediction: compare the values of this row with "
        "those that the model was trained on"
    )
