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


@pytest.mark.parametrize(
    ("rate", "weights"),
    [
        (50, [20, 50]),  # 25 is less than 1.5 times 20
        (125, [8, 25, 50]),  # 10 is less than 1.5 times 8
        (167, [6, 10, 25, 50]),  # 10 is more than 1.5 times 6
        (250, [4, 10, 25, 50]),  # 5 is less than 1.5 times 4
        (333, [3, 5, 10, 25, 50]),  # 5 is more than 1.5 times 3
    ],
)
def test_a_later_weight_is_more_than_one_and_a_half_times_the_first(rate: float, weights: list[int]) -> None:
    """A step that hardly raises the weight would only cost time."""
    assert [step.weight for step in steps_for(rate)] == weights


def test_every_step_asks_for_requests_and_time() -> None:
    """Even without objectives no step passes unused."""
    assert {(step.min_requests, str(step.min_duration)) for step in steps_for(100)} == {(100, "10s")}
