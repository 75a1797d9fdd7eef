"""Who is told what has become of each object, to report it: metrics and traces. They decide nothing."""

import logging
from datetime import datetime
from typing import Protocol

from sluice_operator.api.owner import Owner
from sluice_operator.api.status import Status

_log = logging.getLogger(__name__)


class StatusListener(Protocol):
    """Is told each status. It does not wait for anything."""

    def saw(self, owner: Owner, before: Status, after: Status, now: datetime) -> None:
        """The status of an object has become `after`; it may be the same as before."""

    def forget(self, namespace: str, name: str) -> None:
        """The object is gone."""


class Listeners:
    """Tells all of them. A bug in a report must not stop a rollout, so it is only logged."""

    def __init__(self, *listeners: StatusListener) -> None:
        self._listeners = listeners

    def saw(self, owner: Owner, before: Status, after: Status, now: datetime) -> None:
        for listener in self._listeners:
            try:
                listener.saw(owner, before, after, now)
            except Exception:
                _log.exception("%s/%s: a report failed, and the rollout goes on", owner.namespace, owner.name)

    def forget(self, namespace: str, name: str) -> None:
        for listener in self._listeners:
            listener.forget(namespace, name)
