"""Which namespaces are this operator's, if another install watches them, too.

The Leases of two installs differ, so neither says anything about the other. What both of them can read and write are
the namespaces that they watch. So an operator works in a namespace only with a claim there: a ConfigMap that names it.

A claim works like a Lease without renewals. Who finds that of another asks in it whether that one is still there. Who
has it reads all claims every five seconds, answers, and believes for twenty seconds in a claim in which nobody has
asked. Who has asked takes it when nobody has answered for thirty. Between the two there are ten seconds without an
operator.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.claim import Claim, Step, step
from sluice_operator.kubernetes.port import Conflict, NoAnswer, ReadRefused, WriteRefused

_log = logging.getLogger(__name__)
HELD_FOR = 20.0  # seconds
EVERY, _ATTEMPT = 5.0, 4.0  # seconds between two looks, and for one request
_SHORTEST = 0.01  # seconds for which it is worth to wait
_RIVAL_FOR = 180.0  # seconds after the last question, in which the other one has asked three times


class ClaimStore(Protocol):
    """The verbs that claims need. Those that write raise Conflict or WriteRefused."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...

    async def named(self, kind: str, namespace: str, name: str) -> list[Manifest]: ...

    async def create(self, manifest: Manifest) -> None: ...

    async def apply(self, manifest: Manifest) -> None: ...

    async def delete(self, manifest: Manifest) -> None: ...


@dataclass(slots=True)
class _Place:
    """What is known of one namespace. Times are those of the clock."""

    held: bool = False
    mine_until: float = float("-inf")
    version: str = ""  # of the claim
    since: float = 0.0  # it has this version
    asked_at: float = float("-inf")  # this operator has asked the last time
    refused_by: str = ""  # who has answered
    rival: str = ""  # who has asked this operator
    rival_until: float = float("-inf")
    warning: str = ""  # that was logged last


class Claims:
    """The claims of the operator `identity`, which is the namespace and the name of its Lease.

    `namespaces`: those that are watched; without any, all. `has`: whether a namespace is this operator's by its labels.
    `clock`: seconds.
    """

    def __init__(
        self,
        store: ClaimStore,
        identity: str,
        namespaces: Sequence[str] = (),
        has: Callable[[str], bool] = lambda namespace: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self.identity = identity
        self._namespaces = namespaces or ("",)
        self._has = has
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._new: dict[str, None] = {}  # namespaces that were wanted since the last look, in their order
        self._some = asyncio.Event()

    def __contains__(self, namespace: object) -> bool:
        """Whether this operator has the namespace, as far as it knows."""
        place = self._places.get(str(namespace))
        return place is not None and place.held

    def may_write(self, namespace: str) -> bool:
        """Whether this operator has the namespace, and no other one can have it yet."""
        place = self._places.get(namespace)
        return place is not None and place.held and self._clock() < place.mine_until

    def want(self, namespace: str) -> None:
        """Claim the namespace, because there is something to do."""
        if namespace not in self._places:
            self._new[namespace] = None
            self._some.set()

    def refused_by(self, namespace: str) -> str:
        """Who has the namespace and answers; empty if nobody else is known to."""
        place = self._places.get(namespace)
        return place.refused_by if place else ""

    def rival(self, namespace: str) -> str:
        """Who else watches a namespace that this operator has; empty if nobody is known to."""
        place = self._places.get(namespace)
        return place.rival if place else ""

    def refused(self) -> dict[str, str]:
        """The namespaces that another operator works in, with its name."""
        return {name: place.refused_by for name, place in sorted(self._places.items()) if place.refused_by}

    async def run(self, wake: Callable[[str], None], is_watched: Callable[[str], bool]) -> None:
        """Look at the claims until this is cancelled.

        `wake`: is called with a namespace when something has changed there. `is_watched`: whether it has objects.
        """
        while True:
            await self._look_at_all(wake, is_watched)
            until = self._clock() + EVERY
            while (left := until - self._clock()) > _SHORTEST:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._some.wait(), left)
                await self._look_at_new(wake)

    async def _look_at_all(self, wake: Callable[[str], None], is_watched: Callable[[str], bool]) -> None:
        asked_at = self._clock()  # before the request: we may not believe in a claim longer than others wait
        try:
            async with asyncio.timeout(_ATTEMPT):
                claims = await self._list()
        except (NoAnswer, TimeoutError, ReadRefused) as error:
            _log.warning("the claims to namespaces cannot be read: %s", str(error) or type(error).__name__)
            return
        ours = [namespace for namespace, claim in claims.items() if claim.operator == self.identity]
        for namespace in sorted({*self._places, *filter(self._has, ours)}):
            if not self._has(namespace):
                await self._leave(namespace, claims.get(namespace))
            elif namespace not in claims and not is_watched(namespace):
                del self._places[namespace]
            else:
                await self._look(namespace, claims.get(namespace), asked_at, wake)

    async def _look_at_new(self, wake: Callable[[str], None]) -> None:
        self._some.clear()
        new, self._new = self._new, {}
        for namespace in new:
            if namespace not in self._places and self._has(namespace):
                await self._look(namespace, None, self._clock(), wake)

    async def _list(self) -> dict[str, Claim]:
        found = [await self._store.named("ConfigMap", each, names.CLAIM) for each in self._namespaces]
        claims = [Claim.read(manifest) for manifests in found for manifest in manifests]
        return {claim.namespace: claim for claim in claims}

    async def _look(self, namespace: str, claim: Claim | None, asked_at: float, wake: Callable[[str], None]) -> None:
        place = self._places.setdefault(namespace, _Place())
        before = place.held, place.refused_by, place.rival
        try:
            async with asyncio.timeout(_ATTEMPT):
                await self._judge(namespace, place, claim, asked_at)
        except Conflict:
            pass  # somebody was faster: the next look shows who
        except (NoAnswer, TimeoutError, ReadRefused, WriteRefused) as error:
            _warn(place, namespace, f"the claim to it: {str(error) or type(error).__name__}")
        if self._clock() >= place.rival_until:
            place.rival = ""
        if before != (place.held, place.refused_by, place.rival):
            _log_others(place, namespace, was_alone=not (before[1] or before[2]))
            wake(namespace)

    async def _judge(self, namespace: str, place: _Place, claim: Claim | None, asked_at: float) -> None:
        if claim is None and not (claim := await self._create(namespace, place, asked_at)):
            return
        if claim.version != place.version:
            place.version, place.since = claim.version, self._clock()
        now = self._clock()
        match step(claim, self.identity, now - place.since, now - place.asked_at):
            case Step.HOLD:
                _hold(place, asked_at)
            case Step.ANSWER:
                await self._store.apply(claim.of(self.identity))
                place.rival, place.rival_until = claim.asked_by, now + _RIVAL_FOR
                _hold(place, asked_at)
            case Step.ASK:
                _lose(place)
                await self._store.apply(claim.asked(self.identity))
                place.asked_at = now
            case Step.TAKE:
                await self._store.apply(claim.of(self.identity))
                _hold(place, now)
            case Step.WAIT:
                _lose(place)
                if not claim.asked_by and place.asked_at > float("-inf"):
                    place.refused_by = claim.operator

    async def _create(self, namespace: str, place: _Place, asked_at: float) -> Claim | None:
        """Create the claim. Returns that of somebody else, if there is one by now."""
        try:
            await self._store.create(Claim(namespace, self.identity).manifest())
        except Conflict:
            _lose(place)
            found = await self._store.get("ConfigMap", namespace, names.CLAIM)
            return Claim.read(found) if found else None
        except WriteRefused as error:  # a quota, or the namespace is being deleted: nobody can have a claim there
            _warn(place, namespace, f"nobody can claim it, so two operators would not notice each other: {error}")
        _hold(place, asked_at)
        return None

    async def _leave(self, namespace: str, claim: Claim | None) -> None:
        """Give the claim up, so that whoever has the namespace by its labels need not ask."""
        place = self._places.pop(namespace)
        if place.held and claim is not None and claim.operator == self.identity:
            with suppress(Conflict, NoAnswer, TimeoutError, WriteRefused):
                async with asyncio.timeout(_ATTEMPT):
                    await self._store.delete(claim.live)


def two_operators(other: str) -> str:
    """What to do, as a sentence. `other`: namespace and name of its Lease."""
    return f"The operator with the Lease {other} watches it, too: take one of the two away, or let it watch others"


def _hold(place: _Place, asked_at: float) -> None:
    place.held, place.refused_by, place.mine_until = True, "", asked_at + HELD_FOR


def _lose(place: _Place) -> None:
    place.held, place.rival, place.mine_until = False, "", float("-inf")


def _log_others(place: _Place, namespace: str, was_alone: bool) -> None:
    if place.refused_by:
        _warn(place, namespace, f"this operator does nothing there. {two_operators(place.refused_by)}")
    elif place.rival:
        _warn(place, namespace, f"this operator works there. {two_operators(place.rival)}")
    elif not was_alone:
        _warn(place, namespace, "no other operator watches it any more")


def _warn(place: _Place, namespace: str, text: str) -> None:
    """Once, and not with each look."""
    if text != place.warning:
        place.warning = text
        _log.warning("namespace %s: %s", namespace, text)
