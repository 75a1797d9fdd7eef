"""The operator is killed with SIGKILL right after each change of status, and the runs end as without kills.

A killed operator loses all but what it has written. The next process does what is left to do.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from dev.demo import promises
from dev.demo.models import Versions
from dev.demo.status import Status
from dev.demo.traffic import Stream
from tests.e2e.kills import Operator
from tests.e2e.rollouts import Place, Rollout, deployed, manifest

pytestmark = pytest.mark.anyio

Moment = tuple[str, Callable[[Status], bool]]


def in_phase(phase: str) -> Moment:
    return f"phase {phase}", lambda now: now.phase == phase


def wants(weight: int) -> Moment:
    return f"weight {weight} wanted", lambda now: now.weight is not None and now.weight.desired == weight


PROMOTION = (in_phase("Starting"), wants(10), wants(50), in_phase("Promoting"), in_phase("Watching"))
ROLLBACK = (in_phase("Starting"), wants(10), in_phase("RollingBack"))


@pytest.fixture(scope="module")
async def iris(place: Place, versions: Versions) -> AsyncIterator[Rollout]:
    """Serves the first version."""
    async with deployed(place, manifest("iris-killed"), versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


async def kill_at_each(moments: tuple[Moment, ...], iris: Rollout, operator: Operator) -> None:
    for what, true in moments:
        await iris.until(what, true, within=240.0)
        await operator.kill()


async def test_a_promotion_survives_kills(iris: Rollout, place: Place, operator: Operator, versions: Versions) -> None:
    """After kills at each stage the version is promoted, with the same pods, and no request fails."""
    await operator.replace()
    kills = operator.kills
    async with Stream(place.gateway, iris.host) as stream, asyncio.TaskGroup() as group:
        group.create_task(kill_at_each(PROMOTION, iris, operator))
        await iris.follow(versions.better)
        stepping = await iris.until_live(versions.better, weight=10)
        assert stepping.canary is not None
        pods = await iris.pods(stepping.canary.revision)
        end = await iris.until_ended(versions.better, runs=2)
        await iris.champion_is(versions.better)
    assert end.history[0].outcome == "Promoted"
    assert end.stable is not None
    assert end.stable.model.uri == versions.better.uri
    assert operator.kills - kills == len(PROMOTION)
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found
    same_pods = promises.same_pods(pods, await iris.pods(stepping.canary.revision))
    assert same_pods.kept, same_pods.found


async def test_a_rollback_survives_kills(iris: Rollout, place: Place, operator: Operator, versions: Versions) -> None:
    """After kills at each stage the bad version is rejected, the stable one keeps serving, and no request fails."""
    await operator.replace()
    stable, runs, kills = iris.status.stable, len(iris.status.history), operator.kills
    assert stable is not None
    pods = await iris.pods(stable.revision)
    async with Stream(place.gateway, iris.host, seed=1) as stream, asyncio.TaskGroup() as group:
        group.create_task(kill_at_each(ROLLBACK, iris, operator))
        await iris.follow(versions.bad)
        end = await iris.until_ended(versions.bad, runs=runs + 1)
    assert (end.history[0].outcome, end.rejected[0].reason) == ("Rejected", "AccuracyBelowLimit")
    assert end.stable is not None
    assert end.stable.revision == stable.revision
    assert operator.kills - kills == len(ROLLBACK)
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found
    same_pods = promises.same_pods(pods, await iris.pods(stable.revision))
    assert same_pods.kept, same_pods.found
