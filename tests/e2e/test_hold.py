"""A canary that gets no traffic: nothing is known of it, so it is held, and whatever happens to it meanwhile is
answered: edits from outside, a newer version, the way back, crashes.
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
    """Serves the first version, and nobody sends requests."""
    document = manifest(NAME)
    document["spec"]["rollout"]["deadline"] = "45s"
    async with deployed(place, document, versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


async def on_trial(quiet: Rollout, version: Version) -> Status:
    """The version at its first step; each test begins here, whatever the one before left."""
    await quiet.follow(version)
    return await quiet.until_live(version, weight=10)


async def test_an_edited_weight_is_repaired(quiet: Rollout, versions: Versions) -> None:
    """A weight that somebody writes into the canary's Ingress is written back and told, and is no progress."""
    before = await on_trial(quiet, versions.better)
    await quiet.command("annotate", "ingress", CANARY_INGRESS, f"{WEIGHT}=90", "--overwrite")
    await eventually("the weight is 10 again", lambda: _weight_is(quiet, "10"))
    assert (quiet.status.run, quiet.status.phase) == (before.run, "Stepping")
    await _is_told(quiet, f"changed Ingress {CANARY_INGRESS}: not as status asks for")


async def test_a_deleted_canary_ingress_comes_back(quiet: Rollout, versions: Versions) -> None:
    """The Ingress that carries the weight is made again with the same weight, and the run goes on where it was."""
    before = await on_trial(quiet, versions.better)
    await quiet.command("delete", "ingress", CANARY_INGRESS)
    await eventually("the Ingress is there again", lambda: _weight_is(quiet, "10"))
    assert (quiet.status.run, quiet.status.phase) == (before.run, "Stepping")
    await _is_told(quiet, f"created Ingress {CANARY_INGRESS}: not as status asks for")


async def test_without_requests_nothing_is_decided(quiet: Rollout, versions: Versions) -> None:
    """Silence is no success and no failure: the canary stays at its first step, Undecided, beyond the deadline."""
    await on_trial(quiet, versions.better)

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
    assert all(now.status.run is None or now.status.run.step == 0 for now in quiet.seen)


async def test_a_newer_version_replaces_the_one_on_trial(quiet: Rollout, versions: Versions) -> None:
    """In mid-run the newest version wins: the old canary is rolled back without being rejected, the new one starts."""
    await on_trial(quiet, versions.better)
    newest = await on_trial(quiet, versions.bad)
    superseded = newest.history[0]
    assert (superseded.model, superseded.outcome) == (versions.better.uri, "Superseded")
    assert newest.rejected == ()
    assert newest.stable is not None
    assert newest.stable.model.uri == versions.first.uri


async def test_naming_the_stable_version_again_ends_the_run(quiet: Rollout, versions: Versions) -> None:
    """The spec goes back to what serves: the canary is withdrawn, its route is removed, nothing is rejected."""
    before = await on_trial(quiet, versions.better)
    await quiet.follow(versions.first)
    end = await quiet.until_ended(versions.better, runs=len(before.history) + 1)
    assert end.history[0].outcome == "Withdrawn"
    assert end.rejected == ()
    assert await quiet.get("ingress", CANARY_INGRESS) is None


async def test_a_crashing_canary_is_taken_back(quiet: Rollout, place: Place, versions: Versions) -> None:
    """Two crashes more than stable's are enough, without a single request."""
    before = await on_trial(quiet, versions.better)
    assert before.canary is not None
    (pod,) = await quiet.pods(before.canary.revision)
    for _ in range(2):
        await kill_server(place.kubectl, NAMESPACE, pod.name)
    end = await quiet.until_ended(versions.better, runs=len(before.history) + 1)
    assert (end.history[0].outcome, end.rejected[0].reason) == ("Rejected", "CanaryCrashing")
    assert end.rejected[0].message == ("containers of the canary ended 2 times more often than stable's in this run")
    assert end.stable is not None
    assert end.stable.model.uri == versions.first.uri


async def _weight_is(quiet: Rollout, weight: str) -> bool | None:
    found: dict[str, Any] | None = await quiet.get("ingress", CANARY_INGRESS)
    return (found is not None and found["metadata"]["annotations"][WEIGHT] == weight) or None


async def _is_told(quiet: Rollout, note: str) -> None:
    async def look() -> bool | None:
        told = [text for reason, text in await quiet.events() if reason == "DriftRepaired"]
        return any(text.startswith(note) for text in told) or None

    await eventually(f"an event DriftRepaired: {note}", look)
