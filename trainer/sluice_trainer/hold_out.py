"""Tags of a run, by which two versions can be compared row by row: the hold-out, and which of its rows were right.

MLflow's REST API returns tags with the run, so the operator does not need access to the artefact store.
"""

import base64
from collections.abc import Sequence

import numpy as np

from sluice_trainer.data import Dataset, digest

DIGEST = "sluice.holdout.digest"
CORRECT = "sluice.holdout.correct"
MOST_CHARACTERS = 8000  # of the value of a tag; MLflow 3.17 cuts off the rest (MAX_TAG_VAL_LENGTH)
MOST_ROWS = MOST_CHARACTERS // 4 * 3 * 8  # base64 makes four characters of three bytes


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
