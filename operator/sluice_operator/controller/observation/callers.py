"""Requests as callers send them, now and then: does anybody else answer for the host?

They go out in the background, so that a gateway that hangs holds no worker, and an object at rest is not looked at for
them: a look gets what the last ones showed, and an object is woken when there is something to tell.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sluice_operator.api.observation import HostTrouble, Workload
from sluice_operator.api.owner import Key, Owner
from sluice_operator.api.place import Place
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status
from sluice_operator.controller.observation.proofs import Workloads
from sluice_operator.controller.scheduling.namespace_limit import NamespaceLimit
from sluice_operator.kubernetes.hosts import other_routes
from sluice_operator.kubernetes.port import LiveKube
from sluice_operator.routing import probes
from sluice_operator.routing.gateway import Access, Gateway
from sluice_operator.routing.probes import PROBES, Answer

_log = logging.getLogger(__name__)
_RESTING = (Phase.STABLE, Phase.WATCHING)
_STEPPING = (Phase.STEPPING, Phase.PROMOTING)
_IN_TROUBLE = 5.0  # seconds between two groups of probes
_AT_ONCE = 32  # objects that are probed at the same time
_OF_ONE_NAMESPACE = 2  # of these: pods that answer slowly or never delay only their neighbours
_NOT_FOUND = 404


class Timer(Protocol):
    """What `loop.call_later` returns."""

    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Pace:
    """A group of `probes` every `seconds`, and no more than `per_second` of all objects together: of many, each is
    probed less often.
    """

    probes: int
    seconds: float
    per_second: float

    def share(self, objects: int) -> float:
        """Seconds in which each of so many objects can be probed once."""
        return objects * self.probes / self.per_second


_AT_REST = _Pace(probes=1, seconds=60.0, per_second=5.0)
_IN_A_STEP = _Pace(probes=PROBES, seconds=15.0, per_second=60.0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked about one object: whether `expected` revisions answer for its host."""

    owner: Owner
    gateway: Gateway
    expected: frozenset[str]
    pace: _Pace


@dataclass(frozen=True, slots=True)
class _Known:
    """What the probes showed. `right_at`: when all of them were last answered as they should be."""

    right_at: datetime | None = None
    trouble: HostTrouble | None = None
    told: bool = False  # seen twice, or nothing that passes by itself

    @property
    def told_reason(self) -> str:
        """Empty if there is nothing to tell."""
        return self.trouble.reason if self.trouble is not None and self.told else ""


class Callers:
    """Probes of all objects that have been looked at, each with a timer of its own. `look` never waits.

    `wake`: is called with an object about which there is something new to tell. `later`: as `loop.call_later`.
    """

    def __init__(
        self,
        kube: LiveKube,
        access: Access,
        chance: random.Random,
        clock: Callable[[], datetime],
        wake: Callable[[Key], None],
        later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self._kube = kube
        self._access = access
        self._chance = chance
        self._clock = clock
        self._wake = wake
        self._later = later
        self._asked: dict[Key, _Asked] = {}
        self._objects = Counter[_Pace]()
        self._known: dict[Key, _Known] = {}
        self._timers: dict[Key, Timer] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._turns = NamespaceLimit(_OF_ONE_NAMESPACE)

    def forget(self, namespace: str, name: str) -> None:
        """Drop an object that is gone, or whose callers are not asked about now."""
        key = namespace, name
        if (asked := self._asked.pop(key, None)) is not None:
            self._objects[asked.pace] -= 1
        self._known.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def look(self, owner: Owner, current: Status, workloads: Workloads) -> HostTrouble | None:
        """What keeps callers from the revisions that should answer them, as far as is known."""
        key, expected = (owner.namespace, owner.name), _expected(current, workloads)
        if current.route is None or not expected:
            self.forget(*key)
            return None
        traffic = current.route.traffic
        gateway = Gateway(self._access.of(traffic.gateways(owner.namespace)), traffic.place)
        asked = _Asked(owner, gateway, frozenset(expected), _AT_REST if current.phase in _RESTING else _IN_A_STEP)
        if self._asked.get(key) != asked:  # what is known is about somebody else
            self.forget(*key)
            self._asked[key] = asked
            self._objects[asked.pace] += 1
            self._set_timer(key, self._chance.random() * self._pause(asked))
        known = self._known.get(key, _Known())
        return known.trouble if known.told else None

    def _set_timer(self, key: Key, seconds: float) -> None:
        later = self._later or asyncio.get_running_loop().call_later
        self._timers[key] = later(seconds, lambda: self._start(key))

    def _start(self, key: Key) -> None:
        task = asyncio.create_task(self._probe(key, self._asked[key]))
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.warning("%s/%s: nothing is known of its callers: %s", *key, error)

    async def _probe(self, key: Key, asked: _Asked) -> None:
        try:
            async with self._turns.turn(key[0]), self._limit:
                known = await self._seen(asked, self._known.get(key, _Known()))
        finally:
            if self._asked.get(key) is asked:
                in_trouble = self._known.get(key, _Known()).trouble is not None
                share = asked.pace.share(self._objects[asked.pace])
                self._set_timer(key, max(_IN_TROUBLE, share) if in_trouble else self._pause(asked))
        if self._asked.get(key) is not asked:
            return
        before = self._known.get(key, _Known())
        self._known[key] = known
        if known.told_reason != before.told_reason:
            self._wake(key)

    async def _seen(self, asked: _Asked, before: _Known) -> _Known:
        """What new probes show."""
        now, number = self._clock(), asked.pace.probes
        answers = await probes.plain(asked.gateway, number)
        if number < PROBES and any(not answer.error for answer in _wrong(answers, asked.expected)):
            answers = await probes.plain(asked.gateway, PROBES)
        if not (wrong := _wrong(answers, asked.expected)):
            return _Known(right_at=now)
        looked_for = any(not answer.error for answer in wrong)
        others = await other_routes(self._kube, asked.gateway.place, asked.owner.uid) if looked_for else ()
        trouble = _trouble(asked.gateway.place, len(answers), wrong, others, before.right_at)
        return _Known(before.right_at, trouble, told=trouble.by_another or before.trouble is not None)

    def _pause(self, asked: _Asked) -> float:
        """Seconds until the next probes, as long as nothing is wrong."""
        share = asked.pace.share(self._objects[asked.pace])
        return max(asked.pace.seconds, share) * self._chance.uniform(0.8, 1.2)


def _expected(current: Status, workloads: Workloads) -> set[str]:
    """Who may answer callers; nobody if that is changing just now, or if stable has no pod that could."""
    stable, canary = current.stable, current.canary
    if stable is None or workloads.get(stable.revision, Workload()).ready == 0:
        return set()
    if current.phase in _RESTING:  # a revision that retires may still be known to the gateway
        return {stable.revision, *(old.revision.revision for old in current.retiring)}
    if current.phase in _STEPPING and canary is not None:
        return {stable.revision, canary.revision}
    return set()


def _wrong(answers: Sequence[Answer], expected: Collection[str]) -> list[Answer]:
    return [answer for answer in answers if answer.revision not in expected]


def _trouble(
    place: Place, asked: int, wrong: Sequence[Answer], others: Sequence[str], right_at: datetime | None
) -> HostTrouble:
    """What is wrong, in one sentence, and what to do."""
    by = ", ".join(f"{number} to {where}" for where, number in Counter(map(str, wrong)).most_common(3))
    went = f"{len(wrong)} of {asked} plain requests for {place} went elsewhere: {by}"
    strangers = any(not (answer.error or answer.no_endpoints or answer.status == _NOT_FOUND) for answer in wrong)
    if others:
        listed = ", ".join(others[:5])
        what = f"{went}; the same host is in {listed}: change or delete one of the two"
        return HostTrouble("HostAnsweredByAnother", what, since=right_at, by_another=True)
    if strangers:
        what = f"{went}; no other route with this host was found: look at what else the gateway obeys"
        return HostTrouble("HostAnsweredByAnother", what, since=right_at, by_another=True)
    if all(answer.error for answer in wrong):
        return HostTrouble("GatewayUnreachable", went, since=right_at)
    return HostTrouble("HostNotAnswered", f"{went}: is it the gateway of this route?", since=right_at)
