"""What a run is judged by although its spec does not ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.analysis.default_objectives import default_objectives
from tests.unit.sluice_operator.build import SPEC, a_spec


def names(objectives: list[dict[str, Any]]) -> list[str]:
    return [objective.name for objective in default_objectives(a_spec(objectives=objectives).objectives)]


@pytest.mark.parametrize("objectives", [[], SPEC["objectives"]])
def test_refusals_are_compared_whatever_the_spec_asks_for(objectives: list[dict[str, Any]]) -> None:
    """Also for people who have objectives of their own, or none."""
    assert names(objectives) == ["refusals"]


def test_an_objective_for_refusals_takes_the_place_of_the_default_one() -> None:
    """With another margin, or as a dry run."""
    assert names([{"name": "mine", "refusals": {"maxRatio": "1.5"}, "dryRun": True}]) == []


def test_the_name_of_a_default_objective_is_free() -> None:
    """What is known of objectives is kept by name."""
    query = {"name": "refusals", "query": {"expr": "up", "min": "1", "interval": "1m", "failureLimit": 3}}
    assert names([query]) == ["refusals-2"]
