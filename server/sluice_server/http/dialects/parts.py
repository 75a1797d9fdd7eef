"""Long lists in JSON, written part by part: msgspec keeps Python to itself until it is done, and others wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

PART = 50_000  # values; they take some milliseconds
_encode = msgspec.json.Encoder().encode


def listed(array: NDArray[Any], to_list: Callable[[NDArray[Any]], list[Any]] = np.ndarray.tolist) -> Any:
    """What msgspec writes as the list that `to_list` makes of an array, of which it may get some rows at a time."""
    if array.size <= PART:
        return to_list(array)
    rows = max(1, PART * len(array) // array.size)
    parts = (_encode(to_list(array[at : at + rows]))[1:-1] for at in range(0, len(array), rows))
    return msgspec.Raw(b"[%b]" % b",".join(parts))
