"""The Job controller and the kubelet of a simulated cluster, as far as Jobs that prepare models are concerned."""

from __future__ import annotations

import json
from collections.abc import Container
from datetime import datetime, timedelta
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from tests.unit.sluice_operator.fakes import FakeKube

REFUSED = {"refused": {"reason": "PickleNotTrusted", "message": "log it with skops"}}
UNAVAILABLE = {"unavailable": {"reason": "RegistryUnreachable", "message": "timed out"}}


class JobController:
    """Runs the pods of Jobs. `stored`: digests of the models in the store; `known`: of all that were ever there.

    `build`: which image the tag names now; another one makes other files of the same model.
    """

    def __init__(self, kube: FakeKube) -> None:
        self._kube = kube
        self.stored: set[str] = set()
        self.known: set[str] = set()
        self.build = ""
        self._made: dict[str, str] = {}  # digests, by the UID of a Job that is done

    def catch_up(
        self, now: datetime, *, registry_answers: bool, refused: Container[str], no_room: Container[str]
    ) -> None:
        """Each Job has a pod as it would be now; `refused` and `no_room` are versions of models."""
        jobs = [manifest for (kind, _), manifest in self._kube.objects.items() if kind == "Job"]
        for reference in [reference for reference in self._kube.objects if reference[0] == "Pod"]:
            del self._kube.objects[reference]
        for job in jobs:
            version = _environment(job)["SLUICE_MODEL_URI"].rpartition("/")[2]
            done = job.get("status", {}).get("completionTime")
            if done is None and version in no_room:
                self._pod(job, conditions=[{"type": "PodScheduled", "status": "False", "message": "no node"}])
            elif done is None and not registry_answers:
                self._pod(job, **_ended(UNAVAILABLE, 1))
            elif done is None and version in refused:
                self._pod(job, **_ended(REFUSED, 3))
            else:
                self._complete(job, f"sha256:{version}{self.build}", now)

    def fail(self) -> None:
        """All Jobs that are not done run out of their time."""
        for (kind, _), job in list(self._kube.objects.items()):
            if kind == "Job" and not job.get("status"):
                failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
                self._kube.put({**job, "status": {"conditions": [failed]}})

    def lose(self, version: str) -> None:
        """The store loses all that was made of a model version."""
        self.stored = {digest for digest in self.stored if not digest.startswith(f"sha256:{version}")}

    def can_start(self, deployment: Manifest) -> bool:
        """Whether its pods ask for a model that was prepared, or ask the registry."""
        return self._asks_for(deployment, self.known)

    def finds_model(self, deployment: Manifest) -> bool:
        """Whether a pod of it that starts now finds its model."""
        return self._asks_for(deployment, self.stored)

    def _asks_for(self, deployment: Manifest, digests: Container[str]) -> bool:
        if content := self.content(deployment):
            return content in digests
        return names.TRACKING_URI_KEY in _environment(deployment, "initContainers")

    def content(self, deployment: Manifest) -> str:
        """The digest that its pods ask the store for; empty if they ask the registry."""
        return _environment(deployment, "initContainers").get(names.DIGEST_KEY, "")

    def _complete(self, job: Manifest, digest: str, now: datetime) -> None:
        uid = job["metadata"]["uid"]
        if uid not in self._made:
            self._made[uid] = digest
            self.stored.add(digest)
            self.known.add(digest)
        finished = job.get("status", {}).get("completionTime") or now.isoformat()
        if now > datetime.fromisoformat(finished) + timedelta(seconds=job["spec"]["ttlSecondsAfterFinished"]):
            del self._kube.objects["Job", job["metadata"]["name"]]
            return
        if not job.get("status"):
            condition = {"type": "Complete", "status": "True"}
            self._kube.put({**job, "status": {"completionTime": finished, "conditions": [condition]}})
        self._pod(job, phase="Succeeded", **_ended({"digest": self._made[uid], "runtime": "skops"}, 0))

    def _pod(self, job: Manifest, **status: Any) -> None:
        template, name = job["spec"]["template"], job["metadata"]["name"]
        owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        metadata = {**template["metadata"], "name": f"{name}-x", "namespace": "models", "ownerReferences": [owner]}
        self._kube.put({"kind": "Pod", "metadata": metadata, "spec": {}, "status": status})


def _environment(workload: Manifest, containers: str = "containers") -> dict[str, str]:
    [container] = workload["spec"]["template"]["spec"][containers]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def _ended(report: Any, exit_code: int) -> dict[str, Any]:
    ended = {"exitCode": exit_code, "message": json.dumps(report)}
    return {"containerStatuses": [{"name": "prepare", "state": {"terminated": ended}}]}
