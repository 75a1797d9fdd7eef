"""The steps of a canary that has none of its own follow from how many requests there are."""

import pytest

from sluice_operator.rollout.automatic_steps import steps_for


@pytest.mark.parametrize(
    ("rate", "weights"),
    [
        (0, [25, 50]),
        (1, [25, 50]),
        (40, [25, 50]),
        (80, [12, 25, 50]),
        (100, [10, 25, 50]),
        (200, [5, 10, 25, 50]),
        (1000, [1, 5, 10, 25, 50]),
        (100_000, [1, 5, 10, 25, 50]),
    ],
)
def test_the_first_weight_is_about_ten_requests_per_second(rate: float, weights: list[int]) -> None:
    """Within 1 and 25 percent; later ones are well above it."""
    assert [step.weight for step in steps_for(rate)] == weights


def test_every_step_asks_for_requests_and_time() -> None:
    """Even without objectives no step passes unused."""
    assert {(step.min_requests, str(step.min_duration)) for step in steps_for(100)} == {(100, "10s")}
