"""Two Ingresses for a moment, with which a pod of the operator tries whether the gateway divides requests."""

import secrets
from collections.abc import Iterator
from typing import Any

from sluice_operator.api.owner import Manifest
from sluice_operator.cli import cluster
from sluice_operator.installation.split import HEADER, WEIGHT

_NAME, _CANARY = "sluice-doctor", "nginx.ingress.kubernetes.io/canary"
_TRY = ("python", "-m", "sluice_operator.installation.split")


def tried(deployment: dict[str, Any], ingress_class: str) -> Iterator[str]:
    """What the pod says. The objects are removed, whatever happens."""
    namespace, host = deployment["metadata"]["namespace"], f"{secrets.token_hex(8)}.sluice-doctor.invalid"
    objects = manifests(namespace, host, ingress_class, deployment["spec"]["selector"]["matchLabels"])
    try:
        cluster.apply(objects)
        yield from cluster.lines_of(namespace, deployment["metadata"]["name"], *_TRY, host)
    finally:
        cluster.remove(objects)


def manifests(namespace: str, host: str, ingress_class: str, operator: dict[str, str]) -> list[Manifest]:
    """Stable leads to the metrics of the operator, and the canary to another port of it, which has none.

    The canary must have pods: a gateway may leave out a Service without them.
    """
    annotations = {_CANARY: "true", f"{_CANARY}-weight": str(WEIGHT), f"{_CANARY}-by-header": HEADER}
    return [
        _service(namespace, _NAME, operator, "metrics"),
        _service(namespace, f"{_NAME}-canary", operator, "health"),
        _ingress(namespace, _NAME, host, ingress_class, {}),
        _ingress(namespace, f"{_NAME}-canary", host, ingress_class, annotations),
    ]


def _service(namespace: str, name: str, selector: dict[str, str], port: str) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": port}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selector, "ports": ports}}


def _ingress(namespace: str, name: str, host: str, ingress_class: str, annotations: dict[str, str]) -> Manifest:
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"ingressClassName": ingress_class, "rules": [rule]},
    }
