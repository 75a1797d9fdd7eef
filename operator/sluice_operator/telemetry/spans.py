"""The trace of a run as values: spans from its status. Pure.

A run is one trace: a span for the run, one for each phase, and one for each time in which a weight was live. All ids
follow from the object and the run, and all times from status. So an operator that was restarted goes on in the same
trace, and a span that is sent twice is the same span.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import pairwise, takewhile

from sluice_operator.api.owner import Owner
from sluice_operator.api.run import LiveWeight, Outcome, Phase, Run
from sluice_operator.api.status import Status, Verdict

_DECIDED_BY_A_VERDICT = (Phase.PROMOTING, Phase.ROLLING_BACK)
_JUDGED = ("weight", Phase.STEPPING, Phase.SWAPPING, Phase.WATCHING)  # spans that a verdict may end
Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at a moment of a span."""

    name: str
    at: datetime
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a run that is over. `links`: ids of spans of the same trace that led to it."""

    trace: int
    id: int
    parent: int | None
    name: str
    start: datetime
    end: datetime
    attributes: Attributes
    failed: bool = False
    links: tuple[int, ...] = ()
    events: tuple[Event, ...] = ()


def ended_between(owner: Owner, before: Status, after: Status) -> list[Span]:
    """The spans that `after` knows to be over and `before` did not, with the verdict that ended them."""
    if after.run is None or after.run == before.run:
        return []
    known = {(span.trace, span.id) for span in ended(owner, before)}
    verdict = after.verdict or before.verdict
    return [_with_verdict(span, verdict) for span in ended(owner, after) if (span.trace, span.id) not in known]


def ended(owner: Owner, status: Status) -> list[Span]:
    """All spans of the object's run that its status knows to be over."""
    return [] if status.run is None else list(_Trace(owner, status.run).spans())


@dataclass(frozen=True, slots=True)
class _Trace:
    """The run of an object."""

    owner: Owner
    run: Run

    @property
    def id(self) -> int:
        return _number(16, self.owner.uid, self.run.id)

    def spans(self) -> Iterator[Span]:
        """Those that are over."""
        entries = self.run.phases
        going_on = list(takewhile(lambda entry: entry.phase is not Phase.STABLE, entries))
        for began, following in pairwise(entries[: len(going_on) + 1]):
            yield self._phase(began.phase, began.since, following.since)
        for live in self.run.live_weights:
            if live.until is not None:
                yield self._weight(live, live.until)
        if len(going_on) < len(entries):
            yield self._whole(until=entries[len(going_on)].since)

    def _whole(self, until: datetime) -> Span:
        run = self.run
        attributes = {
            "k8s.namespace.name": self.owner.namespace,
            "sluice.model_deployment": self.owner.name,
            "sluice.run": run.id,
            "sluice.canary.revision": run.canary.revision,
            "sluice.stable.revision": run.stable.revision if run.stable else "",
            "sluice.outcome": str(run.outcome or ""),
            "sluice.reason": run.reason,
        }
        failed = run.outcome is Outcome.REJECTED
        return Span(self.id, self._id("run"), None, "run", run.started_at, until, attributes, failed)

    def _phase(self, phase: Phase, since: datetime, until: datetime) -> Span:
        links: tuple[int, ...] = ()
        if phase in _DECIDED_BY_A_VERDICT:
            deciding = [live for live in self.run.live_weights if live.since <= since]
            links = tuple(self._weight_id(live) for live in deciding[-1:])
        attributes = {"sluice.phase": str(phase)}
        return Span(
            self.id, self._phase_id(phase, since), self._id("run"), phase, since, until, attributes, links=links
        )

    def _weight(self, live: LiveWeight, until: datetime) -> Span:
        phases = [self._phase_id(entry.phase, entry.since) for entry in self.run.phases if entry.since <= live.since]
        parent = phases[-1] if phases else self._id("run")
        attributes = {"sluice.weight": live.weight}
        return Span(self.id, self._weight_id(live), parent, "weight", live.since, until, attributes)

    def _phase_id(self, phase: Phase, since: datetime) -> int:
        return self._id(phase, since.isoformat())

    def _weight_id(self, live: LiveWeight) -> int:
        return self._id("weight", str(live.weight), live.since.isoformat())

    def _id(self, *parts: str) -> int:
        return _number(8, str(self.id), *parts)


def _with_verdict(span: Span, verdict: Verdict | None) -> Span:
    """`span` with the verdict as an event at its end."""
    if verdict is None or span.name not in _JUDGED:
        return span
    attributes = {"sluice.verdict": str(verdict.result), "sluice.reason": verdict.reason}
    return replace(span, events=(Event("verdict", span.end, attributes),))


def _number(size: int, *parts: str) -> int:
    """A number of `size` bytes, never 0, that follows from the parts."""
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:size]) or 1
