"""A canary without requests is held, because there is no evidence.

Meanwhile the operator reacts to edits from outside, a newer version, a return to the stable version, and crashes.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dev.demo.models import Version, Versions
from dev.demo.status import Status
from tests.e2e.kills import kill_server
from tests.e2e.rollouts import NAMESPACE, Place, Rollout, deployed, eventually, manifest

pytestmark = pytest.mark.anyio

NAME = "iris-quiet"
CANARY_INGRESS = f"{NAME}-canary"
HELD = "holds weight 10: evidence not complete within 45s: needs 50 more requests; errors is undecided: nothing seen"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


@pytest.fixture(scope="module")
async def quiet(place: Place, versions: Versions) -> AsyncIterator[Rollout]:
    """Serves the first version, and gets no requests."""
    document = manifest(NAME)
    document["spec"]["rollout"]["deadline"] = "45s"
    async with deployed(place, document, versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


async def at_first_step(quiet: Rollout, version: Version) -> Status:
    """The status with the version at its first step. Each test begins here, whatever the test before has left."""
    await quiet.follow(version)
    return await quiet.until_live(version, weight=10)


async def test_an_edited_weight_is_repaired(quiet: Rollout, versions: Versions) -> None:
    """A weight that somebody writes into the canary's Ingress is repaired, told, and proven anew; the run goes on."""
    before = await at_first_step(quiet, versions.better)
    await quiet.command("annotate", "ingress", CANARY_INGRESS, f"{WEIGHT}=90", "--overwrite")
    await eventually("the weight is 10 again", lambda: _weight_is(quiet, "10"))
    await _goes_on(quiet, before)
    await _is_reported(quiet, f"Ingress {CANARY_INGRESS} was edited by kubectl-annotate (edit 1 in this run)")


async def test_a_deleted_canary_ingress_is_created_again(quiet: Rollout, versions: Versions) -> None:
    """It has the same weight, and the run goes on."""
    before = await at_first_step(quiet, versions.better)
    await quiet.command("delete", "ingress", CANARY_INGRESS)
    await eventually("the Ingress is there again", lambda: _weight_is(quiet, "10"))
    await _goes_on(quiet, before)
    await _is_reported(quiet, f"Ingress {CANARY_INGRESS} was deleted")


async def test_without_requests_the_canary_is_held(quiet: Rollout, versions: Versions) -> None:
    """Without evidence it stays at its first step, Undecided, also after the deadline."""
    await at_first_step(quiet, versions.better)

    def over(now: Status) -> bool:
        left = now.phase != "Stepping" or now.run is None or now.run.step > 0
        stalled = now.condition("Stalled")
        return left or (stalled is not None and stalled.message.startswith(HELD))

    held = await quiet.until("the deadline is over, or the run has moved on", over)
    step = None if held.run is None else held.run.step
    assert (held.phase, step) == ("Stepping", 0), f"moved on without a request: {held.message}"
    assert held.verdict is not None
    assert (held.verdict.result, held.rejected) == ("Undecided", ())
    stalled = held.condition("Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason, stalled.message) == ("True", "DeadlineExceeded", held.message)
    assert all(state.status.run is None or state.status.run.step == 0 for state in quiet.states)


async def test_a_newer_version_replaces_the_canary(quiet: Rollout, versions: Versions) -> None:
    """The old canary is rolled back and not rejected, and the newest version starts."""
    await at_first_step(quiet, versions.better)
    newest = await at_first_step(quiet, versions.bad)
    superseded = newest.history[0]
    assert (superseded.model, superseded.outcome) == (versions.better.uri, "Superseded")
    assert newest.rejected == ()
    assert newest.stable is not None
    assert newest.stable.model.uri == versions.first.uri


async def test_a_uri_that_names_the_stable_version_again_ends_the_run(quiet: Rollout, versions: Versions) -> None:
    """The canary is withdrawn and not rejected, and its route is removed."""
    before = await at_first_step(quiet, versions.better)
    await quiet.follow(versions.first)
    end = await quiet.until_ended(versions.better, runs=len(before.history) + 1)
    assert end.history[0].outcome == "Withdrawn"
    assert end.rejected == ()
    assert await quiet.get("ingress", CANARY_INGRESS) is None


async def test_a_crashing_canary_is_rolled_back(quiet: Rollout, place: Place, versions: Versions) -> None:
    """Two more crashes than stable's are enough, without any request."""
    before = await at_first_step(quiet, versions.better)
    assert before.canary is not None
    (pod,) = await quiet.pods(before.canary.revision)
    for _ in range(2):
        await kill_server(place.kubectl, NAMESPACE, pod.name)
    end = await quiet.until_ended(versions.better, runs=len(before.history) + 1)
    assert (end.history[0].outcome, end.rejected[0].reason) == ("Rejected", "CanaryCrashing")
    words = "containers of the canary ended 2 times more often than stable's in this run; the last: container server"
    assert end.rejected[0].message == f"{words} of pod {pod.name} ended with exit code 137 (Error)"
    assert end.stable is not None
    assert end.stable.model.uri == versions.first.uri


async def _goes_on(quiet: Rollout, before: Status) -> None:
    """The run is the same one, and its weight is proven again."""
    assert before.weight is not None
    proven = before.weight.verified_at

    def proven_again(now: Status) -> bool:
        return now.weight is not None and now.weight.is_proven(10) and now.weight.verified_at > proven

    now = await quiet.until("the weight is proven again", proven_again)
    assert now.run is not None
    assert before.run is not None
    assert (now.run.id, now.run.step, now.phase) == (before.run.id, before.run.step, "Stepping")


async def _weight_is(quiet: Rollout, weight: str) -> bool | None:
    ingress: dict[str, Any] | None = await quiet.get("ingress", CANARY_INGRESS)
    return (ingress is not None and ingress["metadata"]["annotations"][WEIGHT] == weight) or None


async def _is_reported(quiet: Rollout, note: str) -> None:
    async def has_event() -> bool | None:
        notes = [text for reason, text in await quiet.events() if reason == "DriftRepaired"]
        return any(text.startswith(note) for text in notes) or None

    await eventually(f"an event DriftRepaired: {note}", has_event)
