"""Why a pod is not ready: a sentence for people, and whether the cluster or the spec keeps it from running. Pure.

Only what a pod's own model does may count against that model. A pod without room, image or volume never ran it.
"""

from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes import fetch_report

FETCH, PREPARE, SERVER = "fetch", "prepare", "server"
_OF_THE_MODEL = (FETCH, PREPARE, SERVER)  # the containers that read the model's own files
_MISSING = {FETCH: "has not fetched the model yet", PREPARE: "has not prepared the model yet"}
_STARTING = ("PodInitializing", "ContainerCreating")
_IMAGE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_NOT_CREATED = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_BY_NODE = ("OutOf", "Node", "Unexpected", "Preempt", "Shutdown", "Terminated")  # how a node refuses or ends a pod


@dataclass(frozen=True, slots=True)
class Trouble:
    """`obstacle`: one word for what keeps the pod from running that is not the model's. Empty: it may be the model's.

    `usual`: each pod has this for a moment when it starts. It is told only when it lasts.
    """

    message: str
    obstacle: str = ""
    usual: bool = False


def of_pod(pod: Manifest) -> Trouble | None:
    """None if the pod is ready, or runs and is not ready yet."""
    if is_ready(pod):
        return None
    if pod["status"].get("phase") == "Failed":
        return _ended_by_node(pod)
    return _not_scheduled(pod) or _of_containers(pod) or _not_started(pod)


def under_way(pod: Manifest) -> str:
    """What a pod without any trouble does before it is ready, as a sentence for people. Empty: nothing is known."""
    if is_ready(pod) or of_pod(pod) is not None:
        return ""
    running = next((each for each in containers(pod) if "running" in each.get("state", {})), None)
    if running is None:
        return ""
    since = running["state"]["running"].get("startedAt", "its start")
    missing = _MISSING.get(running["name"], "is not ready yet")
    return f"container {running['name']} of pod {pod['metadata']['name']} runs since {since}, and {missing}"


def is_ready(pod: Manifest) -> bool:
    """Whether the pod may get requests. One that prepares a model never may, though Kubernetes calls it ready."""
    prepares = names.LABEL_PREPARES in pod["metadata"].get("labels", {})
    return not prepares and _condition(pod, "Ready").get("status") == "True"


def ended_with(ended: Manifest) -> str:
    """How a container ended: its exit code, and the word that Kubernetes has for it."""
    words = f"exit code {ended['exitCode']}"
    return f"{words} ({ended['reason']})" if ended.get("reason") else words


def containers(pod: Manifest) -> list[Manifest]:
    """The states of all containers, those that run first in front."""
    status = pod["status"]
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _condition(pod: Manifest, kind: str) -> Manifest:
    found: Manifest = next((each for each in pod["status"].get("conditions", ()) if each["type"] == kind), {})
    return found


def _ended_by_node(pod: Manifest) -> Trouble:
    """Evictions by the node are the node's; one for the use of more than its own limit is the pod's."""
    status = pod["status"]
    reason, why = status.get("reason", "Failed"), status.get("message", "no message")
    by_node = reason.startswith(_BY_NODE) or (reason == "Evicted" and why.startswith("The node "))
    message = f"pod {pod['metadata']['name']} was ended by its node: {reason}: {why}"
    return Trouble(message, "NodePressure" if by_node else "")


def _not_scheduled(pod: Manifest) -> Trouble | None:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return None
    message = f"pod {pod['metadata']['name']} is not scheduled: {scheduled.get('message', '')}"
    return Trouble(message, "NoCapacity")


def _of_containers(pod: Manifest) -> Trouble | None:
    """The first container that does not run. If the model's own have no trouble, an injected one may have."""
    name, unavailable = pod["metadata"]["name"], fetch_report.of_pod(pod).unavailable
    if unavailable:
        return Trouble(f"pod {name}: {unavailable.message}")
    for container in sorted(containers(pod), key=lambda each: each["name"] not in _OF_THE_MODEL):
        if found := _of_container(pod, container):
            return Trouble(f"pod {name}, container {container['name']}: {found.message}", found.obstacle)
    return None


def _of_container(pod: Manifest, container: Manifest) -> Trouble | None:
    """Why the container does not run, or how it ended before its last restart."""
    state = container.get("state", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    last = f"last {ended_with(ended)}" if ended.get("exitCode") else ""
    said = fetch_report.of_pod(pod).sentence if container["name"] in fetch_report.REPORTING else ""
    injected = "" if container["name"] in _OF_THE_MODEL else "SidecarNotReady"
    waiting = state.get("waiting", {})
    reason = waiting.get("reason", _STARTING[0])
    if reason in _STARTING or (said and last):
        words = ", ".join(word for word in (said, last) if word)
        return Trouble(words, injected) if last else None
    message = f"{reason}: {waiting.get('message') or 'no message'}"
    if reason in _IMAGE:
        return Trouble(message, "ImageUnavailable")
    if reason in _NOT_CREATED:
        return Trouble(message, "ContainerNotCreated")
    return Trouble(f"{message}, {last}" if last else message, injected)


def _not_started(pod: Manifest) -> Trouble | None:
    """Scheduled, but no container was ever created: a volume, a network plugin, or the node itself."""
    states = [container.get("state", {}) for container in containers(pod)]
    if any("waiting" not in state for state in states):
        return None
    name, node = pod["metadata"]["name"], pod.get("spec", {}).get("nodeName") or "none yet"
    tells = f"kubectl describe pod {name} -n {pod['metadata']['namespace']} says what it waits for"
    message = f"pod {name} (node: {node}) has no containers yet: {tells}"
    return Trouble(message, "PodNotStarted", usual=True)
