"""The faults of the matrix: how each begins and ends, and what it may cost."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from dev.demo.cluster import CLUSTER_SH, CommandError, process_of, processes_of
from dev.demo.models import Version
from dev.demo.status import Status
from tests.e2e.kills import Operator, kill_server
from tests.e2e.matrix import PHASES, Matrix
from tests.e2e.rollouts import NAMESPACE, Rollout

OUTAGE = 20.0  # seconds that a dependency is away
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a fault acts. `serves`: the version that each object served before its rollout, by phase."""

    matrix: Matrix
    operator: Operator
    serves: Mapping[str, Version]


Act = Callable[[Site], Awaitable[object]]


async def _nothing(site: Site) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Fault:
    """`costs`: the phases in which requests fail because of the fault itself, and for how many seconds after its end.

    `goes_back`: the phases whose rollouts end where they began. `in_ci`: it is tried in every run of all tests, the
    others by `make faults`.
    """

    name: str
    begin: Act
    end: Act = _nothing
    lasts: float = 0.0  # seconds
    costs: Mapping[str, float] = field(default_factory=dict)
    goes_back: Collection[str] = ()
    in_ci: bool = False


def _scaled(namespace: str, deployment: str, replicas: int) -> Act:
    async def act(site: Site) -> None:
        kubectl = site.matrix.place.kubectl
        await kubectl.text("-n", namespace, "scale", f"deployment/{deployment}", f"--replicas={replicas}")
        if replicas:
            await kubectl.text("-n", namespace, "rollout", "status", f"deployment/{deployment}", "--timeout=180s")

    return act


def _away(namespace: str, deployment: str) -> tuple[Act, Act]:
    return _scaled(namespace, deployment, 0), _scaled(namespace, deployment, 1)


def _hanging(namespace: str, labels: str) -> tuple[Act, Act]:
    """Its processes stop: they take connections and do not answer. Its files stay."""

    def send(number: signal.Signals) -> Act:
        async def act(site: Site) -> None:
            for pod in await site.matrix.place.kubectl.items("pods", "-n", namespace, "-l", labels):
                for container in pod["status"]["containerStatuses"]:
                    for process in processes_of(container["containerID"]):
                        os.kill(process, number)

        return act

    return send(signal.SIGSTOP), send(signal.SIGCONT)


def _refusing(namespace: str, service: str) -> tuple[Act, Act]:
    """Its Service selects no pod, and its open connections are ended. Its files stay."""

    def patch(operation: str) -> str:
        return f'[{{"op": "{operation}", "path": "/spec/selector/nobody", "value": "here"}}]'

    async def begin(site: Site) -> None:
        kubectl = site.matrix.place.kubectl
        await kubectl.text("-n", namespace, "patch", "service", service, "--type=json", "-p", patch("add"))
        for pod in await kubectl.items("pods", "-n", namespace, "-l", f"app={service}"):
            await kill_server(kubectl, namespace, pod["metadata"]["name"])

    async def end(site: Site) -> None:
        kubectl = site.matrix.place.kubectl
        await kubectl.text("-n", namespace, "patch", "service", service, "--type=json", "-p", patch("remove"))

    return begin, end


def _killed(program: str) -> tuple[Act, Act]:
    """A program of the node, which does not come back by itself."""

    async def kill(site: Site) -> None:
        process = await _cluster("node", "pidof", "-s", program)
        await _cluster("node", "kill", "-9", process.strip())

    async def start(site: Site) -> None:
        await _cluster("up")

    return kill, start


async def _cluster(*arguments: str) -> str:
    def run() -> str:
        return subprocess.run([CLUSTER_SH, *arguments], capture_output=True, text=True, check=True).stdout

    return await asyncio.to_thread(run)


def _for_each(rollouts: Callable[[Matrix], Iterable[Rollout]], *arguments: str) -> Act:
    """kubectl on an object of each rollout, whose name may stand in `arguments` as {name}."""

    async def act(site: Site) -> None:
        commands = [
            rollout.command(*(argument.replace("{name}", rollout.name) for argument in arguments))
            for rollout in rollouts(site.matrix)
        ]
        await asyncio.gather(*commands)

    return act


def _everybody(matrix: Matrix) -> list[Rollout]:
    return matrix.all


async def _weight_edited(site: Site) -> None:
    for rollout in site.matrix.all:
        route = f"{rollout.name}-canary"
        with suppress(CommandError):  # a rollback may have deleted it a moment ago
            if await rollout.get("ingress", route) is not None:
                await rollout.command("annotate", "ingress", route, f"{WEIGHT}=90", "--overwrite")


def _pods_of(role: Callable[[Status], object]) -> Act:
    """The pods of the revision that has this role are deleted, without waiting for anything."""

    async def act(site: Site) -> None:
        for rollout, revision in _in_role(site, role):
            labels = f"sluice.dev/model-deployment={rollout.name},sluice.dev/revision={revision}"
            gone = ("--force", "--grace-period=0", "--wait=false")
            await rollout.command("delete", "pods", "-l", labels, *gone)

    return act


def _servers_of(role: Callable[[Status], object]) -> Act:
    """The server of each pod of the revision that has this role is killed, as when the memory of the node is short."""

    async def act(site: Site) -> None:
        for rollout, revision in _in_role(site, role):
            for pod in await rollout.pod_documents(revision):
                for container in pod["status"].get("containerStatuses", ()):
                    if "running" in container["state"]:
                        os.kill(process_of(container["containerID"]), signal.SIGKILL)

    return act


def _in_role(site: Site, role: Callable[[Status], object]) -> list[tuple[Rollout, str]]:
    """The objects that have a revision in this role, with it."""
    found = [(rollout, getattr(role(rollout.status), "revision", None)) for rollout in site.matrix.all]
    return [(rollout, revision) for rollout, revision in found if revision is not None]


def _host(prefix: str) -> Act:
    """The host of each object is edited: `prefix` stands before the right one."""

    async def act(site: Site) -> None:
        for rollout in site.matrix.all:
            change = {"spec": {"traffic": {"ingress": {"host": f"{prefix}{rollout.host}"}}}}
            await rollout.command("patch", "modeldeployment", rollout.name, "--type=merge", "-p", json.dumps(change))

    return act


async def _foreign_ingress(site: Site) -> None:
    """Somebody else's Ingress of the same host, with a longer path: it takes the requests."""
    for rollout in site.matrix.all:
        backend = {"service": {"name": "nobody", "port": {"number": 80}}}
        path = {"path": "/predict", "pathType": "Exact", "backend": backend}
        await site.matrix.place.kubectl.apply(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"name": f"foreign-{rollout.name}", "namespace": NAMESPACE},
                "spec": {"rules": [{"host": rollout.host, "http": {"paths": [path]}}]},
            }
        )


async def _back(site: Site) -> None:
    for phase in ("Starting", "Stepping", "Watching"):
        await site.matrix.subjects[phase].rollout.follow(site.serves[phase])


async def _operator_killed(site: Site) -> None:
    await site.operator.kill()


async def _leader_stopped(site: Site) -> None:
    await site.operator.stop()


async def _leader_goes_on(site: Site) -> None:
    await site.operator.go_on()


async def _operator_upgraded(site: Site) -> None:
    await site.operator.replace()


ALL = dict.fromkeys(PHASES, 60.0)  # a pod that starts on a small machine, and a gateway that hears of it
OF_CANARY = {"Stepping": 15.0, "RollingBack": 5.0}  # until weight 0 is live, it gets requests
WIPE = ("patch", "modeldeployment", "{name}", "--subresource=status", "--type=merge", "-p", '{"status":null}')
FAULTS = (
    Fault("none", _nothing),
    Fault("operator killed", _operator_killed),
    Fault("operator replaced in mid-run", _operator_upgraded),
    Fault("leading operator stopped for 30 s, then two of them", _leader_stopped, _leader_goes_on, lasts=30.0),
    Fault("Prometheus away for 20 s", *_away("monitoring", "prometheus"), lasts=OUTAGE, in_ci=True),
    Fault("Prometheus hangs for 20 s", *_hanging("monitoring", "app=prometheus"), lasts=OUTAGE),
    Fault("MLflow away for 20 s", *_refusing("mlflow", "mlflow"), lasts=OUTAGE),
    Fault("MLflow hangs for 20 s", *_hanging("mlflow", "app=mlflow"), lasts=OUTAGE),
    Fault("API server killed", *_killed("kube-apiserver"), lasts=5.0),
    Fault("kubelet killed", *_killed("kubelet"), lasts=5.0),
    Fault("all pods of stable deleted", _pods_of(lambda now: now.stable), costs=ALL, goes_back=("Watching",)),
    Fault("all pods of the canary deleted", _pods_of(lambda now: now.canary), costs=OF_CANARY),
    Fault("servers of stable killed", _servers_of(lambda now: now.stable), costs=ALL, goes_back=("Watching",)),
    Fault("servers of the canary killed", _servers_of(lambda now: now.canary), costs=OF_CANARY),
    Fault("gateway away for 20 s", *_away("traefik", "traefik"), lasts=OUTAGE, costs=ALL),
    Fault("host edited and set back", _host("other-"), _host(""), lasts=5.0, costs=ALL),
    Fault(
        "foreign Ingress of the host for 20 s",
        _foreign_ingress,
        _for_each(_everybody, "delete", "ingress", "foreign-{name}"),
        lasts=OUTAGE,
        costs=ALL,
    ),
    Fault("weight edited", _weight_edited),
    Fault(
        "canary Ingress deleted",
        _for_each(_everybody, "delete", "ingress", "{name}-canary", "--ignore-not-found"),
    ),
    Fault("Service NAME deleted", _for_each(_everybody, "delete", "service", "{name}"), costs=ALL),
    Fault("status wiped", _for_each(_everybody, *WIPE)),
    Fault(
        "feedback Secret deleted",
        _for_each(_everybody, "delete", "secret", "{name}-feedback"),
        costs=dict.fromkeys(PHASES, 100.0),  # labels of the lost key, until all pods have the new one
    ),
    Fault("alias moved back", _back, goes_back=PHASES),
)
