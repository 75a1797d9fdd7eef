"""What gateways say about the HTTPRoutes of objects, and since when each route is as it is."""

from datetime import datetime

from sluice_operator.api import names
from sluice_operator.api.observation import Refusal
from sluice_operator.api.owner import Key, Owner
from sluice_operator.api.status import Status
from sluice_operator.kubernetes.children import Children
from sluice_operator.routing import route_status


class GatewayAnswers:
    """Remembers when it first saw each route as it is: after a change, a controller has some time to answer."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[int, datetime]] = {}  # the generation, and since when

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that is gone, or that has no HTTPRoute."""
        self._seen.pop((namespace, name), None)

    def look(self, owner: Owner, current: Status, owned: Children, now: datetime) -> Refusal | None:
        """Why a Gateway does not take the route; `now`: when `owned` was read."""
        route = current.route.traffic.http_route if current.route else None
        live = owned.objects.get((names.HTTP_ROUTE, owner.name))
        if route is None or live is None:
            self.forget(owner.namespace, owner.name)
            return None
        generation = int(live["metadata"].get("generation", 0))
        known = self._seen.get((owner.namespace, owner.name))
        since = known[1] if known is not None and known[0] == generation else now
        self._seen[owner.namespace, owner.name] = generation, since
        return route_status.refusal(live, route, since, now)
