"""What the nodes of a tree have to fulfil, whichever library follows them, because compiled code does so unchecked.

A tree in a file is data, but hostile data: a child that leads back is an endless loop, a child or a feature beyond the
arrays is read from memory that belongs to somebody else. All libraries build each child behind its parent.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice_server.runtimes.port import ModelError

_WHOLE = re.compile(r"-?[0-9]{1,10}")


def check_nodes(
    inner: NDArray[np.bool_], children: tuple[NDArray[Any], ...], feature: NDArray[Any], width: int
) -> None:
    """Raises ModelError for nodes that cannot be followed safely. `inner`: those that are no leaves."""
    count, at = len(inner), np.flatnonzero(inner)
    if count == 0:
        raise changed("a tree has no nodes")
    for child in children:
        if not ((child[at] > at) & (child[at] < count)).all():
            raise changed("a node of a tree leads back, or to a node that is not there")
    if not ((feature[at] >= 0) & (feature[at] < width)).all():
        raise changed(f"a node of a tree asks for a feature that is not one of its {width}")


def whole(text: object) -> int:
    """A whole number as these libraries write it; raises ModelError for all others.

    Python's `int` takes more: "0_4", other scripts and spaces, of which a library reads 0, or stops at.
    """
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise changed(f"it has {str(text)[:30]!r} instead of a whole number")
    return int(text)


def changed(what: str) -> ModelError:
    """The error for a file that its library has not written like this."""
    return ModelError(f"{what}: the model file was made or changed by hand: train and log the model again")
