"""Whole runs of a simulated world, with what their listeners heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sluice_operator.api.run import Phase
from sluice_operator.controller.listeners import Listeners, StatusListener
from sluice_operator.telemetry.spans import Span
from sluice_operator.telemetry.tracing import Tracing
from tests.unit.sluice_operator.build import FAIL, resolved
from tests.unit.sluice_operator.world import World

PASSES = 80


class Collector:
    """The spans that were sent. `unique`: as a backend shows them, which knows a span by its ids."""

    def __init__(self) -> None:
        self.sent: list[Span] = []

    @property
    def unique(self) -> dict[tuple[int, int], Span]:
        return {(span.trace, span.id): span for span in self.sent}


def listened(world: World, *listeners: StatusListener) -> None:
    """A new process of the operator, with these listeners."""
    world.start_operator()
    world.operator = replace(world.operator, listeners=Listeners(*listeners))


def serving() -> World:
    """Version 1 serves."""
    world = World()
    world.calm_down(passes=8)
    assert world.status.phase is Phase.STABLE
    return world


def roll_out(world: World, *, fails: bool = False, killed: Collector | None = None) -> None:
    """Version 2 is rolled out. With `fails`, it fails at its second step.

    With `killed`, the operator is killed after its first write of each pass, before it could send a span. The next
    process sends its spans to `killed`, and is killed with its next status.
    """
    world.resolution = resolved(2)
    for _ in range(PASSES):
        run = world.status.run
        if fails and run is not None and run.step == 1 and run.step_started_at is not None:
            world.verdicts["2"] = FAIL
        if killed is None:
            world.reconcile()
        else:
            listened(world, Tracing(killed.sent.append))
            world.reconcile(cut_after=1)
        world.run_pods()
        world.sync_gateway()
        world.now += timedelta(seconds=10)
    assert world.status.phase is Phase.STABLE
