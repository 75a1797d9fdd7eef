"""What counts as time: no time that is still to come, and of a start only what was looked at and was the model's. Pure.

A deadline is compared with the time in the phase. So time that does not count moves the beginning of the phase.
"""

from datetime import timedelta

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import BEFORE_TRAFFIC, Phase, Run
from sluice_operator.api.status import Status

_BETWEEN_LOOKS = timedelta(minutes=1)  # that count at most; looks of a start are some seconds apart
_NOTED_AFTER = timedelta(seconds=30)  # so that not every look is a write
_PAST = (
    "started_at",
    "looked_at",
    "on_hold_since",
    "step_started_at",
    "traffic_started_at",
    "first_live_at",
    "promoted_at",
)


def without_times_to_come(seen: Observation, status: Status) -> Status:
    """A beginning that is missing, or that lies in the future of this clock, is now: else its deadline never comes."""
    if status.phase is Phase.PENDING:
        return status
    run, now = status.run, seen.now
    if run is not None:
        known = {name: at for name in _PAST if (at := getattr(run, name)) is not None}
        run = replace(run, **{name: now for name, at in known.items() if at > now})
    return replace(status, run=run, phase_started_at=min(status.phase_started_at or now, now))


def without_unseen_time(seen: Observation, status: Status) -> Status:
    """The operator was away, or the machine slept: nobody knows what kept the pods from being ready then."""
    run, began = _start(status), status.phase_started_at
    if run is None or began is None or run.outcome is not None or run.on_hold_since is not None:
        return status
    passed = seen.now - (run.looked_at or began)
    if passed < _NOTED_AFTER:
        return status
    unseen = max(passed - _BETWEEN_LOOKS, timedelta(0))
    return replace(status, run=replace(run, looked_at=seen.now), phase_started_at=began + unseen)


def without_time_on_hold(seen: Observation, status: Status) -> Status:
    """The time in which something else than the model holds a start is not counted, and nothing else is given back.

    So pods that are ready for a moment again and again do not start for ever.
    """
    run, began, pods = _start(status), status.phase_started_at, seen.workload(status.canary)
    held = pods.registry_unreachable or pods.ready > 0 or seen.obstacle(status.canary) is not None
    if run is None or began is None or held == (run.on_hold_since is not None):
        return status
    if run.on_hold_since is None:
        return replace(status, run=replace(run, on_hold_since=seen.now))
    resumed = began + (seen.now - run.on_hold_since)
    return replace(status, run=replace(run, on_hold_since=None, looked_at=seen.now), phase_started_at=resumed)


def _start(status: Status) -> Run | None:
    return status.run if status.phase in BEFORE_TRAFFIC else None
