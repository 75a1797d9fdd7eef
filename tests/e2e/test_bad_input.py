"""Mistakes in a ModelDeployment, and things that are missing: a condition says what is wrong and what to do.

Meanwhile the stable revision keeps serving.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from dev.demo import promises
from dev.demo.cluster import Addresses
from dev.demo.models import NAME, Versions
from dev.demo.traffic import Stream
from tests.e2e.artefacts import Unservable, log_unservable
from tests.e2e.kills import kill_server
from tests.e2e.rollouts import NAMESPACE, Manifest, Place, Rollout, deployed, eventually, manifest

# MLflow and pandas warn about each other while the unservable models are logged.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:::mlflow")]

RATE = 5.0  # requests per second to each object, all the time
MLFLOW = ("-n", "mlflow", "patch", "service", "mlflow", "--type=json", "-p")


@pytest.fixture(scope="module")
async def unservable(cluster: Addresses) -> Unservable:
    return await asyncio.to_thread(log_unservable, cluster.mlflow)


# The URI names no model -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def serving(place: Place, versions: Versions) -> AsyncIterator[Rollout]:
    """Serves the first version."""
    async with deployed(place, manifest("iris-serving"), versions.first) as rollout:
        await rollout.until_ready()
        yield rollout


@pytest.mark.parametrize(
    ("model", "reason", "message"),
    [
        (
            {"uri": f"models:/{NAME}/9999"},
            "VersionNotFound",
            f"MLflow has no version 9999 of model '{NAME}'; correct model.uri (Model Version (name={NAME}, "
            "version=9999) not found)",
        ),
        (
            {"uri": f"models:/{NAME}@nobody"},
            "AliasNotFound",
            f"MLflow has no alias 'nobody' of model '{NAME}'; set it, or correct model.uri (Registered model alias "
            "nobody not found.)",
        ),
        (
            {"uri": "models:/nothing@here"},
            "ModelNotFound",
            "MLflow has no model 'nothing'; correct model.uri (Registered Model with name=nothing not found)",
        ),
        (
            {"uri": "models:/nothing/1"},
            "VersionNotFound",
            "MLflow has no version 1 of model 'nothing'; correct model.uri (Model Version (name=nothing, version=1) "
            "not found)",
        ),
        (
            {"uri": f"runs:/{'0' * 32}/model", "onPromote": None},
            "ModelNotFound",
            f"MLflow does not have it; correct model.uri (Run with id={'0' * 32} not found)",
        ),
        (
            {"registry": {"trackingURI": "http://elsewhere.example.com:5000"}},
            "RegistryNotAllowed",
            "the registry http://elsewhere.example.com:5000 is not on the operator's list: let the administrator add "
            "'elsewhere.example.com:5000' to SLUICE_ALLOWED_REGISTRIES or leave trackingURI out",
        ),
    ],
)
async def test_a_uri_that_names_no_model(
    serving: Rollout, place: Place, model: Manifest, reason: str, message: str
) -> None:
    """Stalled says what to correct. The stable model answers, and the old spec ends the condition."""
    history = serving.status.history
    async with Stream(place.gateway, serving.host, rate=RATE) as stream:
        await serving.patch({"model": model})
        stalled = await serving.until_condition("Stalled", "True", reason)
        assert (stalled.message, serving.status.message) == (message, message)
        assert serving.status.has("Ready", "True")
        assert serving.status.has("RegistryReachable", "False" if reason == "RegistryNotAllowed" else "True")
        good = manifest(serving.name)["spec"]["model"]
        await serving.patch({"model": good | {"registry": None}})
        await serving.until_condition("Stalled", "False", "Progressing")
        await _some_answers(stream)
    assert (serving.status.phase, serving.status.history) == ("Stable", history)
    _none_failed(stream)


async def test_a_registry_that_does_not_answer(serving: Rollout, place: Place) -> None:
    """RegistryReachable is False, and Stalled is not True. The stable model answers, and nothing else changes."""
    history = serving.status.history
    async with Stream(place.gateway, serving.host, rate=RATE) as stream:
        await place.kubectl.text(*MLFLOW, '[{"op": "add", "path": "/spec/selector/nobody", "value": "here"}]')
        try:
            (pod,) = await place.kubectl.items("pods", "-n", "mlflow", "-l", "app=mlflow")
            await kill_server(place.kubectl, "mlflow", pod["metadata"]["name"])  # ends open connections; its files stay
            unreachable = await serving.until_condition("RegistryReachable", "False", "RegistryUnreachable")
            assert unreachable.message == (
                "MLflow at http://mlflow.mlflow.svc:5000 gave no usable answer: Connection refused; "
                "the pinned version keeps serving, and nothing changes"
            )
            assert serving.status.message == unreachable.message
            assert serving.status.has("Stalled", "False")
            assert serving.status.has("Ready", "True")
        finally:
            await place.kubectl.text(*MLFLOW, '[{"op": "remove", "path": "/spec/selector/nobody"}]')
        await serving.until_condition("RegistryReachable", "True", "Answered")
        await _some_answers(stream)
    assert (serving.status.phase, serving.status.history) == ("Stable", history)
    _none_failed(stream)
    reasons = [reason for reason, _ in await serving.events()]
    assert "RegistryUnreachable" in reasons


async def test_an_ingress_of_another_owner_has_the_canary_s_name(
    serving: Rollout, place: Place, versions: Versions
) -> None:
    """A new version does not start while it exists, and starts when it is deleted."""
    name = f"{serving.name}-canary"
    await place.kubectl.apply(_ingress(name))
    await serving.follow(versions.better)
    await serving.until("it is held in Starting", lambda now: now.phase == "Starting")
    stalled = await serving.until_condition("Stalled", "True", "NameTaken")
    assert stalled.message == (
        f"Ingress {name}: not created by this ModelDeployment; delete it or rename one of the two"
    )
    await serving.command("delete", "ingress", name)
    await serving.until_live(versions.better, weight=10)
    await serving.follow(versions.first)
    await serving.until_ended(versions.better, runs=2)


# The model or the server is unusable ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    """A change of the spec that cannot work, with the reason and the message (a regular expression) that it gets."""

    spec: Manifest
    reason: str
    message: str
    rejected: bool = True  # or the run is abandoned, because what is missing says nothing about the model


def attempts(unservable: Unservable) -> dict[str, Attempt]:
    """Attempts by the name of an object. Each object serves the first version before."""
    too_late = "ProgressDeadlineExceeded"
    short = {"rollout": {"progressDeadline": "60s"}}
    waited = "not ready within progressDeadline 60s: pod iris-{name}-[-a-z0-9]+, "
    return {
        "artefact": Attempt(
            {"model": {"uri": unservable.no_model, "onPromote": None}},
            "NoMLmodel",
            r"the artefact has no file MLmodel at its top \(found: readme\.txt\): the URI must name a model that was "
            r"logged with mlflow\.<flavor>\.log_model",
        ),
        "pickle": Attempt(
            {"model": {"uri": unservable.pickle, "onPromote": None}},
            "PickleNotTrusted",
            r"the model is saved as pickle, and loading it would run code out of the file: "
            r"log it with mlflow\.sklearn\.log_model\(\.\.\., serialization_format='skops'\).*",
        ),
        "image": Attempt(
            {"server": {"image": "registry.local/absent:1"}, "rollout": {"deadline": "60s"}},
            "ImageUnavailable",
            r"did not start within deadline 60s: pod iris-{name}-[-a-z0-9]+, container fetch: "
            r"(ErrImagePull|ImagePullBackOff): .*registry\.local/absent:1.*",
            rejected=False,
        ),
        "setting": Attempt(
            {"server": {"env": [{"name": "SLUICE_MAX_ROWS", "value": "many"}]}} | short,
            too_late,
            waited + r"container server: (CrashLoopBackOff: back-off .*, )?last exit code 2 \(Error\)",
        ),
        "memory": Attempt(
            {"server": {"resources": {"limits": {"memory": "24Mi"}}}} | short,
            too_late,
            waited + r"container fetch: (CrashLoopBackOff: back-off .*, )?last exit code 137 \(OOMKilled\)",
        ),
    }


@dataclass(frozen=True)
class Tried:
    """An attempt with its object, and the requests that were sent during it."""

    rollout: Rollout
    attempt: Attempt
    stream: Stream


@pytest.fixture(scope="module")
async def tried(place: Place, versions: Versions, unservable: Unservable) -> AsyncIterator[dict[str, Tried]]:
    """All objects, each with its stream of requests, before the attempts."""
    planned = attempts(unservable)
    async with AsyncExitStack() as stack:
        for name in planned:
            rollouts = {
                name: await stack.enter_async_context(deployed(place, manifest(f"iris-{name}"), versions.first))
                for name in planned
            }
        await asyncio.gather(*(rollout.until_ready() for rollout in rollouts.values()))
        yield {
            name: Tried(
                rollout,
                planned[name],
                await stack.enter_async_context(Stream(place.gateway, rollout.host, rate=RATE)),
            )
            for name, rollout in rollouts.items()
        }


@pytest.fixture(scope="module")
async def ended(tried: dict[str, Tried], versions: Versions) -> dict[str, Tried]:
    """The same after all attempts were made at the same time and have ended."""

    async def make(planned: Tried) -> None:
        rollout = planned.rollout
        await rollout.patch(planned.attempt.spec)
        await rollout.until("the attempt has ended", lambda now: now.phase == "Stable" and len(now.history) == 2)
        await _some_answers(planned.stream)

    await asyncio.gather(*(make(planned) for planned in tried.values()))
    return tried


@pytest.mark.parametrize("name", ["artefact", "pickle", "image", "setting", "memory"])
async def test_a_revision_that_cannot_serve_is_rolled_back_before_it_gets_traffic(
    ended: dict[str, Tried], name: str, versions: Versions
) -> None:
    """The message is in a condition, in status.message and in status.rejected. Only the stable model gets requests.

    A model is not rejected for an image that cannot be pulled: it is tried again.
    """
    rollout, attempt, stream = ended[name].rollout, ended[name].attempt, ended[name].stream
    succeeded = rollout.status.condition("RolloutSucceeded")
    assert succeeded is not None
    assert (succeeded.status, succeeded.reason) == ("False", attempt.reason)
    assert re.fullmatch(attempt.message.format(name=name), succeeded.message, re.DOTALL), succeeded.message
    again = f"; kubectl sluice retry {rollout.name} -n {NAMESPACE}, or another rollout.retryToken, tries it again"
    assert rollout.status.message == (
        f"{versions.first.uri} serves on 1 of 1 pods; the last run was rolled back: {succeeded.message}"
        f"{again if attempt.rejected else ''}"
    )
    rejected = [(attempt.reason, succeeded.message)] if attempt.rejected else []
    assert [(entry.reason, entry.message) for entry in rollout.status.rejected] == rejected
    assert rollout.status.history[0].outcome == ("Rejected" if attempt.rejected else "Abandoned")
    assert rollout.status.has("Ready", "True")
    assert all(state.status.weight is None or state.status.weight.desired == 0 for state in rollout.states)
    assert {request.version for request in stream.requests} == {versions.first.version}
    _none_failed(stream)


# Nothing serves yet ---------------------------------------------------------------------------------------------------


async def test_a_first_model_that_is_refused(place: Place, versions: Versions, unservable: Unservable) -> None:
    """Ready is False, and Stalled has the refusal. With the URI of a good model it starts at once."""
    document = manifest("iris-first")
    document["spec"]["model"] = {"uri": unservable.pickle, "trust": "TrustedTypes"}
    async with deployed(place, document, versions.first) as rollout:
        stalled = await rollout.until_condition("Stalled", "True", "PickleNotTrusted")
        assert stalled.message.startswith("the model is saved as pickle")
        assert rollout.status.message == stalled.message
        ready = rollout.status.condition("Ready")
        assert ready is not None
        assert (ready.status, ready.reason, ready.message) == ("False", "NoRevision", "no revision serves yet")
        await rollout.patch({"model": {"uri": versions.first.uri}})
        await rollout.until_ready()


@pytest.mark.parametrize("kind", ["Service", "Ingress"])
async def test_a_name_that_is_taken(place: Place, versions: Versions, kind: str) -> None:
    """The object of another owner is not changed, and the condition names it. When it is deleted, the start goes on."""
    name = f"iris-taken-{kind.lower()}"
    await place.kubectl.apply(_service(name) if kind == "Service" else _ingress(name))
    async with deployed(place, manifest(name), versions.first) as rollout:
        before = await rollout.get(kind, name)
        stalled = await rollout.until_condition("Stalled", "True", "NameTaken")
        assert stalled.message == (
            f"{kind} {name}: not created by this ModelDeployment; delete it or rename one of the two"
        )
        assert (rollout.status.phase, rollout.status.message) == ("Pending", stalled.message)
        assert await rollout.get(kind, name) == before
        await rollout.command("delete", kind, name)
        await rollout.until_ready()


# A request is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"), [({"features": [[1, 2, 3]]}, "features"), ({"features": [["a", 2, 3, 4]]}, "features")]
)
async def test_a_request_of_the_wrong_shape(serving: Rollout, place: Place, body: Manifest, field: str) -> None:
    """The answer through the gateway is 422, with the field that is wrong."""
    async with httpx.AsyncClient(base_url=place.gateway, headers={"host": serving.host}, trust_env=False) as client:
        answer = await client.post("/predict", json=body)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert field in answer.text


async def _some_answers(stream: Stream, count: int = 10) -> None:
    """Wait for `count` more answers."""
    before = len(stream.requests)

    async def answered() -> bool | None:
        return len(stream.requests) >= before + count or None

    await eventually(f"{count} more answers", answered)


def _none_failed(stream: Stream) -> None:
    promise = promises.none_failed(stream.requests)
    assert promise.kept, promise.found


def _service(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "e2e"},
        "spec": {"ports": [{"port": 80}]},
    }


def _ingress(name: str) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "e2e"},
        "spec": {"defaultBackend": {"service": {"name": "nobody", "port": {"number": 80}}}},
    }
