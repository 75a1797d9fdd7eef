"""Accuracies are compared only if they are counted with one tolerance, as both servers say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api.observation import Observation, Signatures
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.signature import Column, Predictions, Signature, Tolerance
from sluice_operator.api.spec import Spec
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    LIVE,
    NOW,
    REPLICAS,
    At,
    a_spec,
    again,
    an_observation,
    at,
    both_ready,
    condition,
    pods,
    resolved,
    revision,
)

DROP = {"source": "Feedback", "maxDrop": "0.01"}
FIVE, THREE, SHARE = Tolerance(5.0), Tolerance(3.0), Tolerance(0.1, relative=True)


def spec_with(accuracy: dict[str, Any], **fields: Any) -> Spec:
    return a_spec(objectives=[{"name": "near", "accuracy": accuracy, **fields}])


def regressor(tolerance: Tolerance | None) -> Signature:
    return Signature((Column("a", "number"),), Predictions("number", tolerance=tolerance))


def asked(before: Tolerance | None, now: Tolerance | None) -> Signatures:
    return Signatures(regressor(before), regressor(now))


def answering(signatures: Signatures | None, spec: Spec) -> Observation:
    """Version 1 serves, version 2 is ready beside it, and both have been asked what they take and answer."""
    first = an_observation(spec=spec, now=NOW - timedelta(hours=1), workloads=pods((revision(1, spec), REPLICAS)))
    begun = again(again(again(first), alias_version="1"), after=3600, resolution=resolved(2))
    return again(begun, workloads=both_ready(), weight=LIVE, smoke=LIVE, signatures=signatures)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (
            FIVE,
            THREE,
            "models:/iris/2 has SLUICE_FEEDBACK_TOLERANCE 3, and models:/iris/1 has SLUICE_FEEDBACK_TOLERANCE 5",
        ),
        (None, SHARE, "has SLUICE_FEEDBACK_TOLERANCE 10 %, and models:/iris/1 has no SLUICE_FEEDBACK_TOLERANCE"),
        (FIVE, None, "has no SLUICE_FEEDBACK_TOLERANCE, and models:/iris/1 has SLUICE_FEEDBACK_TOLERANCE 5"),
        (
            SHARE,
            Tolerance(0.1),
            "has SLUICE_FEEDBACK_TOLERANCE 0.1, and models:/iris/1 has SLUICE_FEEDBACK_TOLERANCE 10 %",
        ),
    ],
)
def test_another_tolerance_gets_no_traffic_where_accuracies_are_compared(
    before: Tolerance | None, now: Tolerance | None, words: str
) -> None:
    """An equal model would be rolled back, a worse one promoted, and without stable's labels nothing ever passes."""
    back = decide(answering(asked(before, now), spec_with(DROP)))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert back.run is not None
    assert back.run.reason == "ToleranceChanged"
    assert words in back.run.message
    assert "objective near cannot compare" in back.run.message


def test_a_server_that_says_nothing_has_no_tolerance() -> None:
    """One of before numbers took labels would leave the comparison without any."""
    back = decide(answering(Signatures(None, regressor(FIVE)), spec_with(DROP)))
    assert back.run is not None
    assert (back.phase, back.run.reason) == (Phase.ROLLING_BACK, "ToleranceChanged")
    assert decide(answering(Signatures(None, None), spec_with(DROP))).phase is Phase.STEPPING


@pytest.mark.parametrize(
    ("signatures", "accuracy", "fields"),
    [
        (asked(FIVE, Tolerance(5)), DROP, {}),
        (asked(FIVE, THREE), {"source": "Feedback", "min": "0.8"}, {}),
        (asked(FIVE, THREE), DROP, {"dryRun": True}),
    ],
    ids=["the same", "a limit", "a dry run"],
)
def test_elsewhere_it_is_a_setting_as_any_other(
    signatures: Signatures, accuracy: dict[str, Any], fields: dict[str, Any]
) -> None:
    """The canary goes on."""
    assert decide(answering(signatures, spec_with(accuracy, **fields))).phase is Phase.STEPPING


def test_the_message_names_what_lets_the_version_be_tried_again() -> None:
    """`retry` alone would only be rejected again."""
    settled = again(again(answering(asked(FIVE, THREE), spec_with(DROP))), weight=LIVE)
    status = decide(settled)
    way = "accuracy.min in the place of accuracy.maxDrop, or no such objective, in the spec lets it be tried again"
    assert status.phase is Phase.STABLE
    assert condition(status, "Stalled") == (
        "False",
        "Rejected",
        f"models:/iris/2 was rejected before and is not tried again as it is: {way}",
    )
    assert status.message.endswith(way)
    edited = again(settled, spec=spec_with({"source": "Feedback", "min": "0.8"}))
    assert decide(edited).phase is Phase.STARTING


def test_while_nobody_answers_a_version_with_another_tolerance_serves() -> None:
    """What is counted otherwise still answers. It is compared when stable is ready again."""
    seen = answering(None, spec_with(DROP))
    dead = again(seen, workloads=both_ready(0, 0))
    served = again(dead, workloads=both_ready(0, REPLICAS))
    assert decide(served).phase is Phase.FAILOVER


def test_a_rejection_for_the_tolerance_does_not_keep_a_canary_from_standing_in() -> None:
    """It says nothing about the answers, and stable has lost its pods on the way back."""
    back = again(answering(asked(FIVE, THREE), spec_with(DROP)), workloads=both_ready(0, 1))
    assert back.status.phase is Phase.ROLLING_BACK
    assert decide(back).phase is Phase.FAILOVER
