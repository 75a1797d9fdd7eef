"""Routes for a moment, with which a pod of the operator tries whether the gateway divides requests."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.traffic import ParentRef
from sluice_operator.cli import cluster
from sluice_operator.installation.split import HEADER, WEIGHT
from sluice_operator.routing import http_route

_NAME, _CANARY = "sluice-doctor", "nginx.ingress.kubernetes.io/canary"
_TRY = ("python", "-m", "sluice_operator.installation.split")
Routes = Callable[[str, str], list[Manifest]]  # those for a namespace and a host


def tried(deployment: dict[str, Any], routes: Routes) -> Iterator[str]:
    """What the pod says. The objects are removed, whatever happens."""
    namespace, host = deployment["metadata"]["namespace"], f"{secrets.token_hex(8)}.sluice-doctor.invalid"
    objects = [*_services(namespace, deployment["spec"]["selector"]["matchLabels"]), *routes(namespace, host)]
    try:
        cluster.apply(objects)
        yield from cluster.lines_of(namespace, deployment["metadata"]["name"], *_TRY, host)
    finally:
        cluster.remove(objects)


def ingresses(ingress_class: str) -> Routes:
    """Two, of which one is the canary of the other."""
    annotations = {_CANARY: "true", f"{_CANARY}-weight": str(WEIGHT), f"{_CANARY}-by-header": HEADER}

    def routes(namespace: str, host: str) -> list[Manifest]:
        return [
            _ingress(namespace, _NAME, host, ingress_class, {}),
            _ingress(namespace, f"{_NAME}-canary", host, ingress_class, annotations),
        ]

    return routes


def http_routes(gateway: ParentRef) -> Routes:
    """One, which has the rules of a canary as the operator writes them."""

    def routes(namespace: str, host: str) -> list[Manifest]:
        split = http_route.Split(f"{_NAME}-canary", WEIGHT, HEADER)
        metadata = {"name": _NAME, "namespace": namespace}
        return [http_route.manifest(metadata, [gateway], host, http_route.rules("/", _NAME, split))]

    return routes


def _services(namespace: str, operator: dict[str, str]) -> list[Manifest]:
    """Stable leads to the metrics of the operator, and the canary to another port of it, which has none.

    The canary must have pods: a gateway may leave out a Service without them.
    """
    return [
        _service(namespace, _NAME, operator, "metrics"),
        _service(namespace, f"{_NAME}-canary", operator, "health"),
    ]


def _service(namespace: str, name: str, selector: dict[str, str], port: str) -> Manifest:
    ports = [{"name": "gateway", "port": names.PORT_GATEWAY, "targetPort": port}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selector, "ports": ports}}


def _ingress(namespace: str, name: str, host: str, ingress_class: str, annotations: dict[str, str]) -> Manifest:
    backend = {"service": {"name": name, "port": {"name": "gateway"}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"ingressClassName": ingress_class, "rules": [rule]},
    }
