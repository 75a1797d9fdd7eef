"""Which time counts: no beginning lies in the future, and a deadline counts only while an operator looks. Pure.

A deadline is compared with the time in the phase. So time that does not count moves the beginning of the phase.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from operator import is_
from typing import Any, get_args, get_type_hints

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import AT_REST, BEFORE_TRAFFIC, Pause, Phase, Run
from sluice_operator.api.status import Abandoned, Retiring, Status
from sluice_operator.api.status_part import StatusPart
from sluice_operator.rollout.start_conditions import is_held

_BETWEEN_LOOKS = timedelta(minutes=1)  # that count at most; looks at a rollout are some seconds apart
_NOTED_AFTER = timedelta(seconds=30)  # so that not every look is a write

_Ahead = tuple[type[StatusPart], str]  # a field with a time that is still to come, and the struct that has it


def without_times_to_come(seen: Observation, status: Status) -> Status:
    """What was is at most now, and what will be is at most its own duration away: else it never comes.

    A clock that was wrong has written it, or a person. That holds for every time in the status, also for new fields. No
    run has paused for longer than it is there. A beginning that is missing is now.
    """
    bounded: Status = _bounded(status, seen.now, _latest(seen, status), seen.now)
    if (run := bounded.run) is not None:
        lived = ceil((seen.now - run.started_at).total_seconds())
        if (paused := max(0, min(run.paused_seconds, lived))) != run.paused_seconds:
            bounded = replace(bounded, run=replace(run, paused_seconds=paused))
    if status.phase is Phase.PENDING:
        return bounded
    return bounded if bounded.phase_started_at else replace(bounded, phase_started_at=seen.now)


def _latest(seen: Observation, status: Status) -> Mapping[_Ahead, datetime]:
    """When each thing that is still to come has come at the latest."""
    run = status.run
    rollouts = (seen.spec.rollout, run.rollout) if run else (seen.spec.rollout,)
    waits = max(rollout.progress_deadline for rollout in rollouts)
    leaves = max(rollout.scale_down_delay for rollout in rollouts)
    pauses = [pause.duration for pause in run.pauses if pause.duration] if run else []
    return {
        (Abandoned, "retry_at"): seen.now + waits,
        (Retiring, "until"): seen.now + max(waits, leaves),
        (Pause, "until"): seen.now + max(pauses, default=timedelta(0)),
    }


def _bounded(value: Any, now: datetime, latest: Mapping[_Ahead, datetime], most: datetime) -> Any:
    """`value` without times after `most`; those in it are at most `now`, unless `latest` names another one for them."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return min(value if value.tzinfo else value.replace(tzinfo=UTC), most)
    if isinstance(value, tuple):
        parts = tuple([_bounded(part, now, latest, now) for part in value])
        return value if all(map(is_, parts, value)) else parts
    kind: Any = type(value)
    changed = {}
    for name in _with_times(kind):
        before = getattr(value, name)
        after = _bounded(before, now, latest, latest.get((kind, name), now))
        if after is not before:
            changed[name] = after
    return replace(value, **changed) if changed else value


@cache
def _with_times(kind: Any) -> tuple[str, ...]:
    """The fields of `kind` that are times, or have some in them."""
    return tuple(name for name, hint in get_type_hints(kind).items() if any(map(_has_times, _alternatives(hint))))


def _has_times(kind: Any) -> bool:
    if kind is datetime:
        return True
    return isinstance(kind, type) and issubclass(kind, StatusPart) and bool(_with_times(kind))


def _alternatives(hint: Any) -> list[Any]:
    """The types that a type hint is made of."""
    parts = get_args(hint)
    return [kind for part in parts for kind in _alternatives(part)] if parts else [hint]


def without_unseen_time(seen: Observation, status: Status) -> Status:
    """The operator was away, or the machine slept: nobody knows what went on then, and no verdict was read.

    So no deadline comes nearer: neither that of the phase nor that of the run, which a pause has put off already.
    """
    run, began = status.run, status.phase_started_at
    if run is None or began is None or status.phase in AT_REST:
        return status
    if run.outcome is not None or run.on_hold_since is not None:
        return status
    passed = seen.now - max(run.looked_at or began, began)
    if passed < _NOTED_AFTER:
        return status
    unseen = max(passed - _BETWEEN_LOOKS, timedelta(0))
    put_off = 0 if run.pause else round(unseen.total_seconds())
    noted = replace(run, looked_at=seen.now, paused_seconds=run.paused_seconds + put_off)
    return replace(status, run=noted, phase_started_at=began + unseen)


def without_time_on_hold(seen: Observation, status: Status) -> Status:
    """The time in which something else than the model holds a start is not counted, and nothing else is given back.

    So pods that are ready for a moment again and again do not start for ever.
    """
    run, began = _start(status), status.phase_started_at
    if run is None or began is None or is_held(seen, status, run) == (run.on_hold_since is not None):
        return status
    if run.on_hold_since is None:
        return replace(status, run=replace(run, on_hold_since=seen.now))
    resumed = began + (seen.now - run.on_hold_since)
    return replace(status, run=replace(run, on_hold_since=None, looked_at=seen.now), phase_started_at=resumed)


def _start(status: Status) -> Run | None:
    return status.run if status.phase in BEFORE_TRAFFIC else None
