"""A summary of the Job that prepares a model: in the words for pods that fetch one themselves. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal, Workload
from sluice_operator.api.owner import Manifest, is_owned
from sluice_operator.kubernetes import pods

_LOST = "ResultLost"


def by_revision(found: Iterable[Manifest], objects: Iterable[Manifest], run: str) -> dict[str, Workload]:
    """The Workload of the revision that a Job among `objects` prepares for the run `run`, if there is one.

    Its newest pod counts: there is one at a time.
    """
    for job in objects:
        labels = job["metadata"].get("labels", {})
        if job["kind"] == "Job" and labels.get(names.LABEL_RUN) == run:
            own = [pod for pod in found if _is_of(pod, job)]
            newest = max(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)
            return {labels.get(names.LABEL_REVISION, ""): _workload(job, newest)}
    return {}


def failure(job: Manifest) -> str:
    """Why a Job that is still asked for gives no result any more, such as `DeadlineExceeded`; empty if it may.

    One that is complete has lost it: its pod was deleted, or its report cannot be read.
    """
    if failed := _condition(job, "Failed"):
        return str(failed.get("reason") or "Failed")
    return _LOST if _condition(job, "Complete") else ""


def _workload(job: Manifest, pod: Manifest | None) -> Workload:
    found = _without_pod(job) if pod is None else replace(pods.workload([pod]), pods=0)  # it is none that serves
    if found.digest or not _condition(job, "Complete"):
        return found
    says = f"Job {job['metadata']['name']} is complete, and no pod of it says with which digest: it is made anew"
    return replace(found, obstacle=Refusal(_LOST, says))


def _without_pod(job: Manifest) -> Workload:
    """Why there is none, only the Events of the Job say: a quota, a policy, or a cluster that is busy."""
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    says = f"Job {name} has no pod yet; if it stays so, kubectl describe job {name} -n {namespace} says why"
    return Workload(obstacle=Refusal("PodsNotCreated", says))


def _is_of(pod: Manifest, job: Manifest) -> bool:
    return is_owned(pod, job["metadata"]["uid"]) and pod["metadata"].get("deletionTimestamp") is None


def _condition(job: Manifest, kind: str) -> Manifest:
    conditions = job.get("status", {}).get("conditions") or ()
    found: Manifest = next((each for each in conditions if each["type"] == kind and each["status"] == "True"), {})
    return found
