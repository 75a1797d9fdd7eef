"""The port for splitting traffic between stable and canary, and which implementation a spec asks for. Pure.

A router builds the manifests for a weight. `probes` proves that the gateway uses them, in the same way for every
router: the probe header of `canary_share` decides whether a request goes to stable or to the canary.
"""

from collections.abc import Iterator
from typing import Protocol

from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.traffic import Traffic
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.http_route import GatewayApi
from sluice_operator.routing.nginx import NginxIngress


class Router(Protocol):
    """Manifests for one kind of gateway."""

    def objects(self, name: str) -> tuple[Reference, ...]:
        """Kind and name of all objects that it may write for the ModelDeployment `name`."""

    def routes(self, owner: Owner, share: CanaryShare | None) -> Iterator[Manifest]:
        """The manifests that lead all requests to Service NAME, which selects stable's pods, but for the share."""


def router_for(traffic: Traffic) -> Router:
    """The router that `traffic` asks for."""
    if traffic.http_route is not None:
        return GatewayApi(traffic.http_route)
    assert traffic.ingress is not None
    return NginxIngress(traffic.ingress)
