"""The part of a ModelDeployment's status that the demo looks at, parsed once from what kubectl prints."""

from typing import Any

import msgspec


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """One mapping of the status; fields that the demo does not name are passed over."""


class Model(_Part, frozen=True):
    uri: str = ""
    version: str = ""


class Revision(_Part, frozen=True):
    revision: str
    model: Model


class Run(_Part, frozen=True):
    id: str = ""
    step: int = 0


class Weight(_Part, frozen=True):
    desired: int = 0
    live: int = 0


class Objective(_Part, frozen=True):
    name: str
    result: str
    canary: str = ""
    limit: str = ""
    requests: int = 0


class Verdict(_Part, frozen=True):
    result: str = ""
    message: str = ""
    objectives: tuple[Objective, ...] = ()


class Rejection(_Part, frozen=True):
    revision: str
    model: str
    reason: str = ""
    message: str = ""


class Ended(_Part, frozen=True):
    """One entry of the history, whose newest comes first; `model` is the pinned URI."""

    revision: str
    model: str
    outcome: str
    reason: str = ""


class Condition(_Part, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""


class Status(_Part, frozen=True):
    phase: str = "Pending"
    message: str = ""
    url: str = ""
    stable: Revision | None = None
    canary: Revision | None = None
    run: Run | None = None
    weight: Weight | None = None
    verdict: Verdict | None = None
    rejected: tuple[Rejection, ...] = ()
    history: tuple[Ended, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)

    def has(self, kind: str, status: str) -> bool:
        found = self.condition(kind)
        return found is not None and found.status == status

    def revision_of(self, uri: str) -> str | None:
        """The revision of this model version, if it serves or is on trial."""
        sides = (self.stable, self.canary)
        return next((side.revision for side in sides if side is not None and side.model.uri == uri), None)

    def outcome_of(self, uri: str) -> Ended | None:
        """How the newest run of this model version ended, if one did."""
        return next((entry for entry in self.history if entry.model == uri), None)


def parse(document: dict[str, Any]) -> Status:
    """`document` is the whole object; before its first reconcile it has no status."""
    return msgspec.convert(document.get("status") or {}, Status)
