"""The part of a ModelDeployment's status that the demo uses, parsed from what kubectl prints."""

from typing import Any

import msgspec


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """One object of the status. Fields that the demo does not name are ignored."""


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
    """`live` stays the last one that was proven while a write is proven; `verified_at` is empty then."""

    desired: int = 0
    live: int = 0
    verified_at: str = ""

    def is_proven(self, weight: int) -> bool:
        """Whether the canary gets this weight, and no write is waiting for its proof."""
        return self.live == weight and bool(self.verified_at)


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
    """One entry of the history. `model` is the pinned URI."""

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
    history: tuple[Ended, ...] = ()  # the newest first
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)

    def has(self, kind: str, status: str) -> bool:
        condition = self.condition(kind)
        return condition is not None and condition.status == status

    def revision_of(self, uri: str) -> str | None:
        """The revision with this pinned model URI, if it is stable or canary."""
        revisions = (revision for revision in (self.stable, self.canary) if revision is not None)
        return next((revision.revision for revision in revisions if revision.model.uri == uri), None)

    def outcome_of(self, uri: str) -> Ended | None:
        """How the newest run with this pinned model URI ended; None if none has ended."""
        return next((entry for entry in self.history if entry.model == uri), None)


def parse(document: dict[str, Any]) -> Status:
    """The status of a ModelDeployment as kubectl prints it. A new one may have none."""
    return msgspec.convert(document.get("status") or {}, Status)
