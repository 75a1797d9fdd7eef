"""Tags of a run, by which two versions can be compared row by row: the hold-out, and which of its rows were right.

MLflow's REST API returns tags with the run, so whoever compares does not need access to the artefact store.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sluice_trainer.data import Dataset, digest

DIGEST = "sluice.holdout.digest"
CORRECT = "sluice.holdout.correct"
MOST_CHARACTERS = 8000  # of the value of a tag; MLflow 3.17 cuts off the rest (MAX_TAG_VAL_LENGTH)
MOST_ROWS = MOST_CHARACTERS // 4 * 3 * 8  # base64 makes four characters of three bytes


class UnreadableError(Exception):
    """The tags do not say which rows were right. The text is the end of a sentence about the run."""


@dataclass(frozen=True, slots=True)
class HoldOut:
    """What the tags say. `right`: by row, whether the prediction was correct."""

    digest: str
    right: tuple[bool, ...]


def tags(hold_out: Dataset, right: Sequence[bool]) -> dict[str, str]:
    """The tags of a hold-out. `right`: by row, whether the prediction was correct.

    One tag is the digest of the rows and labels. The other has one bit per row, as base64: the first row is the highest
    bit, and zeros fill the last byte. A hold-out with more than MOST_ROWS rows only gets the digest, because MLflow
    would cut the bits off.
    """
    if len(right) > MOST_ROWS:
        return {DIGEST: digest(hold_out)}
    packed = np.packbits(np.array(right, dtype=bool)).tobytes()
    return {DIGEST: digest(hold_out), CORRECT: base64.b64encode(packed).decode()}


def read(tags: Mapping[str, str], metrics: Mapping[str, float]) -> HoldOut:
    """The hold-out of a run with these tags, and with the metrics `correct` and `total`. Raises UnreadableError."""
    correct, total = metrics.get("correct"), metrics.get("total")
    if not tags.get(DIGEST) or correct is None or not total:
        raise UnreadableError(f"has no tag {DIGEST} with the metrics correct and total")
    if CORRECT not in tags:
        raise UnreadableError(f"has no tag {CORRECT} (more than {MOST_ROWS} rows do not fit into one)")
    try:
        packed = base64.b64decode(tags[CORRECT], validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError(f"has a tag {CORRECT} that is not base64") from None
    right = np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).astype(bool)
    if len(packed) != (int(total) + 7) // 8 or right.sum() != correct or right[int(total) :].any():
        raise UnreadableError(f"has a tag {CORRECT} that is not of {correct:g} right rows of {total:g}")
    return HoldOut(tags[DIGEST], tuple(right[: int(total)].tolist()))
