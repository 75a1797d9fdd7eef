"""The split by `nginx.ingress.kubernetes.io/canary*` annotations on a second Ingress. Pure.

The name of the probe header changes with every write of a weight, in the same patch: a gateway that routes by the new
name has the new weight too, which is how the weight is proven.
"""

import hashlib

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.spec import Ingress
from sluice_operator.api.status import Weight

_CANARY = "nginx.ingress.kubernetes.io/canary"


def probe_header(weight: Weight) -> str:
    """Header that this write of the weight is proven by: `always` leads to the canary, `never` to stable."""
    identity = f"{weight.desired}/{weight.written_at.isoformat()}"
    return f"x-sluice-route-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def stable_ingress(owner: Owner, route: Ingress) -> Manifest:
    """All traffic of the host to Service NAME."""
    return _ingress(owner, owner.name, route, backend=owner.name, annotations={})


def canary_ingress(owner: Owner, route: Ingress, revision: str, weight: Weight) -> Manifest:
    """`weight` percent of it to the canary's own Service."""
    annotations = {
        _CANARY: "true",
        f"{_CANARY}-weight": str(weight.desired),
        f"{_CANARY}-weight-total": "100",
        f"{_CANARY}-by-header": probe_header(weight),
    }
    backend = names.workload(owner.name, revision)
    return _ingress(owner, names.canary_ingress(owner.name), route, backend, annotations)


def _ingress(owner: Owner, name: str, route: Ingress, backend: str, annotations: dict[str, str]) -> Manifest:
    service = {"name": backend, "port": {"name": "gateway"}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    manifest: Manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": owner.metadata(name),
        "spec": {"ingressClassName": route.class_name, "rules": [{"host": route.host, "http": {"paths": [path]}}]},
    }
    if annotations:
        manifest["metadata"]["annotations"] = annotations
    return manifest
