"""How many pods each revision has, in each phase of a rollout."""

from __future__ import annotations

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.quantities import Duration
from sluice_operator.api.rollout_spec import Step
from sluice_operator.api.status import Status
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import sizes
from tests.unit.sluice_operator.build import (
    FAIL,
    a_spec,
    again,
    an_observation,
    promoting,
    starting,
    stepping,
    watching,
    with_status,
)

FOUR_PODS = a_spec(server__replicas=4)


def pods_by_version(status: Status) -> dict[str, int]:
    """Pods of each model version, when the spec asks for four pods."""
    return {revision.model.version: replicas for revision, replicas in sizes(FOUR_PODS, status)}


def at_weight(seen: Observation, *weights: int) -> Status:
    """The status of an observation whose run has steps of these weights and is at the first of them."""
    assert seen.status.run is not None
    steps = tuple(Step(weight=weight, min_requests=100, min_duration=Duration.parse("10s")) for weight in weights)
    return with_status(seen, run=replace(seen.status.run, steps=steps, step=0)).status


def test_a_canary_with_automatic_steps_starts_with_one_pod() -> None:
    """Its steps are chosen when it is ready, and before that nobody knows how many pods they need."""
    assert pods_by_version(at_weight(starting())) == {"1": 4, "2": 1}


def test_a_canary_has_the_pods_that_its_step_needs() -> None:
    """A pod of the canary gets no more requests than a pod of stable."""
    assert pods_by_version(at_weight(stepping(), 10)) == {"1": 4, "2": 1}
    assert pods_by_version(at_weight(stepping(), 25)) == {"1": 4, "2": 2}
    assert pods_by_version(at_weight(stepping(), 50)) == {"1": 4, "2": 4}


def test_a_first_revision_has_all_of_its_pods() -> None:
    """It is alone, and all requests come to it."""
    assert pods_by_version(decide(an_observation())) == {"1": 4}


def test_a_canary_that_takes_over_has_all_of_its_pods() -> None:
    """All requests come to it after the swap, whatever its last step needed."""
    assert pods_by_version(at_weight(promoting(), 10)) == {"1": 4, "2": 4}


def test_both_revisions_of_a_watch_have_all_of_their_pods() -> None:
    """A rollback out of the watch needs no new pods, and the revision that leaves keeps its own until then."""
    assert pods_by_version(watching().status) == {"1": 4, "2": 4}
    assert pods_by_version(again(watching(verdict=FAIL)).status) == {"1": 4, "2": 4}
