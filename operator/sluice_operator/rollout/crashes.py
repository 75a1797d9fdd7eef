"""How often the model servers of a run failed, counted per pod. Pure.

Kubernetes knows only the number of restarts of a container and how it ended last. So each look adds what is new since
the look before; a pod keeps its count in status when it is gone, or when its node takes it down and up again.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from sluice_operator.api.observation import Crashes, ServerEnd, Workload
from sluice_operator.api.run import PodCrashes, Run

PODS_KEPT = 40  # of a run, the newest


def noted(run: Run, workloads: Mapping[str, Workload]) -> Run:
    """`run` with the ends that are new since its pods were seen before."""
    known = {entry.uid: entry for entry in run.crashes}
    compared = {run.canary.revision, *([run.stable.revision] if run.stable else [])}
    for revision in compared & workloads.keys():
        for end in workloads[revision].ends:
            if (entry := _entry(run, revision, end, known.get(end.uid))) is not None:
                known[end.uid] = entry
    kept = tuple(known.values())[-PODS_KEPT:]
    return run if kept == run.crashes else replace(run, crashes=kept)


def compared(run: Run) -> Crashes:
    """How many more times the canary failed than stable. Fewer count as none."""
    canary = [entry for entry in run.crashes if entry.revision == run.canary.revision]
    others = sum(entry.crashes for entry in run.crashes) - sum(entry.crashes for entry in canary)
    last = next((entry.last for entry in reversed(canary) if entry.last), "")
    return Crashes(max(0, sum(entry.crashes for entry in canary) - others), last)


def _entry(run: Run, revision: str, end: ServerEnd, before: PodCrashes | None) -> PodCrashes | None:
    """The count of one pod with this end; None if nothing ended in this run."""
    if before is None:
        new = _since_start(run, end)
        if not new:
            return None
        before = PodCrashes(end.uid, revision)
    else:
        new = end.restarts - before.restarts
    words = f"container server of pod {end.pod} ended with {end.failure}" if end.failure and new > 0 else before.last
    crashes = before.crashes + (max(0, new) if end.failure else 0)
    return replace(before, restarts=end.restarts, crashes=crashes, last=words)


def _since_start(run: Run, end: ServerEnd) -> int:
    """How many of the restarts of a pod, seen with restarts for the first time, belong to this run.

    All, if the pod is younger than the run. Of an older one only the last is dated.
    """
    began = run.started_at.replace(microsecond=0)  # as Kubernetes writes its times
    if end.pod_created is not None and end.pod_created >= began:
        return end.restarts
    return 1 if end.at is not None and end.at >= began else 0
