"""The health for Argo CD of what a person may find."""

from __future__ import annotations

import pytest

from tests.unit.argocd.lua import run, script, shown
from tests.unit.argocd.situations import situations
from tests.unit.sluice_operator.build import stable_on

SITUATIONS = dict(situations())
HEALTH, STRICT = script("health.yaml", "health"), script("health-strict.yaml", "health")


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("text", [HEALTH, STRICT])
def test_each_status_has_a_health(situation: str, text: str) -> None:
    """One of those that Argo CD knows, with the sentence of the status."""
    obj = shown(SITUATIONS[situation])
    health = run(text, obj)
    assert health["status"] in {"Healthy", "Progressing", "Degraded", "Suspended"}
    assert health["message"] == (obj["status"]["message"] or "not looked at yet")


@pytest.mark.parametrize(
    ("situation", "status", "strict"),
    [
        ("initializing", "Progressing", "Progressing"),
        ("first rejected", "Degraded", "Degraded"),
        ("stable", "Healthy", "Healthy"),
        ("stable, suspended", "Suspended", "Suspended"),
        ("stepping", "Progressing", "Progressing"),
        ("stepping, pause asked", "Suspended", "Suspended"),
        ("failover", "Degraded", "Degraded"),
        ("rolling back", "Progressing", "Progressing"),
        ("rejected", "Healthy", "Degraded"),
        ("promoted", "Healthy", "Healthy"),
    ],
)
def test_the_health_is_what_a_person_would_say(situation: str, status: str, strict: str) -> None:
    """Only the strict one calls an object degraded for a version that was rejected."""
    obj = shown(SITUATIONS[situation])
    assert (run(HEALTH, obj)["status"], run(STRICT, obj)["status"]) == (status, strict)


@pytest.mark.parametrize("text", [HEALTH, STRICT])
def test_a_change_that_was_not_looked_at_is_in_progress(text: str) -> None:
    """Else a sync would be over before anything has begun."""
    obj = shown(stable_on(1))
    obj["metadata"]["generation"] += 1
    assert run(text, obj)["status"] == "Progressing"
    assert run(text, {"metadata": {"generation": 1}})["status"] == "Progressing"
