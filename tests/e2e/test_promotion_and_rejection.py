"""A promotion and a rejection during a steady stream of requests with feedback.

A better version is promoted, and then a worse one is rolled back. Each run is made once; the tests check its results.
"""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from dev.dashboards import alert_rules
from dev.demo import promises
from dev.demo.cluster import Addresses
from dev.demo.models import Versions
from dev.demo.promises import Pod
from dev.demo.status import Status
from dev.demo.tally import answered_by
from dev.demo.traffic import Request, Stream
from tests.e2e.dashboards import Asker, to_ask
from tests.e2e.kills import Operator
from tests.e2e.rollouts import NAMESPACE, Place, Rollout, deployed, eventually, manifest

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Run:
    """The results of one run, from the moved alias until the old pods were gone."""

    first: Status  # when the first weight of the new revision was live
    end: Status
    requests: list[Request]
    afterwards: float  # time in the stream at which the run had ended
    pods_first: list[Pod]  # of the revision that serves in the end, as early as it had pods
    pods_last: list[Pod]  # the same in the end
    events: list[tuple[str, str]]


@pytest.fixture(scope="module")
def asker(cluster: Addresses) -> Asker:
    """Asks the cluster's Prometheus about the time since these tests began."""
    return Asker(cluster.prometheus, time.time(), NAMESPACE, "iris-runs")


@pytest.fixture(scope="module")
async def iris(place: Place, versions: Versions, asker: Asker) -> AsyncIterator[Rollout]:
    """Serves the first version on two pods."""
    document = manifest("iris-runs")
    document["spec"]["server"]["replicas"] = 2
    async with deployed(place, document, versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


@pytest.fixture(scope="module")
async def promotion(iris: Rollout, place: Place, versions: Versions) -> Run:
    """The alias is moved to the better version."""
    async with Stream(place.gateway, iris.host) as stream:
        old = iris.status.stable
        assert old is not None
        await iris.follow(versions.better)
        first = await iris.until_live(versions.better, weight=10)
        assert first.canary is not None
        pods = await iris.pods(first.canary.revision)
        await iris.until("phase Watching", lambda now: now.phase == "Watching")
        pods += await iris.pods(first.canary.revision)
        end = await iris.until_ended(versions.better, runs=2)
        await iris.until_gone(old.revision)
        afterwards = await _answers(stream)
    return Run(
        first, end, stream.requests, afterwards, pods, await iris.pods(first.canary.revision), await iris.events()
    )


@pytest.fixture(scope="module")
async def rejection(promotion: Run, iris: Rollout, place: Place, versions: Versions) -> Run:
    """After the promotion, the alias is moved to the bad version."""
    stable = promotion.end.stable
    assert stable is not None
    async with Stream(place.gateway, iris.host, seed=1) as stream:
        pods = await iris.pods(stable.revision)
        await iris.follow(versions.bad)
        first = await iris.until_live(versions.bad, weight=10)
        assert first.canary is not None
        end = await iris.until_ended(versions.bad, runs=3)
        await iris.until_gone(first.canary.revision)
        afterwards = await _answers(stream)
    events = (await iris.events())[len(promotion.events) :]
    return Run(first, end, stream.requests, afterwards, pods, await iris.pods(stable.revision), events)


async def _answers(stream: Stream, count: int = 50) -> float:
    """Wait for `count` more answers. Returns the time in the stream after which they were requested."""
    since = stream.now

    async def answered() -> bool | None:
        return answered_by(stream.requests, since).total() >= count or None

    await eventually(f"{count} more predictions", answered)
    return since


def _check(*checked: promises.Promise) -> None:
    for promise in checked:
        assert promise.kept, f"{promise.text}: {promise.found}"


async def test_a_better_version_is_promoted(promotion: Run, versions: Versions) -> None:
    """It is the stable one in the end, and status and history say so."""
    _check(*promises.promoted(promotion.end, versions.better.uri, versions.better.version, versions.better.version))
    assert promotion.end.has("RolloutSucceeded", "True")
    assert [entry.outcome for entry in promotion.end.history] == ["Promoted", "Promoted"]
    assert (promotion.end.canary, promotion.end.weight, promotion.end.rejected) == (None, None, ())


async def test_no_request_fails_because_of_a_promotion(promotion: Run) -> None:
    """From the start of the canary until the old pods have drained."""
    _check(promises.none_failed(promotion.requests))


async def test_after_a_promotion_only_the_new_version_answers(promotion: Run, versions: Versions) -> None:
    """During the run both versions answered."""
    _check(promises.took_part(promotion.requests, [versions.first.version, versions.better.version]))
    _check(promises.only_answers_now(promotion.requests, promotion.afterwards, versions.better.version))


async def test_a_node_of_the_promoted_version_can_be_emptied(promotion: Run, iris: Rollout) -> None:
    """One pod at a time. The budget of the old version has gone with its pods."""
    assert promotion.end.stable is not None
    stable = f"{iris.name}-{promotion.end.stable.revision}"

    async def allowed() -> bool | None:
        found = json.loads(
            await iris.command("get", "poddisruptionbudgets", f"-lapp.kubernetes.io/instance={iris.name}", "-ojson")
        )
        budgets = {budget["metadata"]["name"]: budget["status"].get("disruptionsAllowed") for budget in found["items"]}
        return budgets == {stable: 1} or None

    await eventually("one pod may be evicted", allowed)


async def test_a_promotion_does_not_restart_pods(promotion: Run) -> None:
    """The pods of the canary serve as stable: none was restarted or replaced."""
    _check(promises.same_pods(promotion.pods_first, promotion.pods_last))


async def test_a_promotion_moves_the_alias(promotion: Run, iris: Rollout, versions: Versions) -> None:
    """The alias of `onPromote` points to the promoted version."""
    await iris.champion_is(versions.better)


async def test_the_weight_rises_step_by_step(promotion: Run, iris: Rollout) -> None:
    """Only the weights of the steps are desired, and no weight is live before it was desired."""
    statuses = [state.status for state in iris.states]
    weights = [status.weight for status in statuses if status.run and status.weight]
    desired = [weight.desired for weight in weights]
    rises = [now for before, now in zip([0, *desired], desired, strict=False) if now != before]
    assert rises[:2] == [10, 50]
    assert set(desired) == {0, 10, 50}
    assert all(weight.live in desired[: position + 1] for position, weight in enumerate(weights))


async def test_a_promotion_has_its_events(promotion: Run, versions: Versions) -> None:
    """One event per transition, in order, from the first revision to the promotion."""
    better = versions.better.uri
    assert [reason for reason, _ in promotion.events] == [
        *("CanaryStarted", "Promoted"),
        *("CanaryStarted", "WeightProven", "WeightProven", "WeightProven", "StepsPassed", "RolesSwapped", "Promoted"),
    ]
    notes = [note for _, note in promotion.events[3:]]
    assert notes[:3] == ["weight 0 is live", "weight 10 is live", "weight 50 is live"]
    assert notes[3:] == [
        f"{better} passed its last step and takes over",
        f"{better} serves all traffic and is watched",
        f"{better} is stable",
    ]


async def test_kubectl_shows_the_end_of_a_promotion(promotion: Run, iris: Rollout, versions: Versions) -> None:
    """`get`, `get -o wide` and `describe` show which version serves, that it is ready, and what happened."""
    columns = (await iris.command("get", "modeldeployment", iris.name)).splitlines()
    assert columns[0].split() == ["NAME", "PHASE", "STABLE", "CANARY", "WEIGHT", "VERDICT", "READY", "AGE"]
    assert columns[1].split()[:3] == [iris.name, "Stable", versions.better.version]
    assert "True" in columns[1].split()
    wide = await iris.command("get", "modeldeployment", iris.name, "-o", "wide")
    assert f"{versions.better.uri} serves on 2 of 2 pods" in wide
    described = await iris.command("describe", "modeldeployment", iris.name)
    assert f"{versions.better.uri} serves all traffic and is watched" in described


async def test_a_bad_version_is_rejected_by_its_accuracy(rejection: Run, versions: Versions) -> None:
    """Feedback shows that it is bad. The message has the number and the limit, and status remembers it."""
    _check(*promises.rejected(rejection.end, versions.bad.uri, versions.better.version, versions.better.version))
    ended, rejected = rejection.end.history[0], rejection.end.rejected[0]
    assert (ended.outcome, ended.reason, rejected.reason) == ("Rejected", "AccuracyBelowLimit", "AccuracyBelowLimit")
    assert rejected.message.startswith("accuracy 0.")
    assert "breaks its limit: at least 0.85" in rejected.message


async def test_a_rejection_sets_weight_0_first(rejection: Run, iris: Rollout, versions: Versions) -> None:
    """Weight 0 is written together with RollingBack, and in the end there is no route to the bad version."""
    rolling_back = [state.status for state in iris.states if state.status.phase == "RollingBack"]
    assert rolling_back
    assert all(status.weight is not None and status.weight.desired == 0 for status in rolling_back)
    assert (await iris.get("ingress", f"{iris.name}-canary")) is None


async def test_no_request_fails_because_of_a_rejection(rejection: Run, versions: Versions) -> None:
    """The bad version answered some requests during the run, and none afterwards."""
    _check(promises.none_failed(rejection.requests))
    _check(promises.took_part(rejection.requests, [versions.bad.version]))
    _check(promises.only_answers_now(rejection.requests, rejection.afterwards, versions.better.version))


async def test_a_rejection_does_not_restart_the_stable_pods(rejection: Run) -> None:
    """None was restarted or replaced."""
    _check(promises.same_pods(rejection.pods_first, rejection.pods_last))


async def test_a_rejection_does_not_move_the_alias(rejection: Run, place: Place, versions: Versions) -> None:
    """The alias of `onPromote` still points to the promoted version."""
    assert await place.aliases.get("iris-runs-champion") == versions.better.version


async def test_a_rejection_has_its_events(rejection: Run) -> None:
    """One event per transition, in order, with the reason of the rejection."""
    reasons = [reason for reason, _ in rejection.events]
    begun, proven, ended = reasons[:1], reasons[1:-2], reasons[-2:]
    assert (begun, set(proven), ended) == (["CanaryStarted"], {"WeightProven"}, ["RollingBack", "RolledBack"])
    assert 2 <= len(proven) <= 3, "weight 0 and that of the first step; its labels may come late"
    assert all(note.startswith("AccuracyBelowLimit: accuracy 0.") for _, note in rejection.events[-2:])


async def test_each_query_of_the_dashboards_finds_something(rejection: Run, asker: Asker) -> None:
    """At some moment of the promotion and the rejection; what there is nothing of is named, with the reason."""
    empty = to_ask()

    async def all_found() -> bool | None:
        empty[:] = await asker.empty(empty)
        return not empty or None

    try:
        await eventually("each query finds something", all_found)
    except AssertionError:
        raise AssertionError(f"these find nothing: {[query.where for query in empty]}") from None


async def test_the_rules_are_evaluated(rejection: Run, asker: Asker) -> None:
    """All of manifests/alerts, as the files have them."""
    names = {rule.get("alert") or rule["record"] for rule in alert_rules.rules()}

    async def evaluated() -> bool | None:
        return await asker.rules() == dict.fromkeys(names, "ok") or None

    await eventually("Prometheus has evaluated each rule", evaluated)


async def test_a_rejected_version_is_not_tried_again(
    rejection: Run, iris: Rollout, operator: Operator, versions: Versions
) -> None:
    """Neither after a change of the object nor by a new process of the operator."""
    await operator.replace()
    await iris.patch({"model": {"pollInterval": "1s"}})
    stalled = await iris.until_condition("Stalled", "False", "Rejected")
    not_again = f"{versions.bad.uri} was rejected before and is not tried again as it is"
    way = f"kubectl sluice retry {iris.name} -n {NAMESPACE}, or another rollout.retryToken, tries it again"
    assert stalled.message == f"{not_again}: {way}"
    assert iris.status.phase == "Stable"
    assert iris.status.history == rejection.end.history


async def test_other_objectives_give_a_rejected_version_another_run(
    rejection: Run, iris: Rollout, versions: Versions
) -> None:
    """It starts again. The URI of the stable version then ends that run."""
    text = await iris.command("get", "modeldeployment", iris.name, "-o", "jsonpath={.spec.objectives}")
    objectives = json.loads(text)
    await iris.patch({"objectives": [objective for objective in objectives if objective["name"] != "latency"]})
    again = await iris.until("it starts again", lambda now: now.phase == "Starting")
    assert again.canary is not None
    assert again.canary.model.uri == versions.bad.uri
    await iris.follow(versions.better)
    end = await iris.until_ended(versions.bad, runs=4)
    assert (end.history[0].outcome, end.history[0].reason) == ("Withdrawn", "Withdrawn")
    assert end.stable == iris.status.stable
