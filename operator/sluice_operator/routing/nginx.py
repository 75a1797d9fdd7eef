"""Splits traffic with `nginx.ingress.kubernetes.io/canary*` annotations on a second Ingress. Pure.

The weight and the name of the probe header are written in one patch. So a gateway that obeys the new name has the new
weight too: that is how a weight is proven.

A path of a host is taken off before a request is handed on. The annotations for that are on the first Ingress alone: a
canary Ingress is joined to the one with the same path, whose annotations hold for both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.place import WHOLE_HOST, Place
from sluice_operator.api.traffic import Ingress
from sluice_operator.routing.canary_share import CanaryShare

_NGINX = "nginx.ingress.kubernetes.io"
_CANARY = f"{_NGINX}/canary"
_TAKE_PATH_OFF = {f"{_NGINX}/use-regex": "true", f"{_NGINX}/rewrite-target": "/$2"}


@dataclass(frozen=True, slots=True)
class NginxIngress:
    """`Router` for controllers that obey these annotations: ingress-nginx, and Traefik with its provider for them."""

    asked: Ingress

    def objects(self, name: str) -> tuple[Reference, ...]:
        return ("Ingress", name), ("Ingress", names.canary_ingress(name))

    def routes(self, owner: Owner, share: CanaryShare | None) -> Iterator[Manifest]:
        ingress = self._ingress(owner, owner.name, backend=owner.name)
        own = {} if self.asked.path == WHOLE_HOST else _TAKE_PATH_OFF
        if wanted := {**self.asked.annotations, **own}:
            # The names show an annotation that is wanted no more: then what is wanted differs from what is there.
            ingress["metadata"]["annotations"] = {**wanted, names.ANNOTATION_ANNOTATIONS: ",".join(sorted(wanted))}
        yield ingress
        if share is not None:
            yield self._canary_ingress(owner, share)

    def _canary_ingress(self, owner: Owner, share: CanaryShare) -> Manifest:
        backend = names.workload(owner.name, share.canary)
        ingress = self._ingress(owner, names.canary_ingress(owner.name), backend)
        ingress["metadata"]["annotations"] = {
            _CANARY: "true",
            f"{_CANARY}-weight": str(share.weight.desired),
            f"{_CANARY}-weight-total": "100",
            f"{_CANARY}-by-header": share.probe_header,
        }
        return ingress

    def _ingress(self, owner: Owner, name: str, backend: str) -> Manifest:
        service = {"name": backend, "port": {"name": "gateway"}}
        place = Place(self.asked.host, self.asked.path)
        # A path that is a regular expression has a type of its own: ingress-nginx refuses it in a Prefix.
        path_type = "Prefix" if place.path == WHOLE_HOST else "ImplementationSpecific"
        path = {"path": place.in_ingress, "pathType": path_type, "backend": {"service": service}}
        rule = {"host": place.host, "http": {"paths": [path]}}
        spec: Manifest = {"ingressClassName": self.asked.class_name, "rules": [rule]}
        if (tls := self.asked.tls) is not None:
            spec["tls"] = [{"hosts": [place.host], **({"secretName": tls.secret_name} if tls.secret_name else {})}]
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": owner.metadata(name),
            "spec": spec,
        }
