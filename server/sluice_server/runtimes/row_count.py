"""Whether a model of any kind gives one answer for each row, which is what cutting a batch into requests rests on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output
from sluice_server.runtimes.port import ModelError


def prove(predict: Callable[[Rows], Output], example: Rows) -> None:
    """Ask for the rows of `example`, and for one more: answers of a fixed number can be right for one of them only.

    Raises ModelError, and what `predict` raises.
    """
    for rows in (example, np.concatenate((example, example[:1]))):
        output = predict(rows)
        for answers in (output.values, output.probabilities, output.classes):
            if answers is not None and len(answers) != len(rows):
                raise ModelError(
                    f"the model answers {len(rows)} rows with {len(answers)} predictions: log one that answers each row"
                )
