"""Which ModelDeployment has a host, or a path of one. Two with the same would get a share of each other's requests.

The first that was granted a place keeps it, whatever was created earlier; status says since when. Of those that only
ask for it, the oldest object gets it; one that may not have it, by the administrator's setting, keeps it from nobody.
Neither does one that has to wait for a third: who asks for all of a host gets nothing while a path of it is taken, and
keeps nobody from the other paths.

Only the operator writes `status.route`. Whatever else seems to show that an object had a host, as after an upgrade or
with a lost status, somebody in its namespace may have made: it helps against those that ask, never against a route that
is noted.

All objects are listed once, and then the watch keeps the list up to date. So a reconcile of one object does not read
all others.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

import msgspec

from sluice_operator.api import names, status, traffic
from sluice_operator.api.allowed_routes import AllowedRoutes
from sluice_operator.api.owner import Key, Manifest, Owner, is_owned
from sluice_operator.api.place import Place
from sluice_operator.api.run import Phase
from sluice_operator.api.traffic import Traffic
from sluice_operator.kubernetes.children import Children
from sluice_operator.kubernetes.hosts import addresses
from sluice_operator.kubernetes.port import LiveKube


class _Rank(IntEnum):
    NOTED = 0
    SERVED_BEFORE_NOTED = 1
    SHOWN = 2  # by its Ingress or HTTPRoute
    ASKED = 3
    NOT_ALLOWED = 4  # any more: it keeps what it has until somebody asks who may have it


@dataclass(frozen=True, slots=True, order=True)
class _Claim:
    """The first in order has the place. The uid is for those of the same second."""

    rank: _Rank
    since: datetime
    uid: str


_ClaimOf = tuple[_Claim, Place, Key]  # in the order of the claims


class HostClaims:
    """The places that all ModelDeployments have or ask for."""

    def __init__(self, kube: LiveKube, allowed: AllowedRoutes) -> None:
        self._kube = kube
        self._allowed = allowed
        self._claims: dict[Key, dict[Place, _Claim]] = {}
        self._at: dict[Place, set[Key]] = defaultdict(set)  # the objects with a claim to this place
        self._places: dict[Place, set[Place]] = defaultdict(set)  # those of them that are a part of this one
        self._listed = False
        self._listing = asyncio.Lock()

    def see(self, body: Manifest) -> set[Key]:
        """Note the claims of an object as it is now. Returns the others with a claim to a place that changes hands."""
        key = body["metadata"]["namespace"], body["metadata"]["name"]
        before, after = self._claims.get(key, {}), self._claims_of(body)
        changed = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
        if not changed:
            return set()
        holders = {place: self._holder_of(place) for place in changed.union(*map(self._overlapping, changed))}
        self._note(key, after)
        moved = [place for place, holder in holders.items() if holder != self._holder_of(place)]
        return {other for place in moved for other in self._at.get(place, ())} - {key}

    def _note(self, key: Key, claims: dict[Place, _Claim]) -> None:
        self.forget(*key)
        self._claims[key] = claims
        for place in claims:
            self._at[place].add(key)
            for whole in place.around():
                self._places[whole].add(place)

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that was deleted."""
        key = namespace, name
        for place in self._claims.pop(key, {}):
            self._at[place].discard(key)
            if self._at[place]:
                continue
            del self._at[place]
            for whole in place.around():
                self._places[whole].discard(place)
                if not self._places[whole]:
                    del self._places[whole]

    async def holder(self, body: Manifest, place: Place, served_since: datetime | None = None) -> str:
        """`namespace/name` of the object that has `place` or a part of it, if that is not `body`; else empty.

        `served_since`: when `body` got the place by what its objects show, if its status is lost.
        Whoever is named was read again, because the watch may have missed a change. And before a place is granted, all
        who have a claim to it are read again.
        """
        await self._list_once()
        me = body["metadata"]["namespace"], body["metadata"]["name"]
        mine = self._claims_of(body).get(place) or _claim(body, _Rank.NOT_ALLOWED)
        if served_since is not None and mine.rank is _Rank.ASKED:
            mine = replace(mine, rank=_Rank.SHOWN, since=served_since)
        if mine.rank is not _Rank.NOTED:
            for other in sorted({key for _, _, key in self._others(me, place)}):
                await self._read(other)
        while (first := self._first_before(me, mine, place)) is not None:
            claim, at, other = first
            await self._read(other)
            if self._claims.get(other, {}).get(at) == claim:
                return "/".join(other)
        return ""

    async def _list_once(self) -> None:
        """The workers that need the list wait for the first of them: it is large."""
        async with self._listing:
            if self._listed:
                return
            async for listed in self._kube.each(names.KIND, {}):
                self._note((listed["metadata"]["namespace"], listed["metadata"]["name"]), self._claims_of(listed))
            self._listed = True

    async def _read(self, key: Key) -> None:
        live = await self._kube.get(names.KIND, *key)
        if live is None:
            self.forget(*key)
        else:
            self.see(live)

    def _claims_of(self, body: Manifest) -> dict[Place, _Claim]:
        """The claims of an object: what it was granted, and what it asks for and may have."""
        namespace, asked = body["metadata"]["namespace"], _asked(body)
        claims = {}
        if asked is not None and granted_before_noted(body):
            allowed = self._allowed.admits(namespace, asked.place.host)
            claims[asked.place] = _claim(body, _Rank.SERVED_BEFORE_NOTED if allowed else _Rank.NOT_ALLOWED)
        elif asked is not None and self._allowed.refusal(namespace, asked) is None:
            claims[asked.place] = _claim(body, _Rank.ASKED)
        if (route := status.route(body.get("status"))) is not None:
            allowed = self._allowed.admits(namespace, route.traffic.place.host)
            noted = _claim(body, _Rank.NOTED if allowed else _Rank.NOT_ALLOWED)
            claims[route.traffic.place] = replace(noted, since=max(noted.since, route.since))
        return claims

    def _overlapping(self, place: Place) -> set[Place]:
        """All places with a claim that this one is a part of, or that are a part of it."""
        return {whole for whole in place.around() if whole in self._at} | self._places.get(place, set())

    def _others(self, me: Key | None, place: Place) -> Iterable[_ClaimOf]:
        """The claims of other objects than `me` to this place, or to one that overlaps it."""
        for at in self._overlapping(place):
            for key in self._at[at] - {me}:
                yield self._claims[key][at], at, key

    def _holder_of(self, place: Place) -> Key | None:
        """Who has the place or, of several with a part of it, who had it first."""
        first = self._first_granted(self._others(None, place))
        return first and first[2]

    def _first_before(self, me: Key, mine: _Claim, place: Place) -> _ClaimOf | None:
        return self._first_granted(other for other in self._others(me, place) if other[0] < mine)

    def _first_granted(self, claims: Iterable[_ClaimOf]) -> _ClaimOf | None:
        """The first of them that need not wait for another object's claim. In order, so it is seldom a later one."""
        return next((one for one in sorted(claims) if self._first_before(one[2], one[0], one[1]) is None), None)


def _asked(body: Manifest) -> Traffic | None:
    """None for a kind of route that this version does not know: whoever asks for it waits for another version."""
    try:
        return traffic.of(body["spec"])
    except (KeyError, msgspec.ValidationError):
        return None


def granted_before_noted(body: Manifest) -> datetime | None:
    """Since when an object has its host that an operator without `status.route` has served; None for all others.

    One that lost its route has no `status.url` either.
    """
    raw = body.get("status") or {}
    if "route" in raw or not raw.get("url") or raw.get("phase", Phase.PENDING) == Phase.PENDING:
        return None
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"])


def served_since(owned: Children, owner: Owner, place: Place) -> datetime | None:
    """Since when an object whose status was lost has `place`: its own route still says so."""
    written = {"Ingress": place.in_ingress, names.HTTP_ROUTE: place.path}
    routes = [(owned.objects.get((kind, owner.name)), path) for kind, path in written.items()]
    return min(
        (
            datetime.fromisoformat(route["metadata"]["creationTimestamp"])
            for route, path in routes
            if route is not None and is_owned(route, owner.uid) and (place.host, path) in addresses(route)
        ),
        default=None,
    )


def _claim(body: Manifest, rank: _Rank) -> _Claim:
    """Since the object was created."""
    metadata = body["metadata"]
    return _Claim(rank, datetime.fromisoformat(metadata["creationTimestamp"]), metadata["uid"])
