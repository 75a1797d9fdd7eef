"""Splits traffic with `nginx.ingress.kubernetes.io/canary*` annotations on a second Ingress. Pure.

The weight and the name of the probe header are written in one patch. So a gateway that obeys the new name has the new
weight too: that is how a weight is proven.

A path of a host is taken off before a request is handed on. The annotations for that are on the first Ingress alone: a
canary Ingress is joined to the one with the same path, whose annotations hold for both.
"""

import hashlib
from collections.abc import Iterator

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.place import WHOLE_HOST
from sluice_operator.api.spec import Traffic
from sluice_operator.api.status import Weight

_NGINX = "nginx.ingress.kubernetes.io"
_CANARY = f"{_NGINX}/canary"
_TAKE_PATH_OFF = {f"{_NGINX}/use-regex": "true", f"{_NGINX}/rewrite-target": "/$2"}


class NginxIngress:
    """`Router` for controllers that obey these annotations: ingress-nginx, and Traefik with its provider for them."""

    def objects(self, name: str) -> tuple[Reference, ...]:
        return ("Ingress", name), ("Ingress", names.canary_ingress(name))

    def routes(self, owner: Owner, traffic: Traffic) -> Iterator[Manifest]:
        ingress = _ingress(owner, owner.name, traffic, backend=owner.name)
        own = {} if traffic.place.path == WHOLE_HOST else _TAKE_PATH_OFF
        if wanted := {**traffic.ingress.annotations, **own}:
            # The names show an annotation that is wanted no more: then what is wanted differs from what is there.
            ingress["metadata"]["annotations"] = {**wanted, names.ANNOTATION_ANNOTATIONS: ",".join(sorted(wanted))}
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
    place = traffic.place
    # A path that is a regular expression has a type of its own: ingress-nginx refuses it in a Prefix.
    path_type = "Prefix" if place.path == WHOLE_HOST else "ImplementationSpecific"
    path = {"path": place.in_ingress, "pathType": path_type, "backend": {"service": service}}
    rule = {"host": place.host, "http": {"paths": [path]}}
    spec: Manifest = {"ingressClassName": traffic.ingress.class_name, "rules": [rule]}
    if (tls := traffic.ingress.tls) is not None:
        spec["tls"] = [{"hosts": [place.host], **({"secretName": tls.secret_name} if tls.secret_name else {})}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": owner.metadata(name),
        "spec": spec,
    }
