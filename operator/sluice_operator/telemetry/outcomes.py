"""Counts what has ended between two statuses of one object: runs and steps, with their durations.

A counter may miss an end if the operator is killed between its write of the status and the next scrape. Where each end
counts, read `status.history`.
"""

from datetime import datetime

from sluice_operator.api.run import Run
from sluice_operator.api.status import Status
from sluice_operator.telemetry.metrics import RUN_DURATION, RUNS, STEP_DURATION


def count(before: Status, after: Status) -> None:
    """Count the ends that `after` knows and `before` did not."""
    run = after.run
    if run is None:
        return
    same = before.run if before.run is not None and before.run.id == run.id else None
    if run.outcome is not None and run.ended_at is not None and (same is None or same.outcome is None):
        RUNS.labels(run.outcome, run.reason).inc()
        RUN_DURATION.labels(run.outcome).observe((run.ended_at - run.started_at).total_seconds())
    ended_before = _steps_ended(same) if same is not None else set()
    for since, until in _steps_ended(run) - ended_before:
        STEP_DURATION.observe((until - since).total_seconds())


def _steps_ended(run: Run) -> set[tuple[datetime, datetime]]:
    """From when to when weights were live."""
    return {(entry.since, entry.until) for entry in run.live_weights if entry.until is not None}
