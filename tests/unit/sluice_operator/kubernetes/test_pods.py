"""The summary of a revision's pods: numbers, and reasons that people can read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, Workload
from sluice_operator.kubernetes.pods import by_revision

WAITING = {"reason": "PodInitializing"}


def pod(ready: bool = False, revision: str = "aaa", report: Any = None, **status: Any) -> dict[str, Any]:
    """A pod of `revision`; `report` is what its fetch container wrote."""
    message = report if isinstance(report, str) else json.dumps(report)
    fetch = {"name": "fetch", "state": {"terminated": {"exitCode": 0, "message": message}}} if report else None
    return {
        "metadata": {"name": f"iris-{revision}-x", "labels": {names.LABEL_REVISION: revision}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **({"initContainerStatuses": [fetch]} if fetch else {}),
            **status,
        },
    }


def server(restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "server", "restartCount": restarts, **state}]}


def test_pods_are_counted_by_revision() -> None:
    """Ready pods and restarts. A pod that is being deleted does not count."""
    leaving = pod(ready=True)
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    workloads = by_revision(
        [pod(True, **server(1)), pod(True, **server(2)), pod(False, **server()), leaving, pod(True, "bbb", **server())]
    )
    assert workloads == {"aaa": Workload(ready=2, restarts=3), "bbb": Workload(ready=1)}


def test_digest_and_runtime_are_those_that_fetch_reports() -> None:
    """Of the model that it has prepared."""
    report = {"digest": "sha256:aa", "runtime": "skops", "flavor": "sklearn"}
    assert by_revision([pod(), pod(True, report=report)]) == {
        "aaa": Workload(ready=1, digest="sha256:aa", runtime="skops")
    }


def test_a_refusal_is_what_fetch_has_written() -> None:
    """Also while the container waits for its next start."""
    refused = {"refused": {"reason": "PickleNotTrusted", "message": "register it with skops"}}
    again = {
        "name": "fetch",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 3, "message": json.dumps(refused)}},
    }
    for refusing in (pod(report=refused), pod(initContainerStatuses=[again])):
        assert by_revision([refusing])["aaa"].refusal == Refusal("PickleNotTrusted", "register it with skops")


def test_a_registry_that_does_not_answer_the_pods_is_not_a_refusal() -> None:
    """The model is not to blame; the message of the pod is kept."""
    workload = by_revision([pod(report={"unavailable": {"reason": "RegistryUnreachable", "message": "timed out"}})])[
        "aaa"
    ]
    assert (workload.refusal, workload.registry_unreachable, workload.trouble) == (
        None,
        True,
        "pod iris-aaa-x: timed out",
    )


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({}, ""),
        (server(state={"waiting": WAITING}), ""),
        (server(state={"waiting": {"reason": "ContainerCreating"}}), ""),
        (server(state={"running": {}}), ""),
        (
            server(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "pod iris-aaa-x, container server: ImagePullBackOff: no such image",
        ),
        (
            server(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            ),
            "pod iris-aaa-x, container server: CrashLoopBackOff: no message, last exit code 137 (OOMKilled)",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no memory"}]},
            "pod iris-aaa-x is not scheduled: 0/1 nodes: no memory",
        ),
    ],
)
def test_the_reason_why_a_pod_is_not_ready_is_a_sentence(status: dict[str, Any], trouble: str) -> None:
    """Empty for a pod that is only starting."""
    assert by_revision([pod(**status)])["aaa"].trouble == trouble


@pytest.mark.parametrize("report", ["no JSON", "[1]", "null", '"text"'])
def test_a_report_that_cannot_be_parsed_is_ignored(report: str) -> None:
    """Another image may write anything there."""
    assert by_revision([pod(True, report=report)]) == {"aaa": Workload(ready=1)}
