"""Notices that somebody else has written or deleted the route of a canary, before it is repaired.

The canary's Service is a part of it: with another selector, the canary's share goes elsewhere, whatever the weight is.

A repair is a new write, which must be proven again. And from the last look at which the route was right, nothing is
known about the weight.
"""

from datetime import datetime

from sluice_operator.api.observation import RouteEdit
from sluice_operator.api.owner import Key, Owner, is_owned
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status
from sluice_operator.kubernetes import field_managers
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.coverage import is_as_asked
from sluice_operator.manifests.render import canary_service, routes

_ROUTED = (Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.ROLLING_BACK)


class RouteEdits:
    """Remembers when each object's route was last right."""

    def __init__(self) -> None:
        self._right: dict[Key, datetime] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that is gone."""
        self._right.pop((namespace, name), None)

    def look(self, owner: Owner, current: Status, owned: Children, now: datetime) -> tuple[RouteEdit, ...]:
        """The edits of the route of a canary that has a weight; `now`: when `owned` was read.

        While the weight is not proven, an object may only lag behind status: then it is an edit if somebody else has a
        name for what differs. Others write labels, or the status.
        """
        key, run, weight = (owner.namespace, owner.name), current.run, current.weight
        if run is None or weight is None or current.phase not in _ROUTED:
            self._right.pop(key, None)
            return ()
        since = self._right.get(key)
        edits = [edit for edit in _edits(owner, current, owned, since) if edit.manager or weight.verified_at]
        if not edits:
            self._right[key] = now
        return tuple(edits)


def _edits(owner: Owner, current: Status, owned: Children, since: datetime | None) -> list[RouteEdit]:
    proven = current.weight is not None and current.weight.verified_at is not None
    whose = field_managers.last_other if proven else field_managers.editor
    edits = []
    for manifest in (*routes(owner, current), *canary_service(owner, current)):
        reference = manifest["kind"], manifest["metadata"]["name"]
        live = owned.objects.get(reference)
        if live is None:
            edits.append(RouteEdit(" ".join(reference), since=since))
        elif is_owned(live, owner.uid) and not is_as_asked(live, manifest):
            writer = whose(live, manifest)
            at = writer.at if writer else None
            edits.append(RouteEdit(" ".join(reference), writer.name if writer else "", since or at))
    return edits
