"""Where the pods of a revision get its model from: it is prepared once, and whoever has pods keeps what they have."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Observation, Refusal, Unreachable, Workload
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import Status, dump, parse
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.preparation import as_made, being_prepared
from sluice_operator.rollout.starts import begin_return
from tests.unit.sluice_operator.build import (
    DEFAULTS,
    DEFAULTS_WITH_STORE,
    again,
    an_observation,
    condition,
    model,
    resolved,
    revision,
    stable_on,
)

PREPARED = Workload(digest="sha256:aa", runtime="onnx")
REFUSED = Workload(refusal=Refusal("PickleNotTrusted", "register it with skops"))
TWO = revision(2).revision


def preparing(**changes: Any) -> Observation:
    """Version 1 serves, which was made before there was a store; a Job prepares version 2."""
    seen = again(stable_on(1, resolution=resolved(2), defaults=DEFAULTS_WITH_STORE))
    return replace_seen(seen, **changes)


def canary(status: Status) -> Revision:
    assert status.canary is not None
    return status.canary


def test_a_revision_that_is_made_with_a_store_is_prepared() -> None:
    """One that was made before is not, and has the same name: a setting starts no rollout."""
    seen = preparing()
    assert being_prepared(seen.status) == (canary(seen.status), seen.status.run)
    assert seen.status.stable is not None
    assert (canary(seen.status).from_store, seen.status.stable.from_store) == (True, False)
    assert canary(seen.status).revision == TWO


def test_the_digest_that_the_job_reports_ends_the_preparation() -> None:
    """It is pinned with the runtime, and survives the status as it is stored."""
    status = decide(preparing(workloads={TWO: PREPARED}))
    assert being_prepared(status) is None
    assert (canary(status).model.digest, canary(status).model.runtime) == ("sha256:aa", "onnx")
    assert canary(parse(dump(status))) == canary(status)


def test_a_refused_preparation_rejects_the_revision() -> None:
    """With the reason and the sentence of the preflight, as if a pod had fetched the model."""
    status = decide(preparing(workloads={TWO: REFUSED}))
    assert (status.phase, status.run and status.run.outcome) == (Phase.ROLLING_BACK, Outcome.REJECTED)
    assert condition(status, "RolloutSucceeded") == ("False", "PickleNotTrusted", "register it with skops")
    assert being_prepared(status) is None


def test_a_first_revision_that_is_refused_is_not_prepared_again() -> None:
    """Nothing waits for it. One that is only late goes on."""
    first = again(an_observation(defaults=DEFAULTS_WITH_STORE))
    assert being_prepared(first.status) is not None
    refused = decide(replace_seen(first, workloads={revision(1).revision: REFUSED}))
    assert (refused.phase, being_prepared(refused)) == (Phase.INITIALIZING, None)
    runs = again(first, workloads={revision(1).revision: Workload(under_way="it runs")})
    late = decide(again(runs, after=601))
    assert late.run is not None
    assert late.run.outcome is Outcome.REJECTED
    assert being_prepared(late) is not None


@pytest.mark.parametrize("reason", ["RegistryUnreachable", "StoreRefused", "StoreLoginRefused"])
def test_a_registry_or_store_that_is_down_while_a_model_is_prepared_holds_the_start(reason: str) -> None:
    """However long that takes; condition and time are those of a pod that fetches."""
    silent = Workload(unavailable=reason, trouble="pod iris-x: timed out")
    seen = preparing(workloads={TWO: silent})
    for _ in range(5):
        seen = again(seen, after=600)
    status = decide(seen)
    assert status.phase is Phase.STARTING
    assert condition(status, "Stalled") == ("True", reason, "pod iris-x: timed out")


def test_a_preparation_that_hangs_is_rejected_at_the_deadline_with_what_it_does() -> None:
    """The deadline is that of the start: preparing is a part of it."""
    hangs = Workload(under_way="container prepare of pod iris-x runs since 12:00, and has not prepared the model yet")
    status = decide(again(preparing(workloads={TWO: hangs}), after=601))
    assert status.run is not None
    assert status.run.reason == "ProgressDeadlineExceeded"
    assert "has not prepared the model yet" in status.run.message


def test_a_store_that_is_taken_away_first_leaves_the_model_to_the_pods() -> None:
    """It is fetched from the registry, as without a store. What is in the store stays there."""
    without = decide(preparing(defaults=DEFAULTS))
    assert (canary(without).from_store, canary(without).is_prepared) == (False, True)
    prepared = decide(preparing(defaults=DEFAULTS, workloads={TWO: PREPARED}))
    assert canary(prepared).from_store is True


def test_what_a_deployment_fetches_is_what_its_revision_says() -> None:
    """A status from a backup, or of an operator that knew no store, may say otherwise."""
    plain, stored = revision(2), replace(revision(2), from_store=True)
    made = Workload(ready=1, from_store=True, digest="sha256:aa")
    known = replace(stored, model=replace(model(2), digest="sha256:aa"))
    assert as_made(plain, made) == as_made(stored, made) == known
    assert as_made(replace(plain, model=replace(model(2), digest="sha256:00")), made) == known
    assert as_made(stored, Workload(ready=1, from_store=False)) == plain


def test_a_revision_that_still_has_pods_is_not_prepared_again() -> None:
    """As when it is retried at once: they are its pods again, from wherever they have the model."""
    retired = Workload(ready=1, from_store=False)
    seen = stable_on(1, resolution=resolved(2), defaults=DEFAULTS_WITH_STORE)
    status = decide(replace_seen(seen, workloads={**seen.workloads, TWO: retired}))
    assert status.phase is Phase.STARTING
    assert (canary(status).from_store, being_prepared(status)) == (False, None)


def test_an_undo_of_a_prepared_revision_starts_without_a_preparation() -> None:
    """MLflow may be down, and the model's files there may be gone."""
    prepared = replace(revision(1), from_store=True, model=replace(model(1), digest="sha256:aa"))
    seen = stable_on(2, defaults=DEFAULTS_WITH_STORE, resolution=Unreachable("no answer"))
    status = begin_return(seen, prepared, "undone")
    assert (canary(status), being_prepared(status)) == (prepared, None)
