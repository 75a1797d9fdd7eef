"""What the training run tells about a model."""

from __future__ import annotations

import pytest

from sluice_server.model.origin import Origin


@pytest.mark.parametrize(
    ("metrics", "accuracy"),
    [
        ({"accuracy": 0.9, "training_accuracy_score": 1.0}, 0.9),
        ({"training_accuracy_score": 1.0, "val_accuracy": 0.8}, 0.8),
        ({"accuracy": 91.0}, None),
        ({"accuracy": 91.0, "test_accuracy": 0.91}, 0.91),
        ({"rmse": 0.5}, None),
        ({}, None),
    ],
)
def test_the_accuracy_is_a_share_that_the_model_was_measured_by(
    metrics: dict[str, float], accuracy: float | None
) -> None:
    """On data that it had not seen, if there is such a metric; percents are not taken for shares."""
    assert Origin(metrics=metrics).accuracy == accuracy
