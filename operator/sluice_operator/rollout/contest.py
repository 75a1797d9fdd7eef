"""Somebody else who writes the route of a canary again and again. Pure.

One edit is repaired and reported. Two by the same writer in one run are a fight that Sluice cannot win and does not
judge: the weight is not raised any more, until the writer has left the route alone for `progressDeadline`.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from sluice_operator.api.observation import RouteEdit
from sluice_operator.api.run import RouteWriter, Run

FIGHT = 2  # edits by the same writer
_KEPT = 10  # writers


def with_edits(run: Run, edits: Sequence[RouteEdit], now: datetime) -> Run:
    """`run` with what was written by somebody else: one edit for each writer, however many objects it wrote at once."""
    writers = {writer.manager: writer for writer in run.route_writers}
    for manager, what in {edit.manager: edit.what for edit in edits}.items():
        known = writers.pop(manager, RouteWriter(manager=manager, edits=0, last_at=now, what=what))
        writers[manager] = replace(known, edits=known.edits + 1, last_at=now, what=what)
    return replace(run, route_writers=tuple(writers.values())[-_KEPT:])


def contested_by(run: Run, now: datetime) -> RouteWriter | None:
    """The writer that keeps the run from advancing, if there is one; the latest."""
    fighting = (
        writer
        for writer in run.route_writers
        if writer.edits >= FIGHT and now < writer.last_at + run.rollout.progress_deadline
    )
    return max(fighting, key=lambda writer: writer.last_at, default=None)


def named(manager: str) -> str:
    """The writer in a sentence."""
    return manager or "somebody who left no name"
