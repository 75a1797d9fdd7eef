"""Pods and Deployments as the API server returns them, for tests."""

from __future__ import annotations

import json
from typing import Any

from sluice_operator.api import names


def pod(ready: bool = False, revision: str = "aaa", report: Any = None, **status: Any) -> dict[str, Any]:
    """A pod of `revision`; `report` is what its fetch container wrote before it ended well."""
    message = report if isinstance(report, str) else json.dumps(report)
    fetch = {"name": "fetch", "state": {"terminated": {"exitCode": 0, "message": message}}} if report else None
    return {
        "metadata": {
            "namespace": "models",
            "name": f"iris-{revision}-x",
            "uid": "u1",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            "labels": {names.LABEL_REVISION: revision},
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **({"initContainerStatuses": [fetch]} if fetch else {}),
            **status,
        },
    }


def server(restarts: int = 0, **state: Any) -> dict[str, Any]:
    """The part of a pod's status that shows its model server."""
    shown = state if "state" in state else {"state": {"running": {}}, **state}
    return {"containerStatuses": [{"name": "server", "restartCount": restarts, **shown}]}


def failed_fetch(message: str, exit_code: int = 3) -> dict[str, Any]:
    """The part of a pod's status that shows a fetch between two tries."""
    fetch = {
        "name": "fetch",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error", "message": message}},
    }
    return {"initContainerStatuses": [fetch], **server(state={"waiting": {"reason": "PodInitializing"}})}


def deployment(revision: str = "aaa", replicas: int = 2, failure: str = "") -> dict[str, Any]:
    """`failure`: what the API server answered when its ReplicaSet created pods."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure}
    return {
        "kind": "Deployment",
        "metadata": {"name": f"iris-{revision}", "labels": {names.LABEL_REVISION: revision}},
        "spec": {"replicas": replicas},
        "status": {"conditions": [condition] if failure else []},
    }
