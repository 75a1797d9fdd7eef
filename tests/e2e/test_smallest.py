"""The smallest ModelDeployment has only a model and a host: the defaults roll out a good version."""

import json

import pytest

from dev.demo import promises
from dev.demo.models import Versions
from dev.demo.traffic import Stream
from tests.e2e.rollouts import Manifest, Place, deployed, manifest

pytestmark = pytest.mark.anyio

RATE = 60.0  # requests per second
WITHIN = 420.0  # seconds for a run that must rule out its margins


def smallest(name: str) -> Manifest:
    """The example without steps and objectives, and without a watch."""
    document = manifest(name)
    document["spec"]["rollout"] = {"watchAfterPromotion": "0s", "scaleDownDelay": "0s"}
    del document["spec"]["objectives"]
    return document


async def test_the_defaults_roll_out_a_good_version(place: Place, versions: Versions) -> None:
    """Steps follow from the traffic, errors and latency are compared with stable, and no request fails."""
    async with deployed(place, smallest("iris-smallest"), versions.first) as iris:
        await iris.until_ready()
        async with Stream(place.gateway, iris.host, rate=RATE, max_requests=40_000, max_seconds=600.0) as stream:
            await iris.follow(versions.better)
            stepping = await iris.until("phase Stepping", lambda now: now.phase == "Stepping", WITHIN)
            end = await iris.until(
                "the better version serves", lambda now: now.phase == "Stable" and len(now.history) == 2, WITHIN
            )
        run = json.loads(await iris.command("get", "modeldeployment", iris.name, "-o", "jsonpath={.status.run}"))
    assert stepping.canary is not None
    assert [entry.outcome for entry in end.history] == ["Promoted", "Promoted"], end.history
    weights = [step["weight"] for step in run["steps"]]
    assert weights == sorted(weights)
    assert (len(weights) > 1, weights[-1]) == (True, 50)
    assert [objective["name"] for objective in run["objectives"]] == ["errors", "p95"]
    assert 0 < float(run["latencyThresholds"]["p95"]) < 1
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found
