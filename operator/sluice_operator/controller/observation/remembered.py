"""What is known of revisions when the status was lost: which served, and which were rejected. Pure.

Run records say it, and the last command: an undo leaves no record before its watch is over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice_operator.api import names
from sluice_operator.api.command import Asked, Verb, given_at, parse
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import Rejection
from sluice_operator.rollout.rejections import RETURNED, UNDONE


@dataclass(frozen=True, slots=True)
class Remembered:
    """Each revision is in one of the two, by the newest that is known of it; the newest first."""

    rejected: tuple[Rejection, ...]
    served: tuple[str, ...]  # were stable, and were not rejected since


def of_records(records: Iterable[Manifest], command: Asked | None) -> Remembered:
    """What these ConfigMaps and the last command say. One that is not in the form of Sluice says nothing."""
    said = [decision for record in records for decision in _of_record(record)]
    said += _of_command(command) if command else ()
    decided = dict[str, Rejection | None]()
    for _, revision, rejection in sorted(said, key=lambda decision: decision[0], reverse=True):
        decided.setdefault(revision, rejection)
    return Remembered(
        tuple(rejection for rejection in decided.values() if rejection is not None),
        tuple(revision for revision, rejection in decided.items() if rejection is None),
    )


_Decision = tuple[datetime, str, Rejection | None]  # when, on which revision; None: it was promoted


def _of_record(record: Manifest) -> Iterator[_Decision]:
    """A run that was withdrawn, superseded or abandoned says nothing about its revision."""
    metadata, data = record["metadata"], record.get("data") or {}
    run = metadata["name"].removeprefix(names.run_record(metadata["labels"][names.LABEL_OWNER], ""))
    revision, model, message = run.partition("-")[0], data.get("model", ""), data.get("message", "")
    try:
        at = datetime.fromisoformat(data.get("endedAt", ""))
    except ValueError:
        return
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if data.get("outcome") == Outcome.REJECTED:
        yield at, revision, Rejection(revision, model, data.get("reason", ""), message, at)
    if data.get("outcome") == Outcome.PROMOTED:
        yield at, revision, None
        left = data.get("stableRevision")
        if left and data.get("reason") == RETURNED:  # an undo rejects what it leaves
            yield at, left, Rejection(left, data.get("stable", ""), UNDONE, message, at)


def _of_command(asked: Asked) -> Iterator[_Decision]:
    """Whoever asked to leave a revision does not want it tried again, even if the answer is lost."""
    try:
        command, at = parse(asked.text), given_at(asked.text)
    except ValueError:
        return
    if command.verb is Verb.UNDO:
        left, message = command.revision, f"{asked.by or 'somebody'} asked for an undo, and then the status was lost"
        yield at, left, Rejection(left, f"revision {left}", UNDONE, message, at)
