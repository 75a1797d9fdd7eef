"""A look that ends with an error says so in the object's conditions, and not only in the operator's log.

Nothing else of the status is touched: what was decided before stays. The next look that works takes the condition back.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.api.spec import UnreadableSpecError
from sluice_operator.controller.events import Event, EventPublisher
from sluice_operator.controller.observation.adoption import StatusLostError
from sluice_operator.controller.scheduling.workqueue import Work
from sluice_operator.kubernetes.port import Kube, ReadRefused, WriteRefused

_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class TellingTrouble:
    """`work` of the queue, whose unexpected errors are told in the object's status and then raised."""

    work: Work
    kube: Kube
    publisher: EventPublisher
    clock: Callable[[], datetime]
    failed: set[Key] = field(default_factory=set)  # whose last pass did not work

    async def __call__(self, namespace: str, name: str) -> float | None:
        key = namespace, name
        try:
            pause = await self.work(namespace, name)
        except Exception as error:
            broken_before = key in self.failed
            self.failed.add(key)
            if broken_before or not isinstance(error, OSError):  # most broken connections are over at once
                await self._tell(key, error, self.clock())
            raise
        self.failed.discard(key)
        return pause

    async def _tell(self, key: Key, error: Exception, now: datetime) -> None:
        reason, message = explained(error)
        try:
            body = await self.kube.get(names.KIND, *key)
            if body is not None and (changed := with_trouble(body, reason, message, now)) is not None:
                await self.kube.update_status(changed)
                await self.publisher.post(body, iter([Event(reason, message, warning=True)]))
        except Exception as second:
            _log.warning("%s/%s: %s was not written to its status: %s", *key, reason, second)


def explained(error: Exception) -> tuple[str, str]:
    """Reason and message of the condition. The text of an unknown error may hold anything, so it is only logged."""
    match error:
        case ReadRefused():
            return "CannotRead", f"the API server refuses what this needs to read: {error}"
        case WriteRefused():
            hint = "is the CRD as new as the operator, and are its permissions those of manifests/install?"
            return "StatusRefused", f"the API server refuses the status: {error}: {hint}"
        case StatusLostError():
            return "StatusLost", str(error)
        case UnreadableSpecError():
            return "CannotRead", f"the spec is not in a form that this operator knows: {error}"
        case OSError():
            return "CannotRead", f"a connection of the operator broke ({type(error).__name__}): see its log"
        case _:
            return "InternalError", f"the operator has a fault, {type(error).__name__} {_where(error)}: see its log"


def with_trouble(body: Manifest, reason: str, message: str, now: datetime) -> Manifest | None:
    """The object with this reason in its condition Stalled; None if it says so already.

    The status is not parsed, because that may be what does not work.
    """
    status = body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    before = conditions.get("Stalled", {})
    if (before.get("status"), before.get("reason"), before.get("message")) == ("True", reason, message):
        return None
    conditions["Stalled"] = _stalled(before, reason, message, now, body["metadata"].get("generation", 0))
    return {**body, "status": {**status, "message": message, "conditions": list(conditions.values())}}


def _stalled(before: Mapping[str, Any], reason: str, message: str, now: datetime, generation: int) -> dict[str, Any]:
    since = before.get("lastTransitionTime") if before.get("status") == "True" else None
    return {
        "type": "Stalled",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or now.isoformat().replace("+00:00", "Z"),
        "observedGeneration": generation,
    }


def _where(error: Exception) -> str:
    """The place in our own code that the error came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents]
    if not frames:
        return "in another package"
    return f"in {Path(frames[-1].filename).relative_to(_PACKAGE)}:{frames[-1].lineno}"
