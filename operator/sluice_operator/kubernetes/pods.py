"""A summary of the pods of each revision: how many are ready, and why the others are not. Pure."""

import json
from collections.abc import Iterable

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, Workload
from sluice_operator.api.owner import Manifest


def by_revision(pods: Iterable[Manifest]) -> dict[str, Workload]:
    """One Workload per revision that has pods. A pod that is being deleted does not count."""
    grouped: dict[str, list[Manifest]] = {}
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp") is None:
            grouped.setdefault(pod["metadata"]["labels"].get(names.LABEL_REVISION, ""), []).append(pod)
    return {revision: _workload(group) for revision, group in grouped.items()}


def _workload(pods: list[Manifest]) -> Workload:
    reports = [report for pod in pods if (report := _fetch_report(pod))]
    fetched = next((report for report in reports if "digest" in report), {})
    refused = next((report["refused"] for report in reports if "refused" in report), None)
    servers = [container for pod in pods for container in pod["status"].get("containerStatuses", ())]
    return Workload(
        ready=sum(_is_ready(pod) for pod in pods),
        restarts=sum(server.get("restartCount", 0) for server in servers),
        digest=fetched.get("digest", ""),
        runtime=fetched.get("runtime", ""),
        refusal=Refusal(refused["reason"], refused["message"]) if refused else None,
        trouble=next((trouble for pod in pods if (trouble := _trouble(pod))), ""),
        registry_unreachable=any("unavailable" in report for report in reports),
    )


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _fetch_report(pod: Manifest) -> Manifest:
    """The JSON that the fetch container wrote into its termination message, now or before its last restart."""
    for container in pod["status"].get("initContainerStatuses", ()):
        for state in (container.get("state", {}), container.get("lastState", {})):
            try:
                report = json.loads(state.get("terminated", {}).get("message", ""))
            except ValueError:
                continue
            if isinstance(report, dict):
                return report
    return {}


def _trouble(pod: Manifest) -> str:
    """Why the pod is not ready, as a sentence for people. Empty if it is ready, or only starting."""
    if _is_ready(pod):
        return ""
    status, name = pod["status"], pod["metadata"]["name"]
    unavailable = _fetch_report(pod).get("unavailable")
    if unavailable:
        return f"pod {name}: {unavailable['message']}"
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if trouble := _container_trouble(container):
            return f"pod {name}, container {container['name']}: {trouble}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {name} is not scheduled: {condition.get('message', '')}"
    return ""


def _container_trouble(container: Manifest) -> str:
    """Why the container does not run, or how it ended before its last restart. Empty if neither is known."""
    state = container.get("state", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    last_exit = f"last exit code {ended['exitCode']} ({ended.get('reason', '')})" if ended.get("exitCode") else ""
    waiting = state.get("waiting", {})
    if waiting.get("reason", "PodInitializing") in ("PodInitializing", "ContainerCreating"):
        return last_exit
    reason = f"{waiting['reason']}: {waiting.get('message') or 'no message'}"
    return f"{reason}, {last_exit}" if last_exit else reason
