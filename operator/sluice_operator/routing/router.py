"""The port for splitting traffic between stable and canary, and which implementation a spec asks for. Pure.

A router builds the manifests for a weight. `probes` proves that the gateway uses them, in the same way for every
router: the probe header decides whether a request goes to stable or to the canary.
"""

from collections.abc import Iterator
from typing import Protocol

from sluice_operator.api.owner import Manifest, Owner, Reference
from sluice_operator.api.spec import Traffic
from sluice_operator.api.status import Weight
from sluice_operator.routing.nginx import NginxIngress


class Router(Protocol):
    """Manifests for one kind of gateway."""

    def objects(self, name: str) -> tuple[Reference, ...]:
        """Kind and name of all objects that it may write for the ModelDeployment `name`."""

    def routes(self, owner: Owner, traffic: Traffic) -> Iterator[Manifest]:
        """The manifests that lead all requests for the host to Service NAME, which selects stable's pods."""

    def split(self, owner: Owner, traffic: Traffic, canary: str, weight: Weight) -> Iterator[Manifest]:
        """The manifests that, in addition to `routes`, lead `weight` to the Service of revision `canary`."""

    def probe_header(self, weight: Weight) -> str:
        """Name of the probe header of this write of the weight: `always` leads to the canary, `never` to stable.

        The name is new with every write. So a gateway that obeys the header has the weight that came with it, too.
        """


def router_for(traffic: Traffic) -> Router:
    """The router that `traffic` asks for. Today there is only Ingress."""
    return NginxIngress()
