"""A rollout of a model of another library, with text and missing values: as one of scikit-learn, from `trust: Data`."""

from collections.abc import AsyncIterator

import anyio
import pytest

from dev.demo import promises
from dev.demo.cluster import Addresses, Kubectl
from dev.demo.models import Aliases, Versions
from dev.demo.traffic import Stream
from tests.e2e import customers
from tests.e2e.rollouts import Place, Rollout, deployed, manifest

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore")]  # the training's say nothing about serving


@pytest.fixture(scope="module")
def place(kubectl: Kubectl, cluster: Addresses) -> Place:
    """Where its aliases are those of this model."""
    return Place(kubectl, Aliases(cluster.mlflow, customers.NAME), cluster.gateway)


@pytest.fixture(scope="module")
async def versions(cluster: Addresses) -> Versions:
    return await anyio.to_thread.run_sync(customers.registered, cluster.mlflow)


@pytest.fixture
async def serving(place: Place, versions: Versions) -> AsyncIterator[Rollout]:
    document = manifest(customers.NAME)
    document["spec"]["model"]["uri"] = f"models:/{customers.NAME}@{customers.NAME}"
    async with deployed(place, document, versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


async def test_a_better_version_is_promoted_and_a_bad_one_rolled_back(
    serving: Rollout, place: Place, versions: Versions
) -> None:
    """Callers send what the training had: text, null and booleans. None of their requests fails."""
    first, better, bad = versions.first, versions.better, versions.bad
    async with Stream(place.gateway, serving.host, rows=customers.rows()) as stream:
        await serving.follow(better)
        promoted = await serving.until_ended(better, runs=2)
        await serving.champion_is(better)
        await serving.follow(bad)
        rejected = await serving.until_ended(bad, runs=3)
    checked = [
        *promises.promoted(promoted, better.uri, better.version, better.version),
        *promises.rejected(rejected, bad.uri, better.version, better.version),
        promises.took_part(stream.requests, [first.version, better.version, bad.version]),
        promises.none_failed(stream.requests),
    ]
    assert [promise.found for promise in checked if not promise.kept] == []
    assert rejected.history[0].reason == "AccuracyBelowLimit"
