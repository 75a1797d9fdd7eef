"""What the pods of each revision say of themselves: how many are ready, and why the others are not. Pure."""

import json
from collections.abc import Iterable

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, Workload
from sluice_operator.api.owner import Manifest


def by_revision(pods: Iterable[Manifest]) -> dict[str, Workload]:
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
