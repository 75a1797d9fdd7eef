"""The ModelDeployments of the benchmark, and what is seen of them: phases, verdicts and weights, with their times."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dev.bench.fleet.api import Api, Manifest
from sluice_operator.api import names

Key = tuple[str, str]  # namespace and name
LEASE_NAMESPACE = "sluice-system"
_PER_NAMESPACE = 50
_WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def key_of(number: int) -> Key:
    return f"team-{number // _PER_NAMESPACE}", f"model-{number}"


def host_of(name: str) -> str:
    return f"{name}.example.com"


def manifest(key: Key, registry: str = "") -> Manifest:
    """A ModelDeployment that follows an alias. Its first step does not end while the benchmark runs."""
    namespace, name = key
    model: dict[str, Any] = {"uri": f"models:/{name}@champion"}
    if registry:
        model["registry"] = {"trackingURI": registry}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": model,
            "server": {"replicas": 1},
            "traffic": {"ingress": {"host": host_of(name)}},
            "rollout": {"canary": {"steps": [{"weight": 10, "minRequests": 1_000_000, "minDuration": "4h"}]}},
            "objectives": [
                {"name": "errors", "errorRate": {"max": "5%", "maxRatio": "2"}},
                {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms", "maxRatio": "1.5"}},
            ],
        },
    }


async def create(api: Api, keys: list[Key], hanging: str) -> None:
    """Create the ModelDeployments; the last one has the registry at `hanging`."""
    for namespace in sorted({LEASE_NAMESPACE, *(namespace for namespace, _ in keys)}):
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    manifests = [manifest(key, hanging if key == keys[-1] else "") for key in keys]
    await asyncio.gather(*map(api.create, manifests))
    await api.patch(names.KIND, *keys[-1], {"spec": {"model": manifests[-1]["spec"]["model"]}})


@dataclass
class Seen:
    """What the watch has seen of one ModelDeployment. Times are unix seconds.

    `judged`: the time at which the verdict first had a number of canary requests.
    """

    status: Manifest = field(default_factory=dict)
    judged: list[tuple[float, int]] = field(default_factory=list)
    weights: list[tuple[float, int]] = field(default_factory=list)

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def weight(self) -> int | None:
        return self.weights[-1][1] if self.weights else None

    @property
    def is_judged(self) -> bool:
        return self.phase == "Stepping" and bool(self.judged)


class Fleet:
    """Everything that was seen since the start."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.seen: dict[Key, Seen] = {}

    async def follow(self) -> None:
        async for _, body in self._api.watched(names.KIND):
            seen = self._of(body["metadata"]["namespace"], body["metadata"]["name"])
            seen.status = body.get("status") or {}
            objectives = (seen.status.get("verdict") or {}).get("objectives") or ()
            requests = max((objective.get("requests", 0) for objective in objectives), default=0)
            if requests and (not seen.judged or seen.judged[-1][1] != requests):
                seen.judged.append((time.time(), requests))

    async def follow_weights(self) -> None:
        async for change, ingress in self._api.watched("Ingress"):
            weight = (ingress["metadata"].get("annotations") or {}).get(_WEIGHT)
            if weight is not None:
                name = ingress["metadata"]["labels"][names.LABEL_OWNER]
                written = 0 if change == "DELETED" else int(weight)
                self._of(ingress["metadata"]["namespace"], name).weights.append((time.time(), written))

    def in_phase(self, phase: str) -> int:
        return sum(seen.phase == phase for seen in self.seen.values())

    def _of(self, namespace: str, name: str) -> Seen:
        return self.seen.setdefault((namespace, name), Seen())


def traffic_started(seen: Seen) -> float:
    """When the first traffic of its run began, in unix seconds."""
    return datetime.fromisoformat(seen.status["run"]["trafficStartedAt"]).timestamp()
