"""What a person asks of a rollout: the annotation `sluice.dev/command` with `<verb>/<revision>/<step>/<time>`. Pure.

The whole text is the command's id, and the annotation is never removed. A command is taken once, also if something
writes an old one again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sluice_operator.api import names

_FORM = "<verb>/<revision>/<step>/<time>, such as abort/k3v9q2x7ma/0/2026-03-01T12:00:00Z"
_LONGEST = 200  # characters of a command; a longer one is not stored in status


class Verb(StrEnum):
    """What can be asked. The revision is the one that is tried; for retry a rejected one, for undo the stable one."""

    PROMOTE = "promote"  # leave this step and take the next one
    PROMOTE_FULL = "promote-full"  # leave out all steps
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is well formed. `step`: index of the step that it was meant for."""

    verb: Verb
    revision: str
    step: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The text of the annotation; who wrote it by his client's own word, and when by the API server's clock."""

    text: str
    by: str = ""
    at: datetime | None = None

    @property
    def id(self) -> str:
        """The text, of the length that status stores."""
        return self.text[:_LONGEST]


def parse(text: str) -> Command:
    """Read a command. Raises ValueError with a message that says what to write; none repeats a long text."""
    if len(text) > _LONGEST:
        raise ValueError(f"a command has at most {_LONGEST} characters, and this text {len(text)}: write {_FORM}")
    try:
        verb, revision, step, _ = text.split("/")
        given_at(text)
        number = int(step)
    except ValueError:
        raise ValueError(f"{text!r} is not a command: write {_FORM}") from None
    if not revision.isalnum():
        raise ValueError(f"{revision!r} is not the name of a revision: write {_FORM}")
    if verb not in list(Verb):
        raise ValueError(f"{verb!r} is not a verb: write one of {', '.join(Verb)}")
    return Command(Verb(verb), revision, number)


def given_at(text: str) -> datetime:
    """When a command was given, by the clock of whoever gave it. Raises ValueError."""
    time = datetime.fromisoformat(text.rpartition("/")[2])
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def text_of(verb: Verb, revision: str, step: int, now: datetime) -> str:
    """The annotation for a command that is given at `now`."""
    return f"{verb}/{revision}/{step}/{now.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"


def asked(body: Any) -> Asked | None:
    """The command in a ModelDeployment as it was read; None if there was never one."""
    metadata = body["metadata"]
    text = (metadata.get("annotations") or {}).get(names.ANNOTATION_COMMAND)
    if not text:
        return None
    written = max(_writes(metadata), key=lambda entry: str(entry.get("time", "")), default={})
    time = written.get("time")
    return Asked(text, written.get("manager", ""), datetime.fromisoformat(time) if time else None)


def _writes(metadata: Any) -> Iterator[dict[str, Any]]:
    """The entries of managedFields whose manager wrote the annotation."""
    for entry in metadata.get("managedFields") or ():
        annotations = entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:annotations", {})
        if f"f:{names.ANNOTATION_COMMAND}" in annotations:
            yield entry
