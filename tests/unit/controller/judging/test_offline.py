"""Whether a model's own hold-out shows that it is good enough, before anybody meets it."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.decide import decide
from sluice_operator.judging.offline import refusal
from sluice_operator.observed import HoldOut, Refusal, Unreachable, Unresolved
from sluice_operator.spec import Confidence
from sluice_operator.status import Outcome, Phase
from tests.unit.controller.build import (
    LIVE,
    At,
    a_look,
    a_spec,
    again,
    at,
    both_ready,
    pods,
    resolved,
    revision,
    stable_on,
)

TRAINED = {"name": "trained", "accuracy": {"source": "Training", "min": "0.70"}}
ASKED = a_spec(objectives=[TRAINED])
MISSING = Unresolved("HoldOutMissing", "run 'r2' has no metrics correct and total")
GOOD, BAD = HoldOut(43, 45), HoldOut(23, 45)


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        (GOOD, None),
        (
            BAD,
            Refusal(
                "TrainingAccuracyBelowLimit", "trained: 23 of 45 of the hold-out are right, which is less than 0.70"
            ),
        ),
        (
            HoldOut(24, 30),
            Refusal(
                "HoldOutTooSmall",
                "trained: 24 of 30 of the hold-out are right, which shows only 0.643 and not 0.70:"
                " evaluate on more examples, or ask for less",
            ),
        ),
        (MISSING, Refusal("HoldOutMissing", "trained: run 'r2' has no metrics correct and total")),
        (Unreachable("no answer"), None),
        (None, None),
    ],
)
def test_a_hold_out_must_show_what_is_asked_for(trained: Any, expected: Refusal | None) -> None:
    """By an exact bound: 80 % of thirty examples do not show 70 %."""
    assert refusal(ASKED.objectives[0], trained, Confidence()) == expected


def ready(**changes: Any) -> Any:
    begun = again(stable_on(1, resolution=resolved(2), spec=ASKED))
    return again(begun, workloads=both_ready(), weight=LIVE, smoke=LIVE, **changes)


@pytest.mark.parametrize("trained", [BAD, MISSING])
def test_a_model_that_its_hold_out_does_not_show_gets_no_traffic(trained: Any) -> None:
    """It is rejected while stable serves on."""
    back = decide(ready(trained=trained))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert len(back.rejected) == 1


def test_a_model_with_a_good_hold_out_goes_on() -> None:
    """To its first weight."""
    assert decide(ready(trained=GOOD)).phase is Phase.STEPPING


def test_a_registry_in_trouble_rejects_nobody() -> None:
    """The start waits until the hold-out is known."""
    assert decide(ready(trained=Unreachable("no answer"))).phase is Phase.STARTING


def test_a_first_version_must_show_it_too() -> None:
    """Serving a bad model to everybody is no better than to a tenth."""
    first = again(a_look(spec=ASKED), workloads=pods((revision(1), 2)), trained=BAD)
    status = decide(first)
    assert (status.phase, status.stable) == (Phase.STARTING, None)
    assert status.run is not None
    assert status.run.outcome is Outcome.REJECTED
