"""What a model's output looks like to those who read it as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sluice_server.runtimes.output import Output


@pytest.mark.parametrize(
    ("values", "name", "per_row"),
    [
        ([0, 2], "integer", 1),
        ([0.5, 2.0], "number", 1),
        ([True, False], "boolean", 1),
        (["setosa", "virginica"], "string", 1),
        (np.array(["setosa", None], dtype=object), "string", 1),
        ([[0.5, 1.0, 2.0]], "number", 3),
    ],
)
def test_the_type_of_a_value_is_that_of_json(values: Any, name: str, per_row: int) -> None:
    """Callers know nothing of numpy; a model with several outputs has several values for a row."""
    output = Output(np.asarray(values), None, None)
    assert (output.type_in_json, output.values_per_row) == (name, per_row)
