"""The summary of a prepare Job: digest, refusal or trouble, in the words for pods that fetch a model themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, Workload
from sluice_operator.kubernetes import preparation

RUN = "aaa-1772366400"


def job(run: str = RUN, uid: str = "j1", **status: Any) -> dict[str, Any]:
    labels = {names.LABEL_REVISION: "aaa", names.LABEL_RUN: run}
    metadata = {"name": "iris-aaa-prepare", "namespace": "models", "uid": uid, "labels": labels}
    return {"kind": "Job", "metadata": metadata, "status": status}


def pod(state: dict[str, Any], *, of: str = "j1", created: str = "12:00", **status: Any) -> dict[str, Any]:
    """A pod of the Job with this uid. Kubernetes calls it ready while its container runs."""
    owner = {"kind": "Job", "uid": of, "controller": True}
    metadata = {
        "name": "iris-aaa-prepare-x",
        "creationTimestamp": f"2026-03-01T{created}:00Z",
        "labels": {names.LABEL_PREPARES: "iris"},
        "ownerReferences": [owner],
    }
    ready = {"type": "Ready", "status": "True" if "running" in state else "False"}
    shown = {"conditions": [ready], "containerStatuses": [{"name": "prepare", "restartCount": 0, "state": state}]}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", **shown, **status}}


def ended(report: Any, exit_code: int = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "message": json.dumps(report)}}


def seen(*pods: dict[str, Any], of: dict[str, Any] | None = None) -> Workload:
    return preparation.by_revision(pods, [of or job()], RUN)["aaa"]


def test_a_prepared_model_is_known_by_digest_and_runtime() -> None:
    """The pods of its revision fetch that digest."""
    found = seen(pod(ended({"digest": "sha256:aa", "runtime": "onnx", "flavor": "sklearn"}), phase="Succeeded"))
    assert found == Workload(digest="sha256:aa", runtime="onnx")


def test_a_refusal_is_that_of_the_model() -> None:
    """As if a pod had fetched it."""
    refused = {"refused": {"reason": "PickleNotTrusted", "message": "register it with skops"}}
    found = seen(pod(ended(refused, 3)))
    assert found.refusal == Refusal("PickleNotTrusted", "register it with skops")
    assert found.trouble == ("pod iris-aaa-prepare-x, container prepare: register it with skops, last exit code 3")


def test_a_registry_or_a_store_that_does_not_answer_is_not_the_model_s_fault() -> None:
    """Also while the container runs again: kubelets start it with pauses that grow."""
    unavailable = ended({"unavailable": {"reason": "RegistryUnreachable", "message": "timed out"}}, 1)
    waits = pod({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}})
    tries = pod({"running": {"startedAt": "2026-03-01T12:01:00Z"}})
    for each in (waits, tries):
        each["status"]["containerStatuses"][0]["lastState"] = unavailable
        found = seen(each)
        assert (found.unavailable, found.trouble) == ("RegistryUnreachable", "pod iris-aaa-prepare-x: timed out")


def test_a_pod_that_prepares_is_not_ready_for_requests() -> None:
    """Whatever Kubernetes calls it. What it does is told when the time for the start is over."""
    found = seen(pod({"running": {"startedAt": "12:00"}}))
    assert (found.ready, found.pods, found.trouble, found.obstacle) == (0, 0, "", None)
    assert found.under_way == (
        "container prepare of pod iris-aaa-prepare-x runs since 12:00, and has not prepared the model yet"
    )


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        (
            {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            {},
            "ImageUnavailable",
        ),
        (
            {"waiting": {"reason": "CreateContainerConfigError", "message": "no key SLUICE_STORE_URL"}},
            {},
            "ContainerNotCreated",
        ),
        (
            {"waiting": {"reason": "PodInitializing"}},
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
            "NoCapacity",
        ),
    ],
)
def test_what_keeps_the_pod_from_running_says_nothing_about_the_model(
    state: dict[str, Any], status: dict[str, Any], reason: str
) -> None:
    """The start is held."""
    obstacle = seen(pod(state, **status)).obstacle
    assert obstacle is not None
    assert obstacle.reason == reason


def test_a_job_without_a_pod_is_held_too() -> None:
    """A quota or a policy refuses it, and only Events say so."""
    leaving = pod(ended({"digest": "sha256:aa"}))
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    for pods in ((), (leaving,)):
        obstacle = seen(*pods).obstacle
        assert obstacle is not None
        assert obstacle.reason == "PodsNotCreated"
        assert "kubectl describe job iris-aaa-prepare -n models says why" in obstacle.message


def test_only_the_newest_pod_of_this_run_s_job_counts() -> None:
    """Pods of a Job that was deleted go a moment later, and an evicted one stays beside the one that took its place."""
    older = pod(ended({"refused": {"reason": "NoSignature", "message": "add one"}}, 3), of="j0", created="12:09")
    evicted = pod({"waiting": {}}, phase="Failed", reason="Evicted", created="12:01")
    newest = pod(ended({"digest": "sha256:aa", "runtime": "skops"}), created="12:05")
    assert seen(newest, older, evicted) == Workload(digest="sha256:aa", runtime="skops")
    assert preparation.by_revision([newest], [job(run="aaa-1")], RUN) == {}


@pytest.mark.parametrize("report", [None, "", "{", {"runtime": "onnx"}])
def test_a_complete_job_whose_report_is_gone_is_held_and_made_anew(report: Any) -> None:
    """Its node was drained, or its image reports nothing: the model is not to blame."""
    done = job(conditions=[{"type": "Complete", "status": "True"}])
    found = seen(*([] if report is None else [pod(ended(report), phase="Succeeded")]), of=done)
    assert found.obstacle is not None
    assert found.obstacle.reason == "ResultLost"
    assert "Job iris-aaa-prepare is complete" in found.obstacle.message


def test_a_job_that_ran_out_of_its_time_has_failed() -> None:
    """One that goes on has not. One that is complete, and still asked for, has lost its result."""
    late = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    assert preparation.failure(job(conditions=[late])) == "DeadlineExceeded"
    assert preparation.failure(job(conditions=[{**late, "status": "False"}])) == ""
    assert preparation.failure(job(conditions=[{"type": "Complete", "status": "True"}])) == "ResultLost"
    assert preparation.failure(job()) == ""
