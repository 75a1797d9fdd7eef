"""Somebody scales stable's Deployment, or edits its containers: what the rollout makes of it."""

from __future__ import annotations

from dataclasses import replace as replace_seen

from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.run import Phase
from sluice_operator.controller.events import transitions
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import sizes
from tests.unit.sluice_operator.build import (
    LIVE,
    again,
    both_ready,
    condition,
    promoting,
    revision,
    stable_on,
    stepping,
)

SIX = Workload(ready=6, pods=6, scaled_to=6)


def _sizes(seen: Observation) -> dict[str, int]:
    status = decide(seen)
    return {each.model.version: replicas for each, replicas in sizes(seen.spec, status)}


def test_replicas_of_somebody_else_are_the_full_size() -> None:
    """Stable keeps them, and the canary is sized against them."""
    assert _sizes(stable_on(1, workloads={revision(1).revision: SIX})) == {"1": 6}
    workloads = {**both_ready(), revision(1).revision: SIX}
    assert _sizes(stepping(workloads=workloads)) == {"1": 6, "2": 1}
    second = again(stepping(workloads=workloads), workloads=workloads)
    assert second.status.scaled_to == 6


def test_a_promotion_needs_as_many_ready_pods_as_stable_has() -> None:
    """Two are enough for the spec, and not for the requests that stable answers with six."""
    workloads = {**both_ready(2, 2), revision(1).revision: SIX}
    waiting = again(promoting(workloads=workloads), workloads=workloads)
    assert (decide(waiting).phase, _sizes(waiting)) == (Phase.PROMOTING, {"1": 6, "2": 6})
    full = {**workloads, revision(2).revision: Workload(ready=6, pods=6)}
    assert decide(again(waiting, workloads=full)).phase is Phase.SWAPPING


def test_fewer_than_the_spec_asks_for_do_not_count() -> None:
    """An HPA whose minimum is lower takes no pods away."""
    assert _sizes(stable_on(1, workloads={revision(1).revision: Workload(ready=1, scaled_to=1)})) == {"1": 2}


def test_status_shows_the_pods_that_serve_for_the_scale_subresource() -> None:
    """With a selector that leaves the canary out: an HPA must not average over it."""
    status = decide(stepping(workloads={**both_ready(), revision(1).revision: SIX}, weight=LIVE))
    selector = f"sluice.dev/model-deployment=iris,sluice.dev/revision={revision(1).revision}"
    assert (status.replicas, status.selector) == (6, selector)


def test_an_edit_of_the_containers_is_told_and_not_undone() -> None:
    """Once as an Event, and in the message of Ready as long as it is so."""
    edited = Workload(ready=2, pods=2, edited_by="kubectl-edit")
    before = stable_on(1)
    after = decide(replace_seen(before, workloads={revision(1).revision: edited}))
    assert [event.reason for event in transitions(before.status, after)] == ["TemplateEdited"]
    assert list(transitions(after, after)) == []
    assert condition(after, "Ready")[2] == (
        "models:/iris/1 serves on 2 of 2 pods; "
        f"kubectl-edit has edited the pod template of Deployment iris-{revision(1).revision}"
    )
