"""Whether a row gets the same answer alone as among others, which is what answering requests together rests on.

A step of a model may compare the rows that it gets (`minmax_scale`, a factorization), and code may draw random numbers.
Its own predict does so too, with the rows of one caller. No file tells that, so the model is asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from sluice_server.model.schema import Rows, Schema
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.perturbed import perturbed

_TRIED = 8  # rows, together and each alone
_SPREADS = (0.25, 1e-3)  # far from the example, and so near that few models refuse it
_SAME = 1e-5  # of the largest number that the model gives: arithmetic on many rows may round otherwise than on one
_FEWEST = 2  # different rows that it answers


def are_independent(predict: Callable[[Rows], Output], example: Rows, schema: Schema) -> bool:
    """Whether rows near `example` get the same answers; False too where there are none that the model takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in (*(_near(example, schema, spread) for spread in _SPREADS), example):
            found = _tried(predict, rows)
            if found is not None:
                return found
    return False


def _near(example: Rows, schema: Schema, spread: float) -> Rows:
    rows = perturbed(example, schema, _TRIED, spread=spread)
    if schema.is_one_text:  # of which an example may have one only
        rows[::2, 0] = [text[: len(text) // 2] if isinstance(text, str) else text for text in rows[::2, 0]]
    return rows


def _tried(predict: Callable[[Rows], Output], rows: Rows) -> bool | None:
    """None where the model answers too few different rows: equal ones get equal answers from any model."""
    outputs = [_answer(predict, rows[at : at + 1]) for at in range(len(rows))]
    answered = [at for at, output in enumerate(outputs) if output is not None]
    alone = [output for output in outputs if output is not None]
    if len({tuple(row) for row in rows[answered].tolist()}) < _FEWEST:
        return None
    together = _answer(predict, rows[answered])
    return together is not None and all(
        _are_equal(getattr(together, part), [getattr(each, part) for each in alone])
        for part in ("values", "probabilities", "classes")
    )


def _answer(predict: Callable[[Rows], Output], rows: Rows) -> Output | None:
    try:
        return predict(rows)
    except Exception:  # in whichever way a model says no
        return None


def _are_equal(together: Values | None, alone: Sequence[Values | None]) -> bool:
    parts = [each for each in alone if each is not None]
    if together is None or len(parts) != len(alone):
        return together is None and not parts
    joined = np.concatenate(parts)
    if joined.shape != together.shape:
        return False
    if joined.dtype.kind != "f" or together.dtype.kind != "f":
        return bool(joined.tolist() == together.tolist())
    largest = np.abs(together).max(axis=0, initial=0.0, where=~np.isnan(together))
    return bool(np.isclose(joined, together, rtol=0.0, atol=_SAME * largest, equal_nan=True).all())
