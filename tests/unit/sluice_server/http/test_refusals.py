"""A refusal is a sentence, however long what was refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Start

LONG = "k" * 200_000
ROW = [5.1, 3.5, 1.4, 0.2]
INFER = "/v2/models/iris/infer"
TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/predict", {"features": [ROW], LONG: 1}),
        ("/predict", {"features": [{LONG: 1}]}),
        ("/predict", {"features": [[LONG, 1, 1, 1]]}),
        ("/invocations", {"instances": [ROW], LONG: 1}),
        ("/invocations", {"dataframe_split": {"columns": [LONG], "data": [[1]]}}),
        ("/invocations", {"inputs": {LONG: [1]}}),
        (INFER, {"inputs": [TENSOR | {"name": LONG, "shape": [1, 3]}]}),
        (INFER, {"inputs": [TENSOR | {"datatype": LONG, "parameters": {"binary_data_size": 0}}]}),
        (INFER, {"inputs": [TENSOR | {"shape": [1] * 100_000}]}),
        (INFER, {"inputs": [TENSOR | {"shape": [10**4_000, 1]}]}),
        (INFER, {"inputs": [TENSOR], "outputs": [{"name": LONG}]}),
        (INFER, {"inputs": [TENSOR | {"shape": [1, LONG]}]}),
        ("/feedback", {"prediction_id": "x", LONG: 1}),
        ("/feedback", {"prediction_id": LONG, "label": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_does_not_repeat_all_that_was_sent(start: Start, path: str, content: Any) -> None:
    """One was twice as long as the 4 MB that were refused."""
    answer = start(max_body=1_000_000).post(path, json=content)
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 5_000
    assert json.loads(answer.content)
