"""Sends the spans of runs when they are over.

An operator that was killed may not have sent the last ones. So the first time that a process sees an object, it sends
those of its run again; a backend knows them by their ids.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sluice_operator.api.owner import Owner
from sluice_operator.api.status import Status
from sluice_operator.telemetry import spans
from sluice_operator.telemetry.spans import Span

_SENT_AGAIN = timedelta(minutes=15)  # after the end of a run; a restart must not send the runs of months again


class Tracing:
    """Gives each span to `send` once, in this process. `send` must not block."""

    def __init__(self, send: Callable[[Span], None]) -> None:
        self._send = send
        self._known: set[tuple[str, str]] = set()  # namespace and name

    def saw(self, owner: Owner, before: Status, after: Status, now: datetime) -> None:
        """The status of an object has become `after`."""
        key = owner.namespace, owner.name
        if key not in self._known:
            self._known.add(key)
            if _is_recent(before, now):
                for span in spans.ended(owner, before):
                    self._send(span)
        for span in spans.ended_between(owner, before, after):
            self._send(span)

    def forget(self, namespace: str, name: str) -> None:
        """The object is gone."""
        self._known.discard((namespace, name))


def _is_recent(status: Status, now: datetime) -> bool:
    run = status.run
    return run is not None and (run.ended_at is None or now < run.ended_at + _SENT_AGAIN)
