"""When what was applied is over, and how it ended: the decision of `kubectl sluice wait`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sluice_operator.api.run import AT_REST, Outcome, Phase
from sluice_operator.api.status import Condition, HistoryEntry, Status

_PINNED = re.compile(r"models:/[^/@]+/\d+|models:/m-[0-9a-f]+|runs:/.+")


@dataclass(frozen=True, slots=True)
class Ending:
    """`serves`: the version that was asked for is stable, and no run is under way. `title`: how it ended, in words."""

    serves: bool
    title: str
    message: str


def pinned(uri: str) -> str:
    """The URI, if it can never name another version; else nothing."""
    return uri if _PINNED.fullmatch(uri) else ""


def ended(generation: int, status: Status, model: str, before: Sequence[HistoryEntry]) -> Ending | None:
    """How the rollout of `model` ended; None while it is not over.

    `generation`: of the spec that was applied. `model`: the pinned URI that is waited for; empty for whatever the spec
    names, as far as the operator has seen. `before`: the history when the waiting began.
    """
    run = status.run
    if status.observed_generation < generation:
        return None
    if status.phase is Phase.INITIALIZING and run is not None and run.outcome is Outcome.REJECTED:
        return Ending(False, f"{run.canary.model} was rejected", run.message)
    if status.phase not in AT_REST:
        return None
    stalled = _stalled(status)
    if stalled is not None and stalled.status == "True":
        return Ending(False, f"it waits for a person ({stalled.reason})", stalled.message)
    if status.stable is None:
        return None
    if stalled is not None and (over := _given_up(status, stalled, model)) is not None:
        return over
    if model in ("", status.stable.model.uri):
        return Ending(True, f"{status.stable.model.uri} serves", status.message)
    return _over(status, model, before)


def _over(status: Status, model: str, before: Sequence[HistoryEntry]) -> Ending | None:
    """The run of a version that is neither stable nor what the spec names any more."""
    known = {(entry.revision, entry.started_at) for entry in before}
    for entry in status.history:
        if entry.model == model and (entry.revision, entry.started_at) not in known:
            return Ending(False, f"{model} does not serve: {entry.outcome} ({entry.reason})", status.message)
    return None


def _stalled(status: Status) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == "Stalled"), None)


def _given_up(status: Status, stalled: Condition, model: str) -> Ending | None:
    """The spec names a revision that is not tried (now): Stalled has this reason while it is False."""
    if stalled.reason == "Rejected":
        rejected = next((each for each in status.rejected if model in ("", each.model)), None)
        if rejected is not None:
            title = f"{rejected.model} was rejected ({rejected.reason})"
            return Ending(False, title, f"{rejected.message}; {stalled.message}")
    if stalled.reason == "Abandoned" and status.abandoned is not None:
        abandoned = status.abandoned
        models = {entry.model for entry in status.history if entry.revision == abandoned.revision}
        if not model or model in models:
            title = f"{model or 'the newest version'} was given up for now ({abandoned.reason})"
            return Ending(False, title, f"{abandoned.message}; {stalled.message}")
    return None
