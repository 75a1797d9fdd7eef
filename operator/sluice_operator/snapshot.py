"""What the cluster holds of one ModelDeployment, read once, and what its pods say of themselves."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sluice_operator import names
from sluice_operator.kube import Kube, Manifest
from sluice_operator.observed import Refusal, Workload
from sluice_operator.status import Status

OWNED_KINDS = ("Deployment", "Service", "Ingress")
Reference = tuple[str, str]  # kind, name


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects as they were read, each with the resourceVersion that guards a write to it."""

    objects: dict[Reference, Manifest]
    foreign: tuple[str, ...]  # objects with our names that somebody else made
    has_feedback_key: bool


async def take(kube: Kube, namespace: str, name: str, uid: str, status: Status) -> Snapshot:
    """Read everything that the object owns, and everything that bears one of the names it needs."""
    found = [item for kind in OWNED_KINDS for item in await kube.find(kind, namespace, {names.LABEL_OWNER: name})]
    objects = {(item["kind"], item["metadata"]["name"]): item for item in found}
    for kind, needed in (*_fixed_names(name), *_workload_names(name, status)):
        if (kind, needed) not in objects and (other := await kube.get(kind, namespace, needed)) is not None:
            objects[kind, needed] = {**other, "kind": kind}
    foreign = tuple(f"{kind} {bears}" for (kind, bears), item in objects.items() if not is_owned(item, uid))
    has_key = ("Secret", names.feedback_secret(name)) in objects
    return Snapshot(objects, foreign, has_key)


def _fixed_names(name: str) -> tuple[Reference, ...]:
    return (
        ("Service", name),
        ("Service", names.metrics_service(name)),
        ("Ingress", name),
        ("Ingress", names.canary_ingress(name)),
        ("Secret", names.feedback_secret(name)),
    )


def _workload_names(name: str, status: Status) -> list[Reference]:
    revisions = [one for one in (status.stable, status.canary, status.previous) if one]
    return [(kind, names.workload(name, one.revision)) for one in revisions for kind in ("Deployment", "Service")]


def is_owned(item: Manifest, uid: str) -> bool:
    """Whether the ModelDeployment with this uid controls `item`."""
    owners = item["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)


def workloads(pods: Iterable[Manifest]) -> dict[str, Workload]:
    """The pods by revision."""
    grouped: dict[str, list[Manifest]] = {}
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp") is None:
            grouped.setdefault(pod["metadata"]["labels"].get(names.LABEL_REVISION, ""), []).append(pod)
    return {revision: _workload(group) for revision, group in grouped.items()}


def _workload(pods: list[Manifest]) -> Workload:
    reports = [report for pod in pods if (report := _fetch_report(pod))]
    prepared = next((report for report in reports if "digest" in report), {})
    refused = next((report["refused"] for report in reports if "refused" in report), None)
    servers = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
    return Workload(
        ready=sum(_is_ready(pod) for pod in pods),
        restarts=sum(status.get("restartCount", 0) for status in servers),
        digest=prepared.get("digest", ""),
        runtime=prepared.get("runtime", ""),
        refusal=Refusal(refused["reason"], refused["message"]) if refused else None,
        trouble=next((words for pod in pods if (words := _trouble(pod))), ""),
        registry_lost=any("unavailable" in report for report in reports),
    )


def _is_ready(pod: Manifest) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def _fetch_report(pod: Manifest) -> Manifest:
    """What the fetch container wrote into its termination message, now or before its last restart."""
    for status in pod["status"].get("initContainerStatuses", ()):
        for state in (status.get("state", {}), status.get("lastState", {})):
            try:
                report = json.loads(state.get("terminated", {}).get("message", ""))
            except ValueError:
                continue
            if isinstance(report, dict):
                return report
    return {}


def _trouble(pod: Manifest) -> str:
    """Why the pod is not ready, in words for a person; empty when it is, or when it is just starting."""
    if _is_ready(pod):
        return ""
    status, name = pod["status"], pod["metadata"]["name"]
    unavailable = _fetch_report(pod).get("unavailable")
    if unavailable:
        return f"pod {name}: {unavailable['message']}"
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if words := _container_trouble(container):
            return f"pod {name}, container {container['name']}: {words}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {name} is not scheduled: {condition.get('message', '')}"
    return ""


def _container_trouble(container: Manifest) -> str:
    """Why it does not run, or how it ended before it was started again; empty when all is well so far."""
    state = container.get("state", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    last = f"last exit code {ended['exitCode']} ({ended.get('reason', '')})" if ended.get("exitCode") else ""
    waiting = state.get("waiting", {})
    if waiting.get("reason", "PodInitializing") in ("PodInitializing", "ContainerCreating"):
        return last
    words = f"{waiting['reason']}: {waiting.get('message') or 'no message'}"
    return f"{words}, {last}" if last else words
