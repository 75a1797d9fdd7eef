"""Which ModelDeployment has a host. Two with the same host would get a share of each other's requests.

The first that was granted a host keeps it, whatever was created earlier; status says since when. Of those that only ask
for it, the oldest object gets it; one that may not have it, by the administrator's setting, keeps it from nobody.

Only the operator writes `status.route`. Whatever else seems to show that an object had a host, as after an upgrade or
with a lost status, somebody in its namespace may have made: it helps against those that ask, never against a route that
is noted.

All objects are listed once, and then the watch keeps the list up to date. So a reconcile of one object does not read
all others.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from sluice_operator.api import names, spec, status
from sluice_operator.api.allowed_routes import AllowedRoutes
from sluice_operator.api.owner import Key, Manifest, Owner, is_owned
from sluice_operator.api.run import Phase
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.port import Kube


class _Rank(IntEnum):
    NOTED = 0
    SERVED_BEFORE_NOTED = 1
    SHOWN = 2  # by an Ingress
    ASKED = 3
    NOT_ALLOWED = 4  # any more: it keeps what it has until somebody asks who may have it


@dataclass(frozen=True, slots=True, order=True)
class _Claim:
    """The first in order has the host. The uid is for those of the same second."""

    rank: _Rank
    since: datetime
    uid: str


class HostClaims:
    """The hosts that all ModelDeployments have or ask for."""

    def __init__(self, kube: Kube, allowed: AllowedRoutes) -> None:
        self._kube = kube
        self._allowed = allowed
        self._claims: dict[Key, dict[str, _Claim]] = {}  # by host
        self._keys: dict[str, set[Key]] = defaultdict(set)  # of the objects with a claim to this host
        self._listed = False
        self._listing = asyncio.Lock()

    def see(self, body: Manifest) -> set[Key]:
        """Note the claims of an object as it is now. Returns the others with a claim to a host whose holder changes."""
        key = body["metadata"]["namespace"], body["metadata"]["name"]
        before, after = self._claims.get(key, {}), self._claims_of(body)
        changed = {host for host in before.keys() | after.keys() if before.get(host) != after.get(host)}
        holders = {host: self._holder_of(host) for host in changed}
        self.forget(*key)
        self._claims[key] = after
        for host in after:
            self._keys[host].add(key)
        moved = [host for host, holder in holders.items() if holder != self._holder_of(host)]
        return {other for host in moved for other in self._keys.get(host, ())} - {key}

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that was deleted."""
        key = namespace, name
        for host in self._claims.pop(key, {}):
            self._keys[host].discard(key)
            if not self._keys[host]:
                del self._keys[host]

    async def holder(self, body: Manifest, host: str, served_since: datetime | None = None) -> str:
        """`namespace/name` of the object that has `host`, if that is another one than `body`; else empty.

        `served_since`: when `body` got the host by what its objects show, if its status is lost.
        Whoever is named was read again, because the watch may have missed a change. And before a host is granted, all
        who have a claim to it are read again.
        """
        await self._list_once()
        me = body["metadata"]["namespace"], body["metadata"]["name"]
        mine = self._claims_of(body).get(host) or _claim(body, _Rank.NOT_ALLOWED)
        if served_since is not None and mine.rank is _Rank.ASKED:
            mine = replace(mine, rank=_Rank.SHOWN, since=served_since)
        if mine.rank is not _Rank.NOTED:
            for other in sorted(self._keys.get(host, set()) - {me}):
                await self._read(other)
        while (first := self._first_before(me, mine, host)) is not None:
            claim = self._claims[first][host]
            await self._read(first)
            if self._claims.get(first, {}).get(host) == claim:
                return "/".join(first)
        return ""

    async def _list_once(self) -> None:
        """The workers that need the list wait for the first of them: it is large."""
        async with self._listing:
            if self._listed:
                return
            for listed in await self._kube.find(names.KIND, "", {}):
                self.see(listed)
            self._listed = True

    async def _read(self, key: Key) -> None:
        live = await self._kube.get(names.KIND, *key)
        if live is None:
            self.forget(*key)
        else:
            self.see(live)

    def _claims_of(self, body: Manifest) -> dict[str, _Claim]:
        """The claims of an object by host: what it was granted, and what it asks for and may have."""
        namespace, asked = body["metadata"]["namespace"], spec.traffic(body["spec"])
        claims = {}
        if granted_before_noted(body):
            allowed = self._allowed.admits(namespace, asked.host)
            claims[asked.host] = _claim(body, _Rank.SERVED_BEFORE_NOTED if allowed else _Rank.NOT_ALLOWED)
        elif self._allowed.refusal(namespace, asked) is None:
            claims[asked.host] = _claim(body, _Rank.ASKED)
        if (route := status.route(body.get("status"))) is not None:
            allowed = self._allowed.admits(namespace, route.traffic.host)
            noted = _claim(body, _Rank.NOTED if allowed else _Rank.NOT_ALLOWED)
            claims[route.traffic.host] = replace(noted, since=max(noted.since, route.since))
        return claims

    def _holder_of(self, host: str) -> Key | None:
        return min(self._keys.get(host, ()), key=lambda key: self._claims[key][host], default=None)

    def _first_before(self, me: Key, mine: _Claim, host: str) -> Key | None:
        others = self._keys.get(host, set()) - {me}
        earlier = [key for key in others if self._claims[key][host] < mine]
        return min(earlier, key=lambda key: self._claims[key][host], default=None)


def granted_before_noted(body: Manifest) -> datetime | None:
    """Since when an object has its host that an operator without `status.route` has served; None for all others.

    One that lost its route has no `status.url` either.
    """
    raw = body.get("status") or {}
    if "route" in raw or not raw.get("url") or raw.get("phase", Phase.PENDING) == Phase.PENDING:
        return None
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"])


def served_since(owned: Children, owner: Owner, host: str) -> datetime | None:
    """Since when an object whose status was lost has `host`: its own Ingress still says so."""
    ingress = owned.objects.get(("Ingress", owner.name))
    if ingress is None or not is_owned(ingress, owner.uid):
        return None
    if all(rule.get("host") != host for rule in ingress["spec"].get("rules") or ()):
        return None
    return datetime.fromisoformat(ingress["metadata"]["creationTimestamp"])


def _claim(body: Manifest, rank: _Rank) -> _Claim:
    """Since the object was created."""
    metadata = body["metadata"]
    return _Claim(rank, datetime.fromisoformat(metadata["creationTimestamp"]), metadata["uid"])
