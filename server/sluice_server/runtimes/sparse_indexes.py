"""Sparse matrices whose indexes are all checked: those that a model makes of a request, too.

An encoder or a vectorizer takes such indexes out of the model file, and compiled code follows them unchecked. scipy can
check them, and does so by default for sizes alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from scipy.sparse._bsr import _bsr_base
from scipy.sparse._compressed import _cs_matrix


@cache
def check_all() -> None:
    """Have scipy raise ValueError for each matrix that is made with an index beyond it, from now on."""
    for kind in (_cs_matrix, _bsr_base):
        _check_fully(kind)


def _check_fully(kind: Any) -> None:
    own = kind.check_format

    def check_format(matrix: Any, full_check: bool = True) -> None:
        own(matrix, full_check=True)

    kind.check_format = check_format
