"""An object that is being deleted, while somebody's finalizer still holds it: its canary gets no more requests.

Nobody judges the canary any more, so weight 0 is written, in status and in the route that exists. Nothing is created.
"""

from datetime import datetime

from sluice_operator.api import status as statuses
from sluice_operator.api.owner import Manifest, Owner, is_owned
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import covers
from sluice_operator.kubernetes.port import Kube
from sluice_operator.rollout.transitions import write_weight
from sluice_operator.routing.router import router_for


async def take_traffic_back(kube: Kube, body: Manifest, now: datetime) -> None:
    """Weight 0 for the object with the manifest `body`. Raises Conflict or WriteRefused."""
    current = statuses.parse(body.get("status"))
    if current.weight is None or current.canary is None:
        return
    if current.weight.desired != 0:
        current = write_weight(current, 0, now)
        await kube.update_status({**body, "status": statuses.dump(current)})
    for manifest in _split(body, current):
        live = await kube.get(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        if live is not None and is_owned(live, body["metadata"]["uid"]) and not covers(live, manifest):
            version = live["metadata"]["resourceVersion"]
            await kube.apply({**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}})


def _split(body: Manifest, current: Status) -> list[Manifest]:
    """The routes of the canary, as `current` asks for them."""
    metadata, route, canary, weight = body["metadata"], current.route, current.canary, current.weight
    if route is None or canary is None or weight is None:
        return []
    owner = Owner(metadata["namespace"], metadata["name"], metadata["uid"])
    return list(router_for(route.traffic).split(owner, route.traffic, canary.revision, weight))
