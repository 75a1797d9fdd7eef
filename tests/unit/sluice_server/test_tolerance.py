"""Which predicted numbers count as right, and how a tolerance is written."""

from __future__ import annotations

import pytest

from sluice_server.tolerance import Tolerance, tolerance


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3", Tolerance(3.0)),
        (" 0.25 ", Tolerance(0.25)),
        ("0", Tolerance(0.0)),
        ("10%", Tolerance(0.1, relative=True)),
        ("0.5 %", Tolerance(0.005, relative=True)),
        ("", None),
    ],
)
def test_a_tolerance_is_a_number_or_a_share(text: str, found: Tolerance | None) -> None:
    """Nothing written is none."""
    assert tolerance(text) == found


@pytest.mark.parametrize("text", ["-1", "three", "1e3", "nan", "%", "10%%", "3 min", "9" * 400])
def test_anything_else_is_refused(text: str) -> None:
    """The message shows what is possible, or says what is wrong."""
    with pytest.raises(ValueError, match=r"such as 10%|too large"):
        tolerance(text)


@pytest.mark.parametrize(
    ("allowed", "error", "true", "right"),
    [
        (Tolerance(3.0), 12.3 - 9.3, 12.3, True),
        (Tolerance(3.0), 3.001, 12.3, False),
        (Tolerance(0.0), 0.0, 7.0, True),
        (Tolerance(0.0), 1e-12, 7.0, False),
        (Tolerance(0.1, relative=True), 1.0, -10.0, True),
        (Tolerance(0.1, relative=True), 1.01, -10.0, False),
        (Tolerance(0.1, relative=True), 0.01, 0.0, False),
    ],
)
def test_at_the_tolerance_itself_a_number_is_right(allowed: Tolerance, error: float, true: float, right: bool) -> None:
    """A share is one of the true number, whatever its sign; of 0 it is 0."""
    assert allowed.accepts(error, true) is right
