"""Which version a server that follows an alias tries."""

from __future__ import annotations

import pytest

from sluice_server.handover import Failure, Report
from sluice_server.reload import decide

ONE, TWO, THREE = "models:/iris/1", "models:/iris/2", "models:/iris/3"
BROKEN = Failure(TWO, "it does not answer")


@pytest.mark.parametrize(
    ("named", "failed", "expected"),
    [
        (ONE, None, False),
        (TWO, None, True),
        (TWO, BROKEN, False),
        (THREE, BROKEN, True),
        (ONE, BROKEN, False),
    ],
)
def test_another_version_is_tried_unless_it_has_failed(named: str, failed: Failure | None, expected: bool) -> None:
    """The first version serves. What has failed for good is not tried in a loop."""
    assert decide.wanted(named, ONE, failed) is expected


def test_a_failure_is_forgotten_when_another_version_is_named() -> None:
    """So whoever names it again has it tried again."""
    assert decide.remembered(TWO, BROKEN) is BROKEN
    assert decide.remembered(ONE, BROKEN) is None
    assert decide.remembered(ONE, None) is None


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Report(TWO, True, "the model answered its input example"), None),
        (Report(TWO, False, "it does not answer"), BROKEN),
    ],
)
def test_only_a_version_that_has_answered_its_example_may_serve(report: Report, expected: Failure | None) -> None:
    """Its own reason is what people are told."""
    assert decide.failure(report, TWO) == expected


def test_a_server_that_began_with_its_second_source_says_so() -> None:
    """The version that is named has failed then, although a model is ready."""
    failed = decide.failure(Report("/models/iris", True, "the model answered its input example"), TWO)
    assert failed is not None
    assert (failed.uri, "MODEL_PATH is served" in failed.reason) == (TWO, True)


def test_only_what_would_end_in_the_same_way_is_remembered() -> None:
    """Of the first version, too: when its files have come at last, /health must not say that it has failed."""
    assert decide.lasting(Report(TWO, False, "it does not answer"), TWO) == BROKEN
    assert decide.lasting(Report(TWO, False, "the store hangs", final=False), TWO) is None
    assert decide.lasting(Report(TWO, True, "the model answered its input example"), TWO) is None
