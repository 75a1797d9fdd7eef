"""Details of an observation that the simulated world of the other tests does not have."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Workload
from sluice_operator.controller.observe import _crashes
from tests.unit.sluice_operator.build import revision, stepping


@pytest.mark.parametrize(
    ("canary", "stable", "crashes"),
    [(0, 0, 0), (3, 0, 1), (3, 4, 1), (5, 6, 1), (2, 9, -5)],
)
def test_crashes_are_those_of_this_run_without_as_many_as_stable_s(canary: int, stable: int, crashes: int) -> None:
    """Restarts from before the run do not count, also if pods were replaced and there are fewer now."""
    run = stepping().status.run
    assert run is not None
    at_start = replace(run, canary_restarts=2, stable_restarts=4)
    workloads = {revision(2).revision: Workload(restarts=canary), revision(1).revision: Workload(restarts=stable)}
    assert _crashes(at_start, workloads, revision(2), revision(1)) == crashes
