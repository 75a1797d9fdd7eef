"""What an operator does that reads a claim to a namespace."""

from __future__ import annotations

import pytest

from sluice_operator.api import names
from sluice_operator.kubernetes.claim import ASK_AGAIN, TAKEN_AFTER, Claim, Step, step

ME, OTHER, THIRD = "sluice-system/sluice-leader", "team-a/sluice-leader", "team-b/sluice-leader"
NEVER = float("inf")


@pytest.mark.parametrize(
    ("claim", "unchanged_for", "asked_ago", "expected"),
    [
        (Claim("models", ME), 0, NEVER, Step.HOLD),
        (Claim("models", ME, OTHER), NEVER, NEVER, Step.ANSWER),
        (Claim("models", OTHER), 0, NEVER, Step.ASK),
        (Claim("models", OTHER), NEVER, ASK_AGAIN - 1, Step.WAIT),
        (Claim("models", OTHER), 0, ASK_AGAIN, Step.ASK),
        (Claim("models", OTHER, ME), TAKEN_AFTER - 1, TAKEN_AFTER, Step.WAIT),
        (Claim("models", OTHER, ME), TAKEN_AFTER, TAKEN_AFTER, Step.TAKE),
        (Claim("models", OTHER, THIRD), ASK_AGAIN - 1, NEVER, Step.WAIT),
        (Claim("models", OTHER, THIRD), ASK_AGAIN, NEVER, Step.ASK),
        (Claim("models", ""), 0, NEVER, Step.ASK),
    ],
)
def test_each_claim_has_its_step(claim: Claim, unchanged_for: float, asked_ago: float, expected: Step) -> None:
    """Who has it answers at once. Others ask now and then, and take what nobody answers for."""
    assert step(claim, ME, unchanged_for, asked_ago) is expected


def test_a_claim_is_read_as_it_was_written() -> None:
    """And each change is only for the version that was read."""
    manifest = {**Claim("models", OTHER, ME).manifest()}
    manifest["metadata"] = {**manifest["metadata"], "resourceVersion": "7"}
    claim = Claim.read(manifest)
    assert (claim.namespace, claim.operator, claim.asked_by, claim.version) == ("models", OTHER, ME, "7")
    assert claim.of(ME)["data"] == {"operator": ME, "askedBy": ""}
    assert claim.asked(THIRD)["data"] == {"operator": OTHER, "askedBy": THIRD}
    assert claim.of(ME)["metadata"]["resourceVersion"] == "7"


def test_what_somebody_has_written_into_a_claim_is_a_short_line() -> None:
    """It goes into logs, Events and conditions."""
    metadata = {"namespace": "models", "name": names.CLAIM, "resourceVersion": "1"}
    claim = Claim.read({"metadata": metadata, "data": {"operator": "a\nb", "askedBy": "x" * 10_000}})
    assert "\n" not in claim.operator
    assert len(claim.asked_by) < 1000


def test_a_claim_that_somebody_has_emptied_is_nobodys() -> None:
    """It is asked, and taken."""
    claim = Claim.read({"metadata": {"namespace": "models", "name": names.CLAIM, "resourceVersion": "1"}})
    assert (claim.operator, claim.asked_by) == ("", "")
