"""How long a reconcile and its stages take."""

import asyncio

import pytest

from sluice_operator.telemetry import stages
from sluice_operator.telemetry.metrics import REGISTRY


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counted(stage: str) -> float:
    return value("sluice_reconcile_stage_duration_seconds_count", stage=stage)


def test_a_stage_that_is_entered_twice_is_counted_once_with_the_sum() -> None:
    """So the histogram says how long the gateway takes in a reconcile, and not in a probe."""
    reconciles, probes = value("sluice_reconcile_duration_seconds_count"), counted("gateway")
    with stages.reconcile():
        for _ in range(2):
            with stages.stage("gateway"):
                pass
    assert value("sluice_reconcile_duration_seconds_count") == reconciles + 1
    assert counted("gateway") == probes + 1


def test_a_stage_inside_of_another_is_part_of_the_outer_one() -> None:
    """No time is counted twice."""
    record, evidence = counted("record"), counted("evidence")

    @stages.in_stage("evidence")
    async def asked() -> None: ...

    with stages.reconcile(), stages.stage("record"):
        asyncio.run(asked())
    assert (counted("record"), counted("evidence")) == (record + 1, evidence)


def test_a_failed_reconcile_is_counted_and_its_error_goes_on() -> None:
    """The work queue decides what follows."""
    failures = value("sluice_reconcile_failures_total")
    with pytest.raises(KeyError), stages.reconcile():
        raise KeyError
    assert value("sluice_reconcile_failures_total") == failures + 1


def test_a_stage_outside_of_a_reconcile_counts_nothing() -> None:
    """The commands of kubectl sluice ask the same questions."""
    before = counted("gateway")
    with stages.stage("gateway"):
        pass
    assert counted("gateway") == before
