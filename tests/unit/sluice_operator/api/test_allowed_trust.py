"""How far a namespace may trust a model."""

from __future__ import annotations

import pytest

from sluice_operator.api.allowed_trust import TrustLimit, refusal
from sluice_operator.api.spec import Trust

LIMITS = (
    TrustLimit("team-*", Trust.TRUSTED_TYPES),
    TrustLimit("team-a", Trust.CODE),
    TrustLimit("team-a-public", Trust.DATA),
)


@pytest.mark.parametrize(
    ("namespace", "highest"),
    [
        ("team-a", Trust.CODE),
        ("team-b", Trust.TRUSTED_TYPES),
        ("team-a-public", Trust.TRUSTED_TYPES),
        ("others", Trust.DATA),
    ],
)
def test_a_namespace_may_use_what_the_highest_entry_for_it_allows(namespace: str, highest: Trust) -> None:
    """And what is less; where no entry matches, data only."""
    allowed = [trust for trust in Trust if refusal(LIMITS, namespace, trust) is None]
    assert allowed == list(Trust)[: list(Trust).index(highest) + 1]


def test_without_limits_everybody_may() -> None:
    """As for hosts: an administrator who says nothing forbids nothing."""
    assert refusal((), "others", Trust.CODE) is None


def test_a_refusal_says_what_to_write() -> None:
    """In the spec, or in the setting of the operator."""
    refused = refusal(LIMITS, "team-b", Trust.CODE)
    assert refused is not None
    assert refused.reason == "TrustNotAllowed"
    assert refused.message == (
        "namespace team-b may not use trust: Code: write trust: TrustedTypes, or let the administrator add"
        " 'team-b=Code' to SLUICE_ALLOWED_TRUST"
    )
