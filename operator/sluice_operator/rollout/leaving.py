"""The end of a run in which no revision has ready pods: at once, as there is no weight to bring to 0 first. Pure."""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Outcome, Phase, Run
from sluice_operator.api.status import Status
from sluice_operator.rollout import pauses
from sluice_operator.rollout.rejections import unacted_fail
from sluice_operator.rollout.transitions import abandoned, end_run, ended, rejected

_FOR_A_PERSON = (pauses.BY_COMMAND, pauses.BY_OBJECTIVE, pauses.STATUS_LOST)


def give_up(seen: Observation, run: Run, outcome: Outcome, reason: str, message: str) -> Status:
    """The status without `run`, in Stable: the next look starts whatever follows.

    A Fail that is known rejects, whatever ends the run. One that waits for a person is not tried again by itself, if it
    is abandoned. Its pods stay for `progressDeadline` at least: once they are ready, they may answer for others.
    """
    status, failed = seen.status, unacted_fail(seen.status)
    watching = status.phase is Phase.WATCHING
    subject, leaving = (status.stable, status.previous) if watching else (status.canary, status.canary)
    assert subject is not None
    if failed is not None:
        outcome, reason, message = Outcome.REJECTED, failed.reason, failed.message
    ending = ended(pauses.resumed(run, seen.now), outcome, reason, message, seen.now)
    status = replace(status, verdict=None)
    if outcome is Outcome.REJECTED:
        status = rejected(status, subject, ending, seen.now)
    if outcome is Outcome.ABANDONED and run.pause is not None and run.pause.reason in _FOR_A_PERSON:
        status = abandoned(seen, status, subject, ending)
    return end_run(seen, status, ending, subject, leaving=leaving, unproven_route=True)
