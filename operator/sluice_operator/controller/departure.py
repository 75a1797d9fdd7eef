"""An object that is being deleted, while somebody's finalizer still holds it: its canary gets no more requests.

Nobody judges the canary any more, so weight 0 is written, in status and in the route that exists. Nothing is created.
Where the status is lost or cannot be read, nobody knows what the canary's route should say: it is deleted.
"""

from collections.abc import Iterable
from datetime import datetime

from sluice_operator.api import names
from sluice_operator.api import status as statuses
from sluice_operator.api.owner import Manifest, Owner, is_owned
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status, UnreadableStatusError
from sluice_operator.kubernetes.coverage import is_as_asked
from sluice_operator.kubernetes.port import Kube
from sluice_operator.manifests.render import routes
from sluice_operator.rollout.transitions import write_weight
from sluice_operator.routing import http_route


async def take_traffic_back(kube: Kube, body: Manifest, now: datetime) -> None:
    """Weight 0 for the object with the manifest `body`. Raises Conflict or WriteRefused."""
    try:
        current = statuses.parse(body.get("status"))
    except UnreadableStatusError:
        current = Status()
    if current.phase is Phase.PENDING:
        await _delete_split(kube, body)
    if current.weight is None or current.canary is None:
        return
    if current.weight.desired != 0:
        current = write_weight(current, 0, now)
        await kube.update_status({**body, "status": statuses.dump(current)})
    await _correct(kube, body, routes(_owner(body), current))


async def _delete_split(kube: Kube, body: Manifest) -> None:
    """Take the canary out of the routes that are there, of whatever kind. What leads to Service NAME stays as it is.

    Nothing of the spec is written: it may ask for a host that was never granted.
    """
    owner = _owner(body)
    canary_ingress = await _owned(kube, body, "Ingress", names.canary_ingress(owner.name))
    if canary_ingress is not None:
        await kube.delete(canary_ingress)
    route = await _owned(kube, body, names.HTTP_ROUTE, owner.name)
    if route is not None:
        await _correct(kube, body, [http_route.without_canary(owner, route)])


async def _correct(kube: Kube, body: Manifest, wanted: Iterable[Manifest]) -> None:
    """Change what exists."""
    for manifest in wanted:
        live = await _owned(kube, body, manifest["kind"], manifest["metadata"]["name"])
        if live is not None and not is_as_asked(live, manifest):
            version = live["metadata"]["resourceVersion"]
            await kube.apply({**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}})


async def _owned(kube: Kube, body: Manifest, kind: str, name: str) -> Manifest | None:
    live = await kube.get(kind, body["metadata"]["namespace"], name)
    return live if live is not None and is_owned(live, body["metadata"]["uid"]) else None


def _owner(body: Manifest) -> Owner:
    metadata = body["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])
