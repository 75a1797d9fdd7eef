"""The tags by which two versions can be compared row by row: which hold-out it was, and which of its rows were right.

Tags come with the run over MLflow's REST API, so whoever compares needs no artefact store.
"""

import base64
from collections.abc import Sequence

import numpy as np

from sluice_trainer.data import Dataset, digest

DIGEST = "sluice.holdout.digest"
CORRECT = "sluice.holdout.correct"
MOST_CHARACTERS = 8000  # of a tag's value (MLflow 3.17: MAX_TAG_VAL_LENGTH); MLflow cuts off what is longer
MOST_ROWS = MOST_CHARACTERS // 4 * 3 * 8  # base64 makes four characters of three bytes


def tags(holdout: Dataset, right: Sequence[bool]) -> dict[str, str]:
    """The digest of the rows and labels in their order, and a bit per row: base64, first row highest, zeros at the end.

    A hold-out of more than MOST_ROWS gets its digest alone: half of the bits would look like another hold-out.
    """
    if len(right) > MOST_ROWS:
        return {DIGEST: digest(holdout)}
    packed = np.packbits(np.array(right, dtype=bool)).tobytes()
    return {DIGEST: digest(holdout), CORRECT: base64.b64encode(packed).decode()}
