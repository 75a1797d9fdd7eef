"""A Lease in the API server: of all operators that want it, one holds it, and only that one works.

The rules are those of client-go. A holder renews it every two seconds, and stops to believe in it ten seconds after the
last renewal that worked. Another one takes it when nobody has renewed it for fifteen seconds of its own clock, so the
clocks of the two need not agree, and between the two there are five seconds without a holder.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import Conflict, NoAnswer, ReadRefused, WriteRefused

_log = logging.getLogger(__name__)
DURATION, RENEW_DEADLINE, RETRY = 15.0, 10.0, 2.0  # seconds
_ATTEMPT = 4.0  # seconds that one attempt may take, so that there are several within the deadline


class LeaseLostError(Exception):
    """The Lease was not renewed within its deadline, or it is given up: another operator may hold it."""


class LeaseStore(Protocol):
    """The verbs that a Lease needs. Writes raise Conflict or WriteRefused."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...

    async def create(self, manifest: Manifest) -> None: ...

    async def replace(self, manifest: Manifest) -> Manifest | None: ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the Lease said, and since when it has said so (seconds of our own monotonic clock)."""

    version: str
    holder: str
    duration: float
    since: float


class Lease:
    """One operator's view of the Lease `namespace/name`. `identity`: of this operator; no other one has the same."""

    def __init__(
        self, store: LeaseStore, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._metadata = {"namespace": namespace, "name": name}
        self._identity = identity
        self._clock = clock
        self._seen: _Seen | None = None
        self._written: Manifest | None = None  # by the last write, if that worked
        self._renewed_at = float("-inf")

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last read; empty if nobody did, or if it was never read."""
        return self._seen.holder if self._seen else ""

    @property
    def was_read(self) -> bool:
        """Whether the API server has answered once."""
        return self._seen is not None

    def held(self) -> bool:
        """Whether this operator may write now."""
        return self._clock() < self._renewed_at + RENEW_DEADLINE

    async def acquire(self) -> None:
        """Wait until this operator holds the Lease, however long the API server is away."""
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(RETRY)
        _log.info("%s holds the Lease %s/%s", self._identity, *self._metadata.values())

    async def keep(self, trouble: Callable[[], str] = str) -> None:
        """Renew the Lease until that has not worked for too long, or there is `trouble`. Raises LeaseLostError then.

        `trouble`: why this operator should not hold it any more; empty if it should.
        """
        while self.held():
            await asyncio.sleep(RETRY)
            if reason := trouble():
                raise LeaseLostError(f"the Lease is given up: {reason}")
            await self._attempt()
        raise LeaseLostError(f"the Lease was not renewed for {RENEW_DEADLINE:.0f} s, and {self.holder} may hold it")

    async def release(self) -> None:
        """Give the Lease back, so that the next operator need not wait for its end."""
        if self.held():
            self._renewed_at = float("-inf")
            await self._try(self._give_back())

    async def _attempt(self) -> bool:
        """Take or renew the Lease, if it is free or ours."""
        return await self._try(self._take_or_renew())

    async def _try(self, work: Coroutine[Any, Any, bool]) -> bool:
        try:
            async with asyncio.timeout(_ATTEMPT):
                return await work
        except Conflict:
            return False  # another one was faster
        except (NoAnswer, TimeoutError, ReadRefused, WriteRefused) as error:
            _log.warning("the Lease %s/%s: %s", *self._metadata.values(), str(error) or type(error).__name__)
            return False

    async def _take_or_renew(self) -> bool:
        asked_at = self._clock()  # before the request: the Lease may not end later than others believe
        lease = await self._read()
        seen = self._see(lease)
        if seen.holder not in ("", self._identity) and asked_at < seen.since + seen.duration:
            return False
        await self._write(self._identity, lease)
        self._renewed_at = asked_at
        return True

    async def _give_back(self) -> bool:
        lease = await self._read()
        if lease is None or self._see(lease).holder != self._identity:
            return False
        await self._write("", lease)
        return True

    async def _read(self) -> Manifest | None:
        """The Lease as it was written last, which is not asked for: a write to it fails if it is another one now."""
        written, self._written = self._written, None
        return written or await self._store.get("Lease", **self._metadata)

    def _see(self, lease: Manifest | None) -> _Seen:
        metadata, spec = (lease["metadata"], lease.get("spec") or {}) if lease else ({}, {})
        version = metadata.get("resourceVersion", "")
        if self._seen is None or self._seen.version != version:
            duration = spec.get("leaseDurationSeconds") or DURATION
            self._seen = _Seen(version, spec.get("holderIdentity") or "", float(duration), self._clock())
        return self._seen

    async def _write(self, holder: str, lease: Manifest | None) -> None:
        before = (lease.get("spec") or {}) if lease else {}
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        same = before.get("holderIdentity") == holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": int(DURATION) if holder else 1,
            "acquireTime": before.get("acquireTime") if same else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if same else 1),
        }
        manifest = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": self._metadata, "spec": spec}
        if lease is None:
            await self._store.create(manifest)
        else:
            self._written = await self._store.replace({**manifest, "metadata": lease["metadata"]})
        self._seen = _Seen("", holder, DURATION, self._clock())  # its version is seen with the next look at it
