"""Accuracies are compared only if they were counted with one tolerance."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.spec import Spec
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    NOW,
    REPLICAS,
    At,
    a_spec,
    again,
    an_observation,
    at,
    pods,
    raw_spec,
    resolved,
    revision,
)

DROP = {"source": "Feedback", "maxDrop": "0.01"}


def spec_with(tolerance: dict[str, Any] | None, accuracy: dict[str, Any], **fields: Any) -> Spec:
    env = [] if tolerance is None else [{"name": "SLUICE_FEEDBACK_TOLERANCE", **tolerance}]
    objectives = [{"name": "near", "accuracy": accuracy, **fields}]
    return a_spec(server={**raw_spec()["server"], "env": env}, objectives=objectives)


def changing(
    before: dict[str, Any] | None, now: dict[str, Any] | None, accuracy: dict[str, Any], **fields: Any
) -> Observation:
    """Version 1 serves with one tolerance, and version 2 has been started with another one."""
    old, new = spec_with(before, accuracy, **fields), spec_with(now, accuracy, **fields)
    first = an_observation(spec=old, now=NOW - timedelta(hours=1), workloads=pods((revision(1, old), REPLICAS)))
    return again(again(again(first), alias_version="1"), after=3600, spec=new, resolution=resolved(2))


def tried(seen: Observation) -> Observation:
    """The look after the start of its run."""
    return again(seen, spec=seen.spec)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"value": "5"}, {"value": "3"}, "SLUICE_FEEDBACK_TOLERANCE 3, and models:/iris/1 has 5"),
        (None, {"value": "10%"}, "SLUICE_FEEDBACK_TOLERANCE 10%, and models:/iris/1 has unset"),
        ({"value": "5"}, None, "SLUICE_FEEDBACK_TOLERANCE unset, and models:/iris/1 has 5"),
    ],
)
def test_another_tolerance_gets_no_traffic_where_accuracies_are_compared(
    before: dict[str, Any] | None, now: dict[str, Any] | None, words: str
) -> None:
    """An equal model would be rolled back, a worse one promoted, and without stable's labels nothing ever passes."""
    back = decide(tried(changing(before, now, DROP)))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert back.run is not None
    assert back.run.reason == "ToleranceChanged"
    assert words in back.run.message
    assert "objective near cannot compare" in back.run.message


@pytest.mark.parametrize(
    ("before", "now", "accuracy", "fields"),
    [
        ({"value": "5"}, {"value": " 5"}, DROP, {}),
        ({"value": "5"}, {"value": "3"}, {"source": "Feedback", "min": "0.8"}, {}),
        ({"value": "5"}, {"value": "3"}, DROP, {"dryRun": True}),
    ],
    ids=["the same", "a limit", "a dry run"],
)
def test_elsewhere_it_is_a_setting_as_any_other(
    before: dict[str, Any], now: dict[str, Any], accuracy: dict[str, Any], fields: dict[str, Any]
) -> None:
    """The canary goes on starting."""
    assert decide(tried(changing(before, now, accuracy, **fields))).phase is Phase.STARTING
