"""How much a status remembers: the newest of each list, and never more than the CRD allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout import transitions
from tests.unit.sluice_operator.build import NOW, revision, stepping, with_status

CRD = Path(__file__).parents[4] / "crds" / "modeldeployments.yaml"


def nth_canary(seen: Observation, number: int) -> tuple[Observation, Run, Revision]:
    """The same observation with another canary, and the run of that canary, which needs no proof of its route."""
    assert seen.status.run is not None
    canary = replace(revision(2), revision=f"canary-{number}")
    return with_status(seen, canary=canary), replace(seen.status.run, reason=f"reason-{number}"), canary


def after_rollbacks(number: int) -> Status:
    """A status after this many canaries were rejected, and none of them lost its pods yet."""
    seen = begun = stepping()
    for count in range(number):
        now, run, canary = nth_canary(seen, count)
        failed = transitions.roll_back(now, run, Outcome.REJECTED, f"reason-{count}", "")
        assert failed.run is not None
        ended = transitions.end_run(now, failed, failed.run, canary, leaving=canary)
        seen = with_status(begun, history=ended.history, rejected=ended.rejected, retiring=ended.retiring)
    return seen.status


def run_after_weights(number: int) -> Run:
    """A run in which this many weights were live, one after the other: 0, 1, 2 and so on."""
    run = stepping().status.run
    assert run is not None
    run = replace(run, live_weights=())
    for weight in range(number):
        run = transitions.now_live(run, weight, NOW + timedelta(seconds=weight))
    return run


def test_history_has_the_newest_ten_runs() -> None:
    """The newest is first, and ten runs fit."""
    assert [entry.revision for entry in after_rollbacks(10).history] == [f"canary-{n}" for n in range(9, -1, -1)]
    assert [entry.revision for entry in after_rollbacks(11).history] == [f"canary-{n}" for n in range(10, 0, -1)]


def test_the_newest_twenty_rejected_revisions_are_remembered() -> None:
    """The newest is first, and twenty revisions fit."""
    assert [entry.revision for entry in after_rollbacks(20).rejected] == [f"canary-{n}" for n in range(19, -1, -1)]
    assert [entry.revision for entry in after_rollbacks(21).rejected] == [f"canary-{n}" for n in range(20, 0, -1)]


def test_the_pods_of_the_newest_twenty_retiring_revisions_are_kept() -> None:
    """The newest is last, twenty revisions fit, and the oldest leaves early."""

    def names(status: Status) -> list[str]:
        return [entry.revision.revision for entry in status.retiring]

    assert names(after_rollbacks(20)) == [f"canary-{n}" for n in range(20)]
    assert names(after_rollbacks(21)) == [f"canary-{n}" for n in range(1, 21)]


def test_a_run_remembers_the_newest_forty_live_weights() -> None:
    """The newest is last, and forty weights fit."""
    assert [live.weight for live in run_after_weights(40).live_weights] == list(range(40))
    assert [live.weight for live in run_after_weights(41).live_weights] == list(range(1, 41))


@pytest.mark.parametrize(
    ("path", "most", "after"),
    [
        (("history",), 10, lambda: after_rollbacks(30).history),
        (("rejected",), 20, lambda: after_rollbacks(30).rejected),
        (("retiring",), 20, lambda: after_rollbacks(30).retiring),
        (("run", "liveWeights"), 40, lambda: run_after_weights(50).live_weights),
    ],
)
def test_the_crd_allows_exactly_what_is_kept(
    path: tuple[str, ...], most: int, after: Callable[[], tuple[Any, ...]]
) -> None:
    """With a lower `maxItems` the API server would refuse the status; a higher one would promise too much."""
    [version] = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    for field in path:
        schema = schema["properties"][field]
    assert (schema["maxItems"], len(after())) == (most, most)
