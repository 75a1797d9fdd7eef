"""What is remembered of revisions that failed, so that they are not tried again, and of a Fail until it acts. Pure."""

from datetime import datetime

from msgspec.structs import replace

from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Failure, Run
from sluice_operator.api.status import TOLERANCE_CHANGED, Rejection, Status
from sluice_operator.rollout import revisions

REJECTED_KEPT = 20
ABORTED, UNDONE = "Aborted", "Undone"  # why a person rejected a revision; no change of objectives forgets that
RETURNED = "Returned"  # how the run of what an undo brings back ends

NO_READY_PODS, PROGRESS_DEADLINE_EXCEEDED = "NoReadyPods", "ProgressDeadlineExceeded"


def is_for_answers(reason: str) -> bool:
    """Whether a rejection for `reason` says something about the answers.

    Pods that came late or left say nothing, and neither does how labels are counted.
    """
    return reason not in (NO_READY_PODS, PROGRESS_DEADLINE_EXCEEDED, TOLERANCE_CHANGED)


def unacted_fail(status: Status) -> Failure | None:
    """The Fail of this run that has not acted: there was nobody to give the requests back to."""
    return status.run.failed if status.run is not None else None


def of_run(run: Run, revision: Revision, now: datetime) -> Rejection:
    """That of `revision`, whose run has ended so."""
    return Rejection(
        revision=revision.revision,
        model=revision.model.uri,
        reason=run.reason,
        message=run.message,
        at=now,
        generation=run.generation,
        objectives_hash="" if run.reason in (ABORTED, UNDONE) else revisions.objectives_hash(run.objectives),
    )


def with_newest(rejected: tuple[Rejection, ...], newest: Rejection) -> tuple[Rejection, ...]:
    """The newest first, one for each revision."""
    others = (earlier for earlier in rejected if earlier.revision != newest.revision)
    return (newest, *others)[:REJECTED_KEPT]


def with_first(rejected: tuple[Rejection, ...], named: str) -> tuple[Rejection, ...]:
    """With that of the revision `named` in front, and the others with the newest first."""
    newest_first = sorted(rejected, key=lambda entry: entry.at, reverse=True)
    return tuple(sorted(newest_first, key=lambda entry: entry.revision != named))


def forgotten(status: Status, revision: str) -> Status:
    """`status` in which nothing is remembered against `revision` any more, so that it may be tried again."""
    rejected = tuple(entry for entry in status.rejected if entry.revision != revision)
    kept = status.abandoned if status.abandoned and status.abandoned.revision != revision else None
    return replace(status, rejected=rejected, abandoned=kept)


def without(rejected: tuple[Rejection, ...], serving: Revision | None) -> tuple[Rejection, ...]:
    """Without what serves when a run has ended, such as after an undo that was not finished."""
    return tuple(entry for entry in rejected if serving is None or entry.revision != serving.revision)
