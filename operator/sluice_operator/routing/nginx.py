"""Splits traffic with `nginx.ingress.kubernetes.io/canary*` annotations on a second Ingress. Pure.

The weight and the name of the probe header are written in one patch. So a gateway that obeys the new name has the new
weight too: that is how a weight is proven.
"""

import hashlib
from collections.abc import Iterator

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.spec import Traffic
from sluice_operator.api.status import Weight

_CANARY = "nginx.ingress.kubernetes.io/canary"


class NginxIngress:
    """`Router` for controllers that obey these annotations: ingress-nginx, and Traefik with its provider for them."""

    def objects(self, name: str) -> tuple[Reference, ...]:
        return ("Ingress", name), ("Ingress", names.canary_ingress(name))

    def routes(self, owner: Owner, traffic: Traffic) -> Iterator[Manifest]:
        ingress = _ingress(owner, owner.name, traffic, backend=owner.name)
        if asked := traffic.ingress.annotations:
            # The names show an annotation that is asked for no more: then what is wanted differs from what is there.
            ingress["metadata"]["annotations"] = {**asked, names.ANNOTATION_ANNOTATIONS: ",".join(sorted(asked))}
        yield ingress

    def split(self, owner: Owner, traffic: Traffic, canary: str, weight: Weight) -> Iterator[Manifest]:
        ingress = _ingress(owner, names.canary_ingress(owner.name), traffic, names.workload(owner.name, canary))
        ingress["metadata"]["annotations"] = {
            _CANARY: "true",
            f"{_CANARY}-weight": str(weight.desired),
            f"{_CANARY}-weight-total": "100",
            f"{_CANARY}-by-header": self.probe_header(weight),
        }
        yield ingress

    def probe_header(self, weight: Weight) -> str:
        identity = f"{weight.desired}/{weight.written_at.isoformat()}"
        return f"x-sluice-route-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


def _ingress(owner: Owner, name: str, traffic: Traffic, backend: str) -> Manifest:
    service = {"name": backend, "port": {"name": "gateway"}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rule = {"host": traffic.host, "http": {"paths": [path]}}
    spec: Manifest = {"ingressClassName": traffic.ingress.class_name, "rules": [rule]}
    if (tls := traffic.ingress.tls) is not None:
        spec["tls"] = [{"hosts": [traffic.host], **({"secretName": tls.secret_name} if tls.secret_name else {})}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": owner.metadata(name),
        "spec": spec,
    }
