"""What the status of an operator's Deployment says of its pods, and of an upgrade that is under way or stuck. Pure."""

from collections.abc import Iterator
from typing import Any

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.installation.outcome import FAIL, OK

_DONE = "NewReplicaSetAvailable"  # reason of Progressing once an upgrade has come to its end


def lines(deployment: dict[str, Any]) -> Iterator[str]:
    """How many are ready; and of an upgrade, as the Deployment's own deadline judges it, what becomes of it."""
    metadata, wanted, status = deployment["metadata"], deployment["spec"]["replicas"], deployment.get("status", {})
    name, namespace = metadata["name"], metadata["namespace"]
    why = f"kubectl describe pods -n {namespace}, and kubectl logs deployment/{name} -n {namespace}, say why"
    ready = status.get("readyReplicas", 0)
    progress = _progress(status)
    stuck = progress.get("status") == "False"
    if not ready:
        yield f"{FAIL}  no pod of Deployment {name} is ready: {why}"
        return
    yield f"{OK}  {ready} of {wanted} pods of Deployment {name} are ready"
    if stuck:
        says = in_one_line(str(progress.get("message", "")))
        yield f"{FAIL}  an upgrade of Deployment {name} does not end, and the version before works ({says}): {why}"
    elif _goes_on(deployment, progress):
        yield f"{OK}  an upgrade of Deployment {name} is under way: ask again when it is over. If it stays so, {why}"


def _progress(status: dict[str, Any]) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = status.get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == "Progressing"), {})


def _goes_on(deployment: dict[str, Any], progress: dict[str, Any]) -> bool:
    """Its newest spec has not been looked at yet, or pods of it are still to come, or older ones to go."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    updated, generation = status.get("updatedReplicas", 0), deployment["metadata"].get("generation", 0)
    return bool(
        progress.get("reason", _DONE) != _DONE
        or status.get("observedGeneration", generation) < generation
        or updated < wanted
        or status.get("replicas", updated) > updated
    )
