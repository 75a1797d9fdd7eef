"""A summary of the pods of each revision: how many are ready, and why the others are not. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sluice_operator.api import names
from sluice_operator.api.observation import NO_DEPLOYMENT, Refusal, ServerEnd, Workload
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes import fetch_report, pod_trouble
from sluice_operator.kubernetes.field_managers import editor_of
from sluice_operator.kubernetes.pod_trouble import FETCH, SERVER, Trouble

# How Kubernetes calls the end of a container that it has not seen end: the node, or its container runtime, went down.
_UNSEEN = ("Unknown", "ContainerStatusUnknown")


def by_revision(pods: Iterable[Manifest], objects: Iterable[Manifest] = ()) -> dict[str, Workload]:
    """One Workload per revision that has pods that serve, or a Deployment among `objects`.

    A pod that is being deleted does not count, but for the model that it may still have.
    """
    grouped: dict[str, list[Manifest]] = {}
    leaving: dict[str, list[Manifest]] = {}
    deployments: dict[str, Manifest] = {}
    for deployment in objects:
        revision = deployment["metadata"].get("labels", {}).get(names.LABEL_REVISION)
        if deployment["kind"] == "Deployment" and revision:
            deployments[revision], grouped[revision] = deployment, []
    for pod in pods:
        stays = pod["metadata"].get("deletionTimestamp") is None
        revision = pod["metadata"]["labels"].get(names.LABEL_REVISION, "")
        (grouped if stays else leaving).setdefault(revision, []).append(pod)
    found = {revision: workload(group, deployments.get(revision)) for revision, group in grouped.items()}
    for revision, group in leaving.items():
        if with_model := sum(map(_has_model, group)):
            found[revision] = replace(found.get(revision, NO_DEPLOYMENT), leaving=with_model)
    return found


def workload(pods: list[Manifest], deployment: Manifest | None = None) -> Workload:
    """The summary of some pods, and of the Deployment that makes them."""
    reports = [fetch_report.of_pod(pod) for pod in pods]
    fetched = next((report for report in reports if report.digest), fetch_report.FetchReport())
    stored = _digest_to_fetch(deployment) if deployment else ""
    trouble = _worst([*_of_deployment(deployment, pods), *filter(None, map(pod_trouble.of_pod, pods))])
    return Workload(
        ready=sum(map(pod_trouble.is_ready, pods)),
        pods=len(pods),
        scaled_to=_scaled_to(deployment),
        edited_by=editor_of(deployment, "spec", "template", "spec") if deployment else "",
        ends=tuple(end for pod in pods for end in _server_ends(pod)),
        digest=stored or fetched.digest,
        runtime=fetched.runtime,
        from_store=bool(stored) if deployment else None,
        refusal=next((report.refusal for report in reports if report.refusal), None),
        trouble="" if trouble is None or trouble.usual else trouble.message,
        under_way=next(filter(None, map(pod_trouble.under_way, pods)), ""),
        obstacle=Refusal(trouble.obstacle, trouble.message) if trouble and trouble.obstacle else None,
        unavailable=next((report.unavailable.reason for report in reports if report.unavailable), ""),
        with_model=sum(map(_has_model, pods)),
    )


def _has_model(pod: Manifest) -> bool:
    """Whether it has fetched the model, and not only before its node started it anew, or before it was evicted."""
    status = pod["status"]
    if status.get("phase") in ("Failed", "Succeeded"):
        return False
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    states = {container["name"]: container.get("state", {}) for container in containers}
    fetched = states.get(FETCH, {}).get("terminated")
    return "running" in states.get(SERVER, {}) or (fetched is not None and fetched.get("exitCode") == 0)


def _digest_to_fetch(deployment: Manifest) -> str:
    """The digest of the model that its pods fetch from the store; empty if they fetch from the registry."""
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("initContainers", ())
    variables = (entry for container in containers if container["name"] == FETCH for entry in container.get("env", ()))
    return next((entry.get("value", "") for entry in variables if entry["name"] == names.DIGEST_KEY), "")


def _scaled_to(deployment: Manifest | None) -> int:
    if deployment is None or not editor_of(deployment, "spec", "replicas"):
        return 0
    return int(deployment["spec"].get("replicas", 1))


def _worst(troubles: list[Trouble]) -> Trouble | None:
    """The one to tell: what may be the model's first, then what is not usual for a start."""
    return min(troubles, key=lambda trouble: (bool(trouble.obstacle), trouble.usual), default=None)


def _of_deployment(deployment: Manifest | None, pods: list[Manifest]) -> list[Trouble]:
    """Why pods are not even created: the Deployment has the answer of the API server from its ReplicaSet."""
    if deployment is None or not deployment["spec"].get("replicas"):
        return []
    name = deployment["metadata"]["name"]
    for condition in deployment.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            why = condition.get("message", "")
            reason = "QuotaExceeded" if "exceeded quota" in why else "PodsRefused"
            return [Trouble(f"pods of Deployment {name} are refused: {why}", reason)]
    if pods:
        return []
    message = f"Deployment {name} has no pods yet; if it stays so, look at kube-controller-manager"
    return [Trouble(message, "PodsNotCreated", usual=True)]


def _server_ends(pod: Manifest) -> list[ServerEnd]:
    """How the model server of this pod ended before its last restart. Injected containers are not the model's."""
    metadata = pod["metadata"]
    return [
        ServerEnd(
            pod=metadata["name"],
            uid=metadata.get("uid", ""),
            pod_created=_time(metadata.get("creationTimestamp")),
            restarts=container["restartCount"],
            at=_time(ended.get("finishedAt")),
            failure=_failure(pod, ended),
        )
        for container in pod["status"].get("containerStatuses", ())
        if container["name"] == SERVER and container.get("restartCount")
        for ended in [container.get("lastState", {}).get("terminated") or container["state"].get("terminated") or {}]
    ]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _failure(pod: Manifest, ended: Manifest) -> str:
    """How the process failed, in words; empty if the node went down under it.

    Then the whole pod starts anew, and `fetch` runs again. After a crash it does not.
    """
    if not ended or ended.get("reason") in _UNSEEN:
        return ""
    for container in pod["status"].get("initContainerStatuses", ()):
        if container["name"] == FETCH:
            states = container.get("state", {})
            began = (states.get("terminated") or states.get("running") or {}).get("startedAt") or ""
            if began > (ended.get("finishedAt") or began):
                return ""
    return pod_trouble.ended_with(ended)
