"""The three versions of the demo's model: one Job in the cluster trains them. Also their aliases in MLflow."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from dev.demo.cluster import CommandError, Kubectl
from dev.demo.tasks import first_answer

NAME = "iris"
NAMESPACE = "models"
JOB = "train-iris"
IMAGE = "registry.local/sluice-trainer:dev"
TRAINING_LIMIT = 300  # seconds for all versions together


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version, and how many rows of the hold-out it predicted correctly."""

    version: str
    uri: str
    correct: int
    total: int


@dataclass(frozen=True, slots=True)
class Versions:
    first: Version
    better: Version
    bad: Version


FLAGS: Mapping[str, Sequence[str]] = {
    "first": ["--max-depth", "2", "--trees", "5"],  # accuracy 0.96 on all iris rows
    "better": ["--trees", "20"],  # 0.99; more trees would only take more time
    "bad": ["--trees", "20", "--label-noise", "0.6"],  # 0.39
}


def training_job(job: str = JOB, flags: Mapping[str, Sequence[str]] = FLAGS) -> dict[str, Any]:
    """A Job with one pod that trains the versions one after the other, so that their numbers are in this order."""
    *before, last = [_container(role, arguments) for role, arguments in flags.items()]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job, "namespace": NAMESPACE},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": TRAINING_LIMIT,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "initContainers": before,
                    "containers": [last],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }
            },
        },
    }


def _container(role: str, flags: Sequence[str]) -> dict[str, Any]:
    return {
        "name": role,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["train", "--name", NAME, "--json", *flags],
        "env": [
            {"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow.mlflow.svc:5000"},
            {"name": "HOME", "value": "/tmp"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


async def train(kubectl: Kubectl) -> Versions:
    """Train the three versions. Raises CommandError."""
    return Versions(**await trained(kubectl, JOB, FLAGS))


async def trained(kubectl: Kubectl, job: str, flags: Mapping[str, Sequence[str]]) -> dict[str, Version]:
    """Run the Job to its end, and read from its logs which versions it registered, by role. Raises CommandError."""
    await kubectl.text("-n", NAMESPACE, "delete", "job", job, "--ignore-not-found", "--wait")
    await kubectl.apply(training_job(job, flags))

    async def ending() -> str | None:
        return ending_of(json.loads(await kubectl.text("-n", NAMESPACE, "get", "job", job, "-o", "json")))

    result = await first_answer(ending)
    logs = {role: await kubectl.text("-n", NAMESPACE, "logs", f"job/{job}", "-c", role) for role in flags}
    if result != "Complete":
        raise CommandError(f"job {job} in namespace {NAMESPACE} failed; its logs:\n" + "".join(logs.values()))
    return {role: registered(log) for role, log in logs.items()}


def ending_of(job: dict[str, Any]) -> str | None:
    """Complete or Failed; None while the Job runs. It cannot run longer than TRAINING_LIMIT."""
    conditions = job.get("status", {}).get("conditions", [])
    kinds = (condition["type"] for condition in conditions)
    return next((kind for kind in kinds if kind in {"Complete", "Failed"}), None)


def registered(log: str) -> Version:
    """The version in the last JSON line of the trainer's log. The lines before it show progress."""
    result = json.loads([line for line in log.splitlines() if line.startswith("{")][-1])
    metrics = result["metrics"]
    return Version(result["version"], result["uri"], int(metrics["correct"]), int(metrics["total"]))


class Aliases:
    """The aliases of the registered model `name`, over MLflow's REST interface."""

    def __init__(self, mlflow: str, name: str = NAME, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._name = name
        self._url = f"{mlflow}/api/2.0/mlflow/registered-models/alias"
        self._transport = transport

    async def set(self, alias: str, version: str) -> None:
        await self._ask("POST", json={"name": self._name, "alias": alias, "version": version})

    async def remove(self, alias: str) -> None:
        """Remove the alias, if it exists."""
        await self._ask("DELETE", absent_is_fine=True, json={"name": self._name, "alias": alias})

    async def get(self, alias: str) -> str | None:
        answer = await self._ask("GET", absent_is_fine=True, params={"name": self._name, "alias": alias})
        return None if answer.is_error else str(answer.json()["model_version"]["version"])

    async def _ask(self, method: str, *, absent_is_fine: bool = False, **content: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, timeout=10.0, trust_env=False) as client:
            answer = await client.request(method, self._url, **content)
        if answer.is_error and not (absent_is_fine and answer.status_code in {400, 404}):  # MLflow uses both for absent
            raise CommandError(f"MLflow answered {answer.status_code} to {method} alias: {answer.text[:200]}")
        return answer
