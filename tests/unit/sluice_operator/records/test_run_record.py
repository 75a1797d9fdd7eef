"""A record holds all of a run, in few bytes; what is no record is told."""

from __future__ import annotations

import math
import zlib
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.evaluation import EndedRun, Evaluation
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.api.quantities import Number
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.bursts import PodHistory as Counted
from sluice_operator.evalues.bursts import learn
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import ObjectiveBaseline
from sluice_operator.records import run_record
from sluice_operator.records.replay import replayed
from sluice_operator.records.run_record import RunRecord, UnreadableRecordError
from tests.unit.sluice_operator.build import UNDECIDED, a_spec
from tests.unit.sluice_operator.recorded import BEGAN, PATIENCE, TICK, a_run, recorded, ticks

RUN = a_run()
LAST = Evaluation(UNDECIDED, BEGAN)


def past() -> Baseline:
    """As learned from counts: laws of floats that no short number tells."""
    random = np.random.default_rng(3)
    requests = random.poisson(300, (1, 400)).astype(float)
    bad = random.binomial(300, 0.01, (1, 400)).astype(float)
    law = learn(Counted(requests, bad, 15.0))
    judged = learn(Counted(requests[0], bad[0], 15.0))
    known = {
        one.name: ObjectiveBaseline(law, judged, float(requests.sum()), float(bad.sum())) for one in RUN.objectives
    }
    return Baseline(known, (0.05, 0.2), 6000.0, 120_000)


def made(told: list[Tick], known: Baseline | None = None) -> RunRecord:
    trial = RunEvidence(RUN.judged, len(RUN.steps), known or past(), Pods(2, 3), TICK, told)
    return run_record.of_run("models", "iris", RUN, EndedRun(trial, LAST, PATIENCE))


tallies = st.builds(
    Tally,
    started=st.integers(0, 9),
    finished=st.integers(0, 9),
    errors=st.integers(0, 9),
    within=st.dictionaries(st.sampled_from((0.05, 0.2, math.inf)), st.integers(0, 9)),
    labels=st.integers(0, 9),
    correct=st.integers(0, 9),
)


@settings(max_examples=40, deadline=None)
@given(arms=st.lists(st.tuples(tallies, tallies, st.booleans()), min_size=1, max_size=8), start=st.floats(1e9, 2e9))
def test_ticks_come_back_as_they_were(arms: list[tuple[Tally, Tally, bool]], start: float) -> None:
    """Whatever was counted, and wherever a histogram was not there."""
    edges = [start]
    for _ in arms:
        edges.append(edges[-1] + TICK)
    told = [Tick(since, until, *each) for (since, until), each in zip(pairwise(edges), arms, strict=True)]
    record = run_record.decoded(run_record.encoded(made(told)))
    assert list(run_record.ticks_of(record)) == told


def test_what_was_learned_comes_back_to_the_last_digit() -> None:
    """Laws, totals and bounds."""
    known = past()
    found = run_record.baseline_of(run_record.decoded(run_record.encoded(made(list(ticks(RUN)), known))))
    assert (found.bounds, found.pod_seconds, found.requests) == (known.bounds, known.pod_seconds, known.requests)
    for name, one in known.by_objective.items():
        again = found.by_objective[name]
        assert (again.requests, again.bad) == (one.requests, one.bad)
        for law, other in ((again.compared, one.compared), (again.judged, one.judged)):
            np.testing.assert_array_equal(law.starts, other.starts, strict=True)
            np.testing.assert_array_equal(law.seconds, other.seconds, strict=True)
            np.testing.assert_array_equal(law.any_start, other.any_start, strict=True)


def test_the_run_comes_back_with_its_terms_and_its_end() -> None:
    """As status had it, and the last look as it was."""
    record = recorded(RUN, ticks(RUN))
    again = run_record.decoded(run_record.encoded(record))
    assert again == record
    assert (again.run, again.last_evaluation.verdict.result) == (RUN, "Pass")


def test_hours_at_a_thousand_requests_per_second_are_kept_whole() -> None:
    """Four of them, in ticks of 5 seconds, in less than a tenth of what a ConfigMap holds."""
    long = a_run(weights=(10, 50), step_seconds=2 * 3600.0)
    told = list(ticks(long, rate=1000.0))
    assert len(told) == 2880
    data = run_record.encoded(made(told))
    assert len(data) < 100_000
    assert run_record.decoded(data).dropped_ticks == 0


def test_of_a_run_that_is_too_long_the_newest_ticks_are_kept() -> None:
    """And the record says how many are missing."""
    told = list(ticks(a_run(step_seconds=1800.0)))
    record = run_record.decoded(run_record.encoded(made(told), most_bytes=4_000))
    assert 0 < record.dropped_ticks < len(told)
    assert list(run_record.ticks_of(record)) == told[record.dropped_ticks :]
    assert len(run_record.encoded(record)) <= 4_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zlib", "no record of a run"),
        (zlib.compress(b"no json"), "no record of a run"),
        (zlib.compress(b'{"format": 1}'), "format 1, this program reads format 3"),
        (zlib.compress(msgspec.json.encode({"format": 3, "name": "iris"})), "missing required field"),
    ],
)
def test_what_is_no_record_is_told(data: bytes, words: str) -> None:
    """With the reason."""
    with pytest.raises(UnreadableRecordError, match=words):
        run_record.decoded(data)


def test_a_latency_without_a_limit_comes_back() -> None:
    """With what was slow in its run, wherever that is told."""
    objectives = a_spec(objectives=[{"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}]).objectives
    run = replace(a_run(), objectives=objectives, latency_thresholds={"p95": Number.parse("0.2")})
    record = run_record.decoded(run_record.encoded(recorded(run, ticks(run))))
    assert record.latency_bounds == (0.2,)
    assert (record.run, record.run.judged) == (run, run.judged)
    assert list(replayed(record).differences()) == []
