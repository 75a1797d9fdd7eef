"""Splits traffic with the weights of an HTTPRoute of the Gateway API. Pure.

All rules are in one object, because of two routes for the same host and path the older one gets everything. A rule that
matches a header goes before one that matches the path alone. So the rules of the probe header and the weights are
written in one request: a gateway that obeys the header has the weights too.

The list of rules has one owner, whoever writes it. An edit of somebody else is repaired as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.place import WHOLE_HOST
from sluice_operator.api.traffic import HttpRoute, ParentRef
from sluice_operator.kubernetes.hosts import addresses
from sluice_operator.routing.canary_share import CanaryShare

_ALL = 100  # the sum of the weights
_GROUP = "gateway.networking.k8s.io"


class Split(NamedTuple):
    """What goes to the Service `canary`: `weight` per cent, and all requests that have `header` with "always"."""

    canary: str
    weight: int
    header: str


@dataclass(frozen=True, slots=True)
class GatewayApi:
    """`Router` for gateways of the Gateway API v1. A path needs one with URLRewrite, which most have."""

    asked: HttpRoute

    def objects(self, name: str) -> tuple[Reference, ...]:
        return ((names.HTTP_ROUTE, name),)

    def routes(self, owner: Owner, share: CanaryShare | None) -> Iterator[Manifest]:
        split = None
        if share is not None:
            split = Split(names.workload(owner.name, share.canary), share.weight.desired, share.probe_header)
        own = rules(self.asked.path, owner.name, split)
        yield manifest(owner.metadata(owner.name), self.asked.parent_refs, self.asked.host, own)


def without_canary(owner: Owner, live: Manifest) -> Manifest:
    """An HTTPRoute of `owner` as it is, but that all requests go to Service NAME."""
    kept = {field: live["spec"][field] for field in ("parentRefs", "hostnames") if field in live["spec"]}
    paths = dict.fromkeys(path for _, path in addresses(live))
    own = [rule for path in paths for rule in rules(path, owner.name, None)]
    return _route(owner.metadata(owner.name), {**kept, "rules": own})


def manifest(metadata: Manifest, parents: Sequence[ParentRef], host: str, own: list[Manifest]) -> Manifest:
    """An HTTPRoute with these rules. What the API server would fill in is written, so that it can be compared."""
    spec = {"parentRefs": [_parent(each) for each in parents], "hostnames": [host], "rules": own}
    return _route(metadata, spec)


def _route(metadata: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": f"{_GROUP}/v1", "kind": names.HTTP_ROUTE, "metadata": metadata, "spec": spec}


def rules(path: str, stable: str, split: Split | None) -> list[Manifest]:
    """Those for all that is below `path`. `stable`: the Service that gets what the canary does not get."""
    if split is None:
        return [_rule(path, [_backend(stable, _ALL)])]
    return [
        _rule(path, [_backend(split.canary, _ALL)], {split.header: "always"}),
        _rule(path, [_backend(stable, _ALL)], {split.header: "never"}),
        _rule(path, [_backend(stable, _ALL - split.weight), _backend(split.canary, split.weight)]),
    ]


def _rule(path: str, backends: list[Manifest], headers: dict[str, str] | None = None) -> Manifest:
    match: Manifest = {"path": {"type": "PathPrefix", "value": path}}
    if headers:
        match["headers"] = [{"type": "Exact", "name": name, "value": value} for name, value in headers.items()]
    rule: Manifest = {"matches": [match], "backendRefs": backends}
    if path != WHOLE_HOST:
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": WHOLE_HOST}}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
    return rule


def _parent(reference: ParentRef) -> Manifest:
    optional = {"namespace": reference.namespace, "sectionName": reference.section_name}
    given = {field: value for field, value in optional.items() if value}
    return {"group": _GROUP, "kind": "Gateway", "name": reference.name, **given}


def _backend(service: str, weight: int) -> Manifest:
    return {"group": "", "kind": "Service", "name": service, "port": names.PORT_GATEWAY, "weight": weight}
