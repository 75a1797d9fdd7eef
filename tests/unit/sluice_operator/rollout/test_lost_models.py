"""When a lost model is prepared again, and when another content of it may take the place of the first one."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import NO_DEPLOYMENT, Observation, Refusal, Workload
from sluice_operator.api.revision import Revision
from sluice_operator.api.status import Status
from sluice_operator.rollout import lost_models
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.preparation import jobs, workloads
from tests.unit.sluice_operator.build import DEFAULTS, DEFAULTS_WITH_STORE, again, model, revision, stable_on

DIGEST, OTHER = "sha256:aa", "sha256:bb"
ONE = revision(1).revision
STUCK = Workload(
    pods=2, from_store=True, digest=DIGEST, unavailable="NotInStore", trouble="pod iris-x: it is not there"
)


def seen_with(pods: Workload, status: Status | None = None, **changes: Any) -> Observation:
    """Version 1 is stable and its model is in the store."""
    seen = stable_on(1, defaults=DEFAULTS_WITH_STORE)
    assert seen.status.stable is not None
    stable = replace(seen.status.stable, from_store=True, model=replace(model(1), digest=DIGEST))
    status = status or replace(seen.status, stable=stable)
    return replace_seen(seen, status=status, workloads={ONE: pods}, **changes)


def stable(status: Status) -> Revision:
    assert status.stable is not None
    return status.stable


def lost() -> Status:
    return decide(seen_with(STUCK))


def with_job(**result: Any) -> Workload:
    return replace_seen(STUCK, again=Workload(**result))


@pytest.mark.parametrize("reason", ["NotInStore", "StoreContentDamaged"])
def test_a_lost_model_is_prepared_by_a_job_of_its_own(reason: str) -> None:
    """Its label is another one with each loss, so that the Job of an earlier one is not taken for it."""
    status = decide(seen_with(replace_seen(STUCK, unavailable=reason)))
    [(revision_, label)] = jobs(status)
    assert revision_ == stable(status)
    assert label.startswith(f"again-{ONE}-")
    assert decide(again(seen_with(STUCK, status), after=1)).stable == status.stable


@pytest.mark.parametrize(
    "pods",
    [
        replace_seen(STUCK, with_model=1),
        replace_seen(STUCK, ready=1),
        replace_seen(STUCK, unavailable="StoreUnreachable"),
        replace_seen(STUCK, unavailable="StoreLoginRefused"),
        NO_DEPLOYMENT,
    ],
)
def test_nothing_is_prepared_while_somebody_may_have_the_model(pods: Workload) -> None:
    """A pod that has it gives it to the others; a store that is silent, or refuses a token, has not lost it."""
    assert jobs(decide(seen_with(pods))) == []


def test_without_a_store_nothing_can_be_prepared() -> None:
    """It was switched off, and was to be kept for these pods."""
    assert jobs(decide(seen_with(STUCK, defaults=DEFAULTS))) == []
    assert jobs(decide(seen_with(STUCK, lost(), defaults=DEFAULTS))) == []


def test_with_the_same_content_the_pods_start() -> None:
    """Nothing of the revision changes, and the Job is not needed any more."""
    status = decide(seen_with(with_job(digest=DIGEST, runtime="onnx"), lost()))
    assert (stable(status).model.digest, jobs(status)) == (DIGEST, [])
    found = decide(seen_with(Workload(pods=2, with_model=1, from_store=True, digest=DIGEST), status))
    assert stable(found).lost is None


def test_a_store_that_loses_it_again_gets_it_again() -> None:
    """After the time in which each pod has asked once more. Before, what they said last is old."""
    prepared = seen_with(with_job(digest=DIGEST), lost())
    status = decide(prepared)
    early = decide(again(seen_with(STUCK, status), after=300))
    assert jobs(early) == []
    late = replace_seen(seen_with(STUCK, status), now=prepared.now + timedelta(minutes=11))
    status = decide(replace_seen(late, status=decide(late)))
    assert len(jobs(status)) == 1


def test_another_content_waits_for_the_last_pod_of_the_first_one() -> None:
    """Its Deployment goes, then its pods, also those on their way out; then the new digest is pinned."""
    status = decide(seen_with(with_job(digest=OTHER, runtime="onnx"), lost()))
    assert (stable(status).model.digest, stable(status).is_prepared, jobs(status)) == ("", False, [])
    for pods in (STUCK, Workload(pods=1), replace_seen(NO_DEPLOYMENT, leaving=1)):
        waits = decide(seen_with(pods, status))
        assert stable(waits).model.digest == "", pods
    pinned = decide(seen_with(NO_DEPLOYMENT, status))
    assert (stable(pinned).model.digest, stable(pinned).is_prepared) == (OTHER, True)
    serves = Workload(ready=2, pods=2, with_model=2, from_store=True, digest=OTHER)
    assert stable(decide(seen_with(serves, pinned))).lost is None


def test_pods_that_find_the_first_content_after_all_keep_it() -> None:
    """As when a volume is attached again: nobody is replaced who has it."""
    has_it = Workload(pods=2, with_model=1, from_store=True, digest=DIGEST, runtime="skops")
    before = decide(seen_with(replace_seen(has_it, again=Workload(digest=OTHER)), lost()))
    unpinned = decide(seen_with(with_job(digest=OTHER), lost()))
    for status in (before, decide(seen_with(has_it, unpinned))):
        assert (stable(status).model.digest, stable(status).lost) == (DIGEST, None)


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (None, ""),
        (Workload(trouble="pod iris-y: timed out"), ": pod iris-y: timed out"),
        (Workload(refusal=Refusal("ModelNotFound", "version 1 is deleted")), ": version 1 is deleted"),
    ],
)
def test_what_happens_is_said_with_what_it_waits_for(job: Workload | None, why: str) -> None:
    """And a refusal now does not become one of the pods: it would reject a revision that has served."""
    found = workloads(lost(), {ONE: STUCK}, {ONE: job} if job else {})[ONE]
    assert found.trouble == f"the store has lost models:/iris/1; it is prepared again from MLflow{why}"
    assert (found.refusal, found.unavailable) == (None, "NotInStore")


def test_pods_that_have_the_model_keep_their_own_words() -> None:
    """What is wrong with them is not that it was lost."""
    starts = Workload(pods=1, with_model=1, trouble="pod iris-x: exit code 1")
    assert lost_models.told(stable(lost()), starts, None).trouble == "pod iris-x: exit code 1"
