"""Stands in for the gateway and the model servers behind it: it answers by host, canary header and canary weight.

It learns Services and Ingresses from a watch, as a gateway does. It leaves out the delay of a real gateway.
"""

import random
from dataclasses import dataclass, field

from aiohttp import web

from dev.bench.fleet.api import Api, Manifest
from dev.bench.fleet.nodes import Nodes
from sluice_operator.api import names

_CANARY = "nginx.ingress.kubernetes.io/canary"
_METADATA = {
    "input_example": {"features": [[5.1, 3.5, 1.4, 0.2]]},
    "signature": {
        "inputs": [{"name": name, "type": "double", "required": True} for name in ("a", "b", "c", "d")],
        "outputs": [{"type": "long", "required": True}],
    },
}


@dataclass
class Gateway:
    """What was learned of the routes so far."""

    api: Api
    nodes: Nodes
    chance: random.Random = field(default_factory=random.Random)
    _ingresses: dict[str, dict[bool, Manifest]] = field(default_factory=dict)  # by host and whether it is the canary's
    _services: dict[tuple[str, str], Manifest] = field(default_factory=dict)

    async def follow_ingresses(self) -> None:
        async for change, ingress in self.api.watched("Ingress"):
            host, is_canary = ingress["spec"]["rules"][0]["host"], f"{_CANARY}-weight" in _annotations(ingress)
            routes = self._ingresses.setdefault(host, {})
            if change == "DELETED":
                routes.pop(is_canary, None)
            else:
                routes[is_canary] = ingress

    async def follow_services(self) -> None:
        async for change, service in self.api.watched("Service"):
            key = service["metadata"]["namespace"], service["metadata"]["name"]
            if change == "DELETED":
                self._services.pop(key, None)
            else:
                self._services[key] = service

    def weight(self, host: str) -> int:
        """The weight of the canary that this gateway uses now; 0 without a canary route."""
        canary = self._ingresses.get(host, {}).get(True)
        return int(_annotations(canary)[f"{_CANARY}-weight"]) if canary else 0

    def serving(self, namespace: str, name: str) -> str:
        """The revision that Service `name` selects."""
        service = self._services.get((namespace, name))
        return str(service["spec"]["selector"].get(names.LABEL_REVISION, "")) if service else ""

    async def answer(self, request: web.Request) -> web.Response:
        """As the model server of the revision that this request is led to."""
        revision = self._revision(request)
        if revision is None:
            return web.Response(status=503, text="no endpoint")
        body = {"predictions": [0]} if request.path == "/predict" else _METADATA
        return web.json_response(body, headers={names.HEADER_REVISION: revision})

    def _revision(self, request: web.Request) -> str | None:
        routes = self._ingresses.get(request.host, {})
        ingress = routes.get(False)
        if (canary := routes.get(True)) is not None:
            annotations = _annotations(canary)
            header = request.headers.get(annotations[f"{_CANARY}-by-header"], "")
            drawn = self.chance.random() * 100 < int(annotations[f"{_CANARY}-weight"])
            ingress = canary if header == "always" or (drawn and header != "never") else ingress
        if ingress is None:
            return None
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        namespace = ingress["metadata"]["namespace"]
        service = self._services.get((namespace, backend))
        selector = service["spec"]["selector"] if service else {}
        revision = selector.get(names.LABEL_REVISION)
        return revision if revision and self.nodes.ready(namespace, selector) else None


def _annotations(ingress: Manifest) -> dict[str, str]:
    return ingress["metadata"].get("annotations") or {}
