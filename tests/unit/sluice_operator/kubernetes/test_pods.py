"""The summary of a revision's pods: numbers, reasons that people can read, and what is not the model's fault."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, ServerEnd, Workload
from sluice_operator.kubernetes.pods import by_revision
from tests.unit.sluice_operator.kubernetes.pod_states import deployment, failed_fetch, pod, server

OOM = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-03-01T12:09:00Z"}
LOST = {"exitCode": 255, "reason": "Unknown", "finishedAt": "2026-03-01T12:09:00Z"}
ISTIO = {"name": "istio-proxy", "restartCount": 9, "state": {"running": {}}, "lastState": {"terminated": OOM}}


def test_pods_are_counted_by_revision() -> None:
    """A pod that is being deleted does not count."""
    leaving = pod(ready=True)
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    pods = [pod(True, **server()), pod(True, **server()), pod(False, **server()), leaving, pod(True, "bbb", **server())]
    counted = {revision: (workload.ready, workload.pods) for revision, workload in by_revision(pods).items()}
    assert counted == {"aaa": (2, 3), "bbb": (1, 1)}


def test_digest_and_runtime_are_those_that_fetch_reports() -> None:
    """Of the model that it has prepared."""
    report = {"digest": "sha256:aa", "runtime": "skops", "flavor": "sklearn"}
    workload = by_revision([pod(**server()), pod(True, report=report)])["aaa"]
    assert (workload.digest, workload.runtime) == ("sha256:aa", "skops")


def test_a_refusal_is_what_fetch_has_written() -> None:
    """Also while the container waits for its next start."""
    refused = {"refused": {"reason": "PickleNotTrusted", "message": "register it with skops"}}
    for refusing in (pod(report=refused), pod(**failed_fetch(json.dumps(refused)))):
        assert by_revision([refusing])["aaa"].refusal == Refusal("PickleNotTrusted", "register it with skops")


def test_a_registry_that_does_not_answer_the_pods_is_not_a_refusal() -> None:
    """The model is not to blame; the message of the pod is kept."""
    unavailable = {"unavailable": {"reason": "RegistryUnreachable", "message": "timed out"}}
    workload = by_revision([pod(**failed_fetch(json.dumps(unavailable)))])["aaa"]
    assert (workload.refusal, workload.unavailable, workload.trouble) == (
        None,
        "RegistryUnreachable",
        "pod iris-aaa-x: timed out",
    )


@pytest.mark.parametrize(
    ("status", "has_it"),
    [
        ({"report": {"digest": "sha256:aa"}}, True),
        (
            {
                "report": {"digest": "sha256:aa"},
                **server(restarts=3, state={"waiting": {"reason": "CrashLoopBackOff"}}),
            },
            True,
        ),
        (server(), True),
        (failed_fetch("{}"), False),
        ({**failed_fetch("{}"), **server(restarts=1, state={"waiting": {}}, lastState={"terminated": LOST})}, False),
        ({"report": {"digest": "sha256:aa"}, "phase": "Failed"}, False),
    ],
)
def test_a_pod_has_the_model_from_its_fetch_until_it_ends_or_fetches_again(
    status: dict[str, Any], has_it: bool
) -> None:
    """A node that starts it anew has it fetch again, and that empties the folder. One on its way out is told apart."""
    assert by_revision([pod(**status)])["aaa"].with_model == int(has_it)
    leaving = pod(**status)
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    found = by_revision([leaving], [deployment()])["aaa"]
    assert (found.pods, found.with_model, found.leaving) == (0, 0, int(has_it))
    assert ("aaa" in by_revision([leaving])) == has_it


def _trouble(status: dict[str, Any]) -> tuple[str, str]:
    workload = by_revision([pod(**status)])["aaa"]
    return workload.trouble, workload.obstacle.reason if workload.obstacle else ""


def test_a_server_that_runs_and_is_not_ready_yet_has_no_trouble() -> None:
    """Its model loads; nobody but the model is in its way."""
    assert _trouble(server(state={"running": {}})) == ("", "")


def _running(name: str) -> dict[str, Any]:
    return {"name": name, "restartCount": 0, "state": {"running": {"startedAt": "2026-03-01T12:00:05Z"}}}


def test_what_a_pod_does_before_it_is_ready_is_told() -> None:
    """When the time for that is over, a person must know which container took it."""
    waits = server(state={"waiting": {"reason": "PodInitializing"}})
    fetches = by_revision([pod(initContainerStatuses=[_running("fetch")], **waits)])["aaa"]
    assert fetches.under_way == (
        "container fetch of pod iris-aaa-x runs since 2026-03-01T12:00:05Z, and has not fetched the model yet"
    )
    loads = by_revision([pod(containerStatuses=[_running("server")])])["aaa"]
    assert loads.under_way == "container server of pod iris-aaa-x runs since 2026-03-01T12:00:05Z, and is not ready yet"
    assert by_revision([pod(ready=True, containerStatuses=[_running("server")])])["aaa"].under_way == ""


@pytest.mark.parametrize("reason", ["PodInitializing", "ContainerCreating"])
def test_containers_that_are_not_created_are_usual_at_first(reason: str) -> None:
    """Nothing is told as long as it is short, but a model that never ran is not to blame."""
    assert _trouble(server(state={"waiting": {"reason": reason}})) == ("", "PodNotStarted")
    assert _trouble({}) == ("", "PodNotStarted")


@pytest.mark.parametrize(
    ("ended", "trouble"),
    [
        (OOM, "CrashLoopBackOff: no message, last exit code 137 (OOMKilled)"),
        ({"exitCode": 1}, "CrashLoopBackOff: no message, last exit code 1"),
    ],
)
def test_a_model_server_that_crashes_is_the_model_s(ended: dict[str, Any], trouble: str) -> None:
    """The sentence names pod, container and exit code."""
    status = server(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": ended})
    assert _trouble(status) == (f"pod iris-aaa-x, container server: {trouble}", "")


def test_fetch_is_quoted_and_not_its_exit_code_alone() -> None:
    """Its refusal, or the last words of a program that has another form of message."""
    prefix = "pod iris-aaa-x, container fetch"
    refused = json.dumps({"refused": {"reason": "PickleNotTrusted", "message": "register it with skops"}})
    assert _trouble(failed_fetch(refused)) == (f"{prefix}: register it with skops, last exit code 3 (Error)", "")
    assert _trouble(failed_fetch("Traceback\n  no module 'x'", 1)) == (
        f"{prefix}: Traceback no module 'x', last exit code 1 (Error)",
        "",
    )
    assert _trouble(failed_fetch("", 137))[0].endswith("restarting failed container, last exit code 137 (Error)")


@pytest.mark.parametrize(
    ("status", "trouble", "obstacle"),
    [
        (
            server(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "pod iris-aaa-x, container server: ImagePullBackOff: no such image",
            "ImageUnavailable",
        ),
        (
            server(state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}),
            'pod iris-aaa-x, container server: CreateContainerConfigError: secret "s" not found',
            "ContainerNotCreated",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no memory"}]},
            "pod iris-aaa-x is not scheduled: 0/1 nodes: no memory",
            "NoCapacity",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "pod iris-aaa-x was ended by its node: Evicted: The node was low on resource: memory.",
            "NodePressure",
        ),
        (
            {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"},
            "pod iris-aaa-x was ended by its node: OutOfcpu: Node didn't have enough resource: cpu",
            "NodePressure",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": 'Usage of EmptyDir volume "tmp" exceeds the limit'},
            'pod iris-aaa-x was ended by its node: Evicted: Usage of EmptyDir volume "tmp" exceeds the limit',
            "",
        ),
    ],
)
def test_what_keeps_a_pod_from_running_is_told_apart_from_the_model(
    status: dict[str, Any], trouble: str, obstacle: str
) -> None:
    """Room, images, settings and nodes say nothing about a model; a pod that breaks its own limits does."""
    assert _trouble(status) == (trouble, obstacle)


def test_an_injected_container_that_fails_is_not_the_model_s() -> None:
    """It is named; trouble of the model server comes first."""
    crashing = {**ISTIO, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    healthy = pod(containerStatuses=[crashing, *server()["containerStatuses"]])
    workload = by_revision([healthy])["aaa"]
    assert workload.trouble == (
        "pod iris-aaa-x, container istio-proxy: CrashLoopBackOff: no message, last exit code 137 (OOMKilled)"
    )
    assert workload.obstacle == Refusal("SidecarNotReady", workload.trouble)
    broken = server(1, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 1}})
    both = by_revision([pod(containerStatuses=[crashing, *broken["containerStatuses"]])])["aaa"]
    assert (both.obstacle, "container server" in both.trouble) == (None, True)


QUOTA = 'pods "iris-aaa-x" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=4, limited: cpu=4'


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        ('pods "iris-aaa-x" is forbidden: violates PodSecurity "restricted:latest"', "PodsRefused"),
        ('admission webhook "policy.example" denied the request: no', "PodsRefused"),
    ],
)
def test_a_refusal_of_pods_is_told_in_the_words_of_the_api_server(failure: str, reason: str) -> None:
    """No pod shows it: the Deployment has it from its ReplicaSet."""
    workload = by_revision([], [deployment(failure=failure)])["aaa"]
    message = f"pods of Deployment iris-aaa are refused: {failure}"
    assert workload == Workload(trouble=message, obstacle=Refusal(reason, message), from_store=False)


def test_a_crash_counts_more_than_a_quota() -> None:
    """Where some pods run and fail, the model is to blame, whatever keeps the others away."""
    crashing = pod(**server(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": OOM}))
    workload = by_revision([crashing], [deployment(failure=QUOTA)])["aaa"]
    assert (workload.obstacle, "OOMKilled" in workload.trouble) == (None, True)


def test_a_deployment_without_pods_is_not_the_model_s() -> None:
    """Its controller may be down. One that is scaled to 0 has none, and nothing is wrong."""
    workload = by_revision([], [deployment()])["aaa"]
    assert (workload.trouble, workload.obstacle and workload.obstacle.reason) == ("", "PodsNotCreated")
    assert by_revision([], [deployment(replicas=0)]) == {"aaa": Workload(from_store=False)}


def _end(restarts: int, failure: str) -> ServerEnd:
    created, at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC), datetime(2026, 3, 1, 12, 9, tzinfo=UTC)
    return ServerEnd("iris-aaa-x", "u1", created, restarts, at, failure)


def test_only_ends_of_the_model_server_are_seen() -> None:
    """An injected container may be restarted as often as it likes."""
    running = server(2, lastState={"terminated": OOM})["containerStatuses"]
    workload = by_revision([pod(True, containerStatuses=[ISTIO, *running])])["aaa"]
    assert workload.ends == (_end(2, "exit code 137 (OOMKilled)"),)
    assert by_revision([pod(True, containerStatuses=[ISTIO, *server()["containerStatuses"]])])["aaa"].ends == ()


def test_the_end_of_a_node_is_no_failure() -> None:
    """The container runtime did not see the end; or `fetch` ran again afterwards, as in a pod that starts anew."""
    assert by_revision([pod(True, **server(1, lastState={"terminated": LOST}))])["aaa"].ends == (_end(1, ""),)
    rebooted = pod(True, **server(1, lastState={"terminated": {**OOM, "exitCode": 143, "reason": "Error"}}))
    for later, failure in (("12:09:40", ""), ("12:00:10", "exit code 143 (Error)")):
        fetched = {"terminated": {"exitCode": 0, "startedAt": f"2026-03-01T{later}Z"}}
        rebooted["status"]["initContainerStatuses"] = [{"name": "fetch", "state": fetched}]
        assert by_revision([rebooted])["aaa"].ends == (_end(1, failure),)


def _written_by(manager: str, *path: str, subresource: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in reversed(path):
        fields = {f"f:{name}": fields}
    where = {"subresource": subresource} if subresource else {}
    return {"manager": manager, "time": "2026-03-01T13:00:00Z", "fieldsV1": fields, **where}


@pytest.mark.parametrize(
    ("entry", "scaled_to", "edited_by"),
    [
        (_written_by("sluice", "spec", "replicas", subresource="scale"), 0, ""),
        (_written_by("kube-controller-manager", "spec", "replicas", subresource="scale"), 5, ""),
        (_written_by("kubectl-edit", "spec", "template", "spec", "containers"), 0, "kubectl-edit"),
        (_written_by("kubectl-rollout", "spec", "template", "metadata", "annotations"), 0, ""),
        (_written_by("kube-controller-manager", "status", "replicas", subresource="status"), 0, ""),
    ],
)
def test_whoever_scales_or_edits_a_deployment_is_known(entry: dict[str, Any], scaled_to: int, edited_by: str) -> None:
    """From the field managers. A restart by an annotation changes nothing in the containers."""
    scaled = deployment(replicas=5)
    scaled["metadata"]["managedFields"] = [_written_by("sluice", "spec", "selector"), entry]
    workload = by_revision([pod(True)], [scaled])["aaa"]
    assert (workload.scaled_to, workload.edited_by) == (scaled_to, edited_by)


def test_a_deployment_says_where_its_pods_get_the_model() -> None:
    """It is never written anew, so that is so whatever the setting is now."""
    from_store, from_registry = deployment("aaa"), deployment("bbb")
    digest = {"name": names.DIGEST_KEY, "value": "sha256:aa"}
    from_store["spec"]["template"] = {"spec": {"initContainers": [{"name": "fetch", "env": [digest]}]}}
    from_registry["spec"]["template"] = {"spec": {"initContainers": [{"name": "fetch", "env": []}]}}
    made = by_revision([pod(revision="ccc")], [from_store, from_registry])
    assert (made["aaa"].from_store, made["aaa"].digest) == (True, "sha256:aa")
    assert (made["bbb"].from_store, made["bbb"].digest) == (False, "")
    assert made["ccc"].from_store is None
