"""One run is one trace, whatever happens to the operator meanwhile."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from sluice_operator.api.run import Phase
from sluice_operator.telemetry import spans
from sluice_operator.telemetry.spans import Span
from sluice_operator.telemetry.tracing import Tracing
from tests.unit.sluice_operator.build import FAIL, NOW, OWNER, again, rolling_back, stepping
from tests.unit.sluice_operator.telemetry.runs import Collector, listened, roll_out, serving


def rolled_out(*, fails: bool = False) -> list[Span]:
    """The spans of a whole run, in one process."""
    collector, world = Collector(), serving()
    listened(world, Tracing(collector.sent.append))
    world.reconcile()
    collector.sent.clear()  # of version 1
    roll_out(world, fails=fails)
    return collector.sent


def test_a_promotion_is_one_trace_with_its_phases_and_weights() -> None:
    """The root span comes last, because a span is sent when it is over."""
    sent = rolled_out()
    assert len({span.trace for span in sent}) == 1
    assert [span.name for span in sent if span.name != "weight"] == [
        "Starting", "Stepping", "Promoting", "Swapping", "Watching", "run",
    ]  # fmt: skip
    assert [span.attributes["sluice.weight"] for span in sent if span.name == "weight"][:2] == [10, 50]
    root = sent[-1]
    assert (root.parent, root.attributes["sluice.outcome"], root.failed) == (None, "Promoted", False)


def test_spans_of_phases_are_inside_of_the_run_and_follow_each_other() -> None:
    """Weights are inside of the phase in which they were proven."""
    sent = rolled_out()
    root = sent[-1]
    phases = [span for span in sent if span.parent == root.id]
    assert [span.end for span in phases[:-1]] == [span.start for span in phases[1:]]
    assert (phases[0].start, phases[-1].end) == (root.start, root.end)
    (stepping_phase,) = (span for span in phases if span.name == "Stepping")
    assert {span.parent for span in sent if span.name == "weight"} == {stepping_phase.id}


def test_a_rollback_says_which_verdict_led_to_it() -> None:
    """The weight at which it failed has the verdict as an event, and the phase of the rollback links to that weight."""
    sent = rolled_out(fails=True)
    _, failed = (span for span in sent if span.name == "weight")
    (back,) = (span for span in sent if span.name == Phase.ROLLING_BACK)
    assert failed.events[0].attributes == {"sluice.verdict": "Fail", "sluice.reason": "ErrorRateAboveLimit"}
    assert back.links == (failed.id,)
    assert (sent[-1].failed, sent[-1].attributes["sluice.reason"]) == (True, "ErrorRateAboveLimit")


@pytest.mark.parametrize("fails", [False, True])
def test_an_operator_that_is_killed_after_each_status_write_loses_no_span(fails: bool) -> None:
    """The next process sends what this one could not, in the same trace; what comes twice has the same ids."""
    collector, world = Collector(), serving()
    roll_out(world, fails=fails, killed=collector)
    newest = collector.sent[-1].trace
    once = [span for span in collector.unique.values() if span.trace == newest]
    assert Counter(span.name for span in once) == Counter(span.name for span in rolled_out(fails=fails))
    assert len(collector.sent) > len(collector.unique)


def test_a_process_sends_each_span_once() -> None:
    """A later status of the same run adds only what is new."""
    sent = rolled_out()
    assert len(sent) == len({span.id for span in sent})


def test_a_run_that_ended_long_ago_is_not_sent_again() -> None:
    """A restart of the operator must not send the last run of each of thousands of objects."""
    ended = again(rolling_back())
    while ended.status.phase is not Phase.STABLE:
        ended = again(ended)
    for later, expected in ((timedelta(minutes=14), True), (timedelta(hours=1), False)):
        collector = Collector()
        Tracing(collector.sent.append).saw(OWNER, ended.status, ended.status, NOW + later)
        assert bool(collector.sent) is expected


def test_two_objects_with_the_same_revision_have_two_traces() -> None:
    """The id of a run is unique only within its object."""
    status = stepping(verdict=FAIL).status
    mine = spans.ended(OWNER, status)
    other = spans.ended(type(OWNER)("other", "iris", "another-uid"), status)
    assert {span.trace for span in mine}.isdisjoint(span.trace for span in other)


def test_a_status_of_an_older_operator_gives_a_trace_without_phases() -> None:
    """It has not noted when its phases began. Weights are there, below the run."""
    status = rolling_back().status
    assert status.run is not None
    old = replace(status, run=replace(status.run, phases=()))
    assert [span.name for span in spans.ended(OWNER, old)] == ["weight"]
