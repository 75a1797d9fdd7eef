"""Blue-green on the cluster: all requests move at once, and back at once when the watch finds a failure."""

import pytest

from dev.demo import promises, steering
from dev.demo.models import Versions
from dev.demo.tally import answered_by
from dev.demo.traffic import Stream
from tests.e2e.rollouts import Manifest, Place, Rollout, deployed, manifest

pytestmark = pytest.mark.anyio


def blue_green() -> Manifest:
    """A pause before the requests move; a watch that is long enough to see a model that is often wrong."""
    document = manifest("iris-blue-green")
    document["spec"]["rollout"] = {
        "blueGreen": {"pause": {}},
        "watchAfterPromotion": "60s",
        "scaleDownDelay": "2s",
    }
    document["spec"]["objectives"] = [{"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "0.10"}}]
    return document


async def promote(iris: Rollout) -> None:
    """As `kubectl sluice promote` does."""
    fenced = steering.for_run("promote", iris.status)
    assert fenced is not None
    await iris.command("annotate", "modeldeployment", iris.name, steering.annotation(fenced), "--overwrite")


async def test_all_requests_move_at_once_and_back(place: Place, versions: Versions) -> None:
    """No caller is answered by the new version before a person says so, and no request fails."""
    async with deployed(place, blue_green(), versions.first) as iris:
        await iris.until_ready()
        async with Stream(place.gateway, iris.host) as stream:
            await iris.follow(versions.bad)
            await iris.until_condition("Paused", "True", "PausedByStep")
            moved = stream.now
            before = answered_by(stream.requests, 0.0)
            await promote(iris)
            await iris.until("phase Watching", lambda now: now.phase == "Watching")
            end = await iris.until_ended(versions.bad, runs=2)
        weights = {state.status.weight.desired for state in iris.states if state.status.weight is not None}
    assert set(before) == {versions.first.version}
    assert answered_by(stream.requests, moved)[versions.bad.version] > 0
    assert weights == {0}
    assert end.history[0].outcome == "Rejected"
    assert end.rejected[0].reason in (
        "AccuracyWorseThanBefore",
        "AccuracyWorseThanStable",
    )  # whose last labels came late
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found
