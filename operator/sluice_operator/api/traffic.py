"""How callers reach the model: `spec.traffic` as typed values, which `status.route` repeats once it is granted."""

from typing import Any

import msgspec

from sluice_operator.api.place import WHOLE_HOST, Place
from sluice_operator.api.section import Section


class IngressTls(Section, frozen=True):
    """The certificate of the host is in this Secret; empty for the gateway's own."""

    secret_name: str = ""


class Ingress(Section, frozen=True):
    """An Ingress, and a second one with the weight of the canary."""

    class_name: str
    host: str
    path: str = WHOLE_HOST
    tls: IngressTls | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class ParentRef(Section, frozen=True):
    """A Gateway, or one listener of it. Without a namespace it is in that of the ModelDeployment."""

    name: str
    namespace: str = ""
    section_name: str = ""

    def __str__(self) -> str:
        gateway = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{gateway} (listener {self.section_name})" if self.section_name else gateway


class HttpRoute(Section, frozen=True):
    """An HTTPRoute of the Gateway API, with the weights of stable and canary. `https`: what its listener speaks."""

    parent_refs: tuple[ParentRef, ...]
    host: str
    path: str = WHOLE_HOST
    https: bool = False


class Traffic(Section, frozen=True):
    """Exactly one of the two is set."""

    ingress: Ingress | None = None
    http_route: HttpRoute | None = None

    def __post_init__(self) -> None:
        if (self.ingress is None) == (self.http_route is None):
            raise ValueError("write exactly one of ingress and httpRoute")

    @property
    def place(self) -> Place:
        """The host and the path under which the model answers."""
        return Place(self._route.host, self._route.path)

    @property
    def url(self) -> str:
        """Where callers reach the model."""
        return f"{'https' if self._is_secure else 'http'}://{self.place.host}{self.place.prefix}/"

    @property
    def gateway(self) -> str:
        """Which gateway the route is for, as a part of a sentence."""
        if isinstance(self._route, Ingress):
            return f"the IngressClass {self._route.class_name}"
        return f"the Gateway {', '.join(map(str, self._route.parent_refs))}"

    def gateways(self, namespace: str) -> tuple[str, ...]:
        """The names by which settings know its gateways: `NAMESPACE/NAME` of each Gateway, or the IngressClass.

        `namespace`: that of the ModelDeployment.
        """
        if isinstance(self._route, Ingress):
            return (self._route.class_name,)
        return tuple(f"{parent.namespace or namespace}/{parent.name}" for parent in self._route.parent_refs)

    @property
    def _is_secure(self) -> bool:
        return self._route.tls is not None if isinstance(self._route, Ingress) else self._route.https

    @property
    def _route(self) -> Ingress | HttpRoute:
        route = self.ingress or self.http_route
        assert route is not None
        return route


def of(raw: Any) -> Traffic:
    """The route that a `spec` mapping asks for, whatever else is in it."""
    return msgspec.convert(raw["traffic"], Traffic)
