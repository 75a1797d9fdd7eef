"""Runs a check in a pod of one Deployment of the operator, and takes its exit code as seriously as its lines."""

from collections.abc import Iterator
from typing import Any

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.cli import cluster
from sluice_operator.cli.cluster import CommandError
from sluice_operator.installation.outcome import FAIL

_FOUND = (1, 2)  # exit codes of a check that has found something, or cannot use the settings, and has said so
_LONGEST = 500  # characters of a message of kubectl


def says(deployment: dict[str, Any], *command: str) -> Iterator[str]:
    """What the command prints, and a line with what kept it from its end. Nothing is raised."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    try:
        pod = _ready_pod(deployment)
        done = cluster.run_in(namespace, pod, *command)
    except CommandError as error:
        yield f"{FAIL}  {name}: {in_one_line(str(error), _LONGEST)}"
        return
    lines = done.stdout.splitlines()
    yield from lines
    failed = any(line.startswith(FAIL) for line in lines)
    if done.returncode and not (failed and done.returncode in _FOUND):
        why = in_one_line(done.stderr.strip().rpartition("\n")[2] or "it printed nothing more", _LONGEST)
        yield f"{FAIL}  {' '.join(command)} in pod {pod} did not come to its end (exit code {done.returncode}): {why}"


def _ready_pod(deployment: dict[str, Any]) -> str:
    """The newest ready pod of this very Deployment. Raises CommandError.

    The pods of a second install in the namespace may have the labels of the first one. They are made by another
    ReplicaSet, whose name is that of its Deployment and a hash.
    """
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    labels = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
    pods = [pod for pod in cluster.found_by_label("pods", labels, namespace) if _is_of(name, pod) and _is_ready(pod)]
    if not pods:
        raise CommandError(f"none of its pods is ready any more: kubectl get pods -n {namespace} shows them")
    newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return str(newest["metadata"]["name"])


def _is_of(deployment: str, pod: dict[str, Any]) -> bool:
    replica_set = f"{deployment}-{pod['metadata'].get('labels', {}).get('pod-template-hash', '')}"
    return any(owner["name"] == replica_set for owner in pod["metadata"].get("ownerReferences", ()))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any((condition["type"], condition["status"]) == ("Ready", "True") for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
