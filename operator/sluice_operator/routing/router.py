"""The port through which traffic is split between stable and canary, and which implementation a spec asks for. Pure.

A router says what to write. That the gateway does it is proven by `probes`, the same way for every router: a request
that carries the probe header is led to the side that the header names.
"""

from collections.abc import Iterator
from typing import Protocol

from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.spec import Traffic
from sluice_operator.api.status import Weight
from sluice_operator.routing.nginx import NginxIngress


class Router(Protocol):
    """One kind of gateway configuration."""

    def routes(self, owner: Owner, traffic: Traffic) -> Iterator[Manifest]:
        """All requests for the host go to Service NAME: the stable role."""

    def split(self, owner: Owner, traffic: Traffic, canary: str, weight: Weight) -> Iterator[Manifest]:
        """`weight` percent of them go to the Service of revision `canary` instead. Together with `routes`."""

    def probe_header(self, weight: Weight) -> str:
        """The header that this write of the weight is proven by: `always` leads to the canary, `never` to stable.

        Another name with every write, so that a gateway that knows it has the weight that came with it.
        """


def router_for(traffic: Traffic) -> Router:
    """The router that `traffic` asks for. Ingress is the one kind that there is."""
    return NginxIngress()
