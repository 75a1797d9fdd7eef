"""Labels for predicted numbers: within the tolerance they are right, and their errors are added up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from sluice_operator.api import signature
from sluice_server.tolerance import Tolerance, tolerance

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Save, Start

ROW = [5.1, 3.5, 1.4, 0.2]


def predicted(client: Client, *rows: list[float]) -> str:
    return str(client.post("/predict", json={"features": rows}).json()["prediction_id"])


def feedback(client: Client, identifier: str, **labels: Any) -> Any:
    return client.post("/feedback", json={"prediction_id": identifier, **labels})


def counted(total: int, correct: int, repeats: int) -> dict[str, int]:
    return {"counted": total, "correct": correct, "repeats": repeats}


@pytest.fixture
def regressor(save: Save, tmp_path: Path) -> Path:
    """The folder of a model that answers the sum of its columns."""
    rows = np.eye(4)
    return save(tmp_path / "regressor", LinearRegression(fit_intercept=False).fit(rows, rows.sum(axis=1)))


def test_without_a_tolerance_a_regressor_takes_no_feedback(start: Start, regressor: Path) -> None:
    """Values without probabilities, and a null id; the refusal names the setting."""
    client = start(model_dir=regressor)
    answer = client.post("/predict", json={"features": ROW}).json()
    assert answer["predictions"] == [pytest.approx(sum(ROW))]
    assert (answer["probabilities"], answer["prediction_id"]) == (None, None)
    refused = client.post("/feedback", json={"prediction_id": None, "label": 1})
    assert "SLUICE_FEEDBACK_TOLERANCE" in refused.json()["detail"][0]["msg"]
    assert client.value("ml_feedback_absolute_error_total") is None


def test_within_its_tolerance_a_number_is_right(start: Start, regressor: Path) -> None:
    """At any pod with the key; the sizes of the errors are added up, and a repeat adds nothing."""
    client = start(model_dir=regressor, feedback_tolerance=Tolerance(1.0))
    identifier = predicted(client, [10, 0, 0, 0], [20, 0, 0, 0], [30, 0, 0, 0])
    answer = feedback(client, identifier, labels=[10.5, "23", None])
    assert answer.json() == counted(2, 1, 0)
    assert client.value("ml_feedback_absolute_error_total") == pytest.approx(0.5 + 3.0)
    assert feedback(client, identifier, labels=[10.5, None, 30]).json() == counted(1, 1, 1)
    assert client.value("ml_feedback_absolute_error_total") == pytest.approx(0.5 + 3.0)
    assert (client.value("ml_feedback_total"), client.value("ml_feedback_correct_total")) == (3, 2)


def test_before_the_first_label_the_sum_of_the_errors_is_zero(start: Start, regressor: Path) -> None:
    """As the count of the labels is: a mean error over a time in which they came needs the growth of both."""
    client = start(model_dir=regressor, feedback_tolerance=Tolerance(1.0))
    assert [client.value(f"ml_feedback_{what}_total") for what in ("absolute_error", "correct")] == [0, 0]


@pytest.mark.parametrize("label", ["late", "nan", 10**400, -1.7e308, 1.7e18])
def test_a_label_that_is_no_distance_away_counts_nothing(start: Start, regressor: Path, label: object) -> None:
    """Nor one so far away that the sum of all errors would not notice any other: a time in nanoseconds, for example."""
    client = start(model_dir=regressor, feedback_tolerance=Tolerance(1.0))
    refused = feedback(client, predicted(client, ROW), label=label)
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "label"])
    assert client.value("ml_feedback_total") == 0


def test_any_pod_judges_by_the_tolerance_of_the_prediction(start: Start, regressor: Path) -> None:
    """While a rollout changes it, a label counts the same wherever it comes, also where there is none."""
    identifier = predicted(start(model_dir=regressor, feedback_tolerance=Tolerance(3.0)), [10, 0, 0, 0])
    for others in (None, Tolerance(1.0)):
        client = start(model_dir=regressor, feedback_tolerance=others)
        assert feedback(client, identifier, label=12).json() == counted(1, 1, 0)


def test_the_tolerance_changes_nothing_for_classes(start: Start) -> None:
    """A neighbouring class is another class."""
    client = start(feedback_tolerance=Tolerance(1.0))
    assert feedback(client, predicted(client, ROW), label=1).json() == counted(1, 0, 0)


@pytest.mark.parametrize(
    ("within", "shown"),
    [
        (None, None),
        (tolerance("5.0"), {"by": 5.0, "relative": False}),
        (tolerance("10 %"), {"by": 0.1, "relative": True}),
    ],
)
def test_metadata_says_how_close_a_number_must_be(
    start: Start, regressor: Path, within: Tolerance | None, shown: dict[str, Any] | None
) -> None:
    """The operator reads it of two revisions, wherever their settings come from. They share no code."""
    client = start(model_dir=regressor, feedback_tolerance=within)
    said = client.get("/metadata")
    assert said.json()["signature"]["predictions"]["tolerance"] == shown
    read = signature.parse(said.content)
    assert read is not None
    assert read.predictions.tolerance == (shown and signature.Tolerance(**shown))


def test_metadata_of_a_model_of_classes_has_no_tolerance(start: Start) -> None:
    """It would change nothing, so a version that comes with it is no reason to refuse it."""
    client = start(feedback_tolerance=Tolerance(1.0))
    assert client.get("/metadata").json()["signature"]["predictions"]["tolerance"] is None
