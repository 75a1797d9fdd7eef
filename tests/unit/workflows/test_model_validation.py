"""What the validation of a model says of a version, with the operator's own rule for hold-outs."""

from __future__ import annotations

import pytest

from dev.workflows import registry
from dev.workflows.model_validation import checks
from sluice_operator.api.observation import HoldOut, Rows, Unresolved
from sluice_operator.api.quantities import Share
from sluice_operator.api.revision import Model

MODEL = Model("models:/iris/1", "iris", "1")
DIGEST = "sha256:0"
RIGHT = (True,) * 43 + (False,) * 2


def trained(right: tuple[bool, ...] = RIGHT) -> HoldOut:
    """What the run of the training has, in MLflow."""
    bits = int("".join("01"[each] for each in right), 2)
    return HoldOut("iris/1", sum(right), len(right), Rows(DIGEST, bits))


def said(
    answer: HoldOut | Unresolved, right: tuple[bool, ...] = RIGHT, least: str = "0.70", digest: str = DIGEST
) -> list[bool]:
    return [check.good for check in checks(MODEL, answer, right, digest, Share.parse(least))]


def test_a_version_that_is_what_it_was_is_good() -> None:
    """By the rule of the operator, by its answers, and row by row."""
    assert said(trained()) == [True, True, True]


@pytest.mark.parametrize(
    ("answer", "right", "least", "expected"),
    [
        pytest.param(trained(), RIGHT, "0.99", [False, False, True], id="never good enough"),
        pytest.param(trained(), RIGHT, "0.95", [False, True, True], id="too few rows to show it"),
        pytest.param(trained(), (True,) * 20 + (False,) * 25, "0.70", [True, False, False], id="serves another model"),
        pytest.param(trained(), tuple(reversed(RIGHT)), "0.70", [True, True, False], id="right on other rows"),
        pytest.param(Unresolved("HoldOutMissing", "no metrics"), RIGHT, "0.70", [False, True], id="nothing was logged"),
    ],
)
def test_what_is_not_well_is_told_apart(
    answer: HoldOut | Unresolved, right: tuple[bool, ...], least: str, expected: list[bool]
) -> None:
    """A model that was never good, one that is served wrongly, and one that nobody can compare."""
    assert said(answer, right, least) == expected


def test_another_hold_out_is_not_compared() -> None:
    """Rows of another split say nothing about these."""
    [*_, last] = checks(MODEL, trained(), RIGHT, "sha256:1", Share.parse("0.70"))
    assert not last.good
    assert "--seed" in last.words


def test_a_hold_out_that_nobody_could_read_is_no_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's rule has no opinion while MLflow does not answer; a validation must not call that good."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(registry.NotResolvedError, match="models:/iris/1"):
        registry.hold_out(Model("models:/iris/1", "iris", "1", run_id="r1"))
