"""Each row gets its own answer, or the model is not served."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sluice_server.runtimes import row_count
from sluice_server.runtimes.output import Output
from sluice_server.runtimes.port import ModelError

TWO = np.zeros((2, 3))


def test_an_answer_for_each_row_passes() -> None:
    """However many values an answer has."""
    row_count.prove(lambda rows: Output(np.zeros((len(rows), 2, 5)), None, None), TWO)


@pytest.mark.parametrize("part", ["values", "probabilities", "classes"])
def test_as_many_answers_as_the_example_has_rows_are_not_enough(part: str) -> None:
    """Their number is one of the model, such as that of its outputs: another request would get another's answer."""

    def predict(rows: Any) -> Output:
        each: dict[str, Any] = {
            name: np.zeros(2 if name == part else len(rows)) for name in ("values", "probabilities", "classes")
        }
        return Output(**each)

    with pytest.raises(ModelError, match="3 rows with 2 predictions"):
        row_count.prove(predict, TWO)
