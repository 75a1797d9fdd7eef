"""A record has all of a run in few bytes; other data is refused with the reason."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace as replace_tick
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.default_objectives import default_objectives
from sluice_operator.analysis.evaluation import EndedRun, Evaluation
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.api.quantities import Number
from sluice_operator.api.status import Result
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.bursts import learn
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.counts import BinnedCounts
from sluice_operator.evalues.objective import ObjectiveBaseline
from sluice_operator.records import run_record
from sluice_operator.records.replay import replayed
from sluice_operator.records.run_record import RunRecord, UnreadableRecordError
from tests.unit.sluice_operator.build import UNDECIDED, a_spec
from tests.unit.sluice_operator.recorded import BEGAN, PATIENCE, TICK, a_run, recorded, ticks

RUN = a_run()
LAST = Evaluation(UNDECIDED, BEGAN)


def past() -> Baseline:
    """A baseline that is learned from counts: its laws are floats with many digits."""
    random = np.random.default_rng(3)
    requests = random.poisson(300, (1, 400)).astype(float)
    bad = random.binomial(300, 0.01, (1, 400)).astype(float)
    compared = learn(BinnedCounts(requests, bad, 15.0))
    judged = learn(BinnedCounts(requests[0], bad[0], 15.0))
    by_objective = {
        objective.name: ObjectiveBaseline(compared, judged, float(requests.sum()), float(bad.sum()))
        for objective in RUN.judged
    }
    return Baseline(by_objective, (0.05, 0.2), 6000.0, 120_000)


def made(counted: list[Tick], baseline: Baseline | None = None) -> RunRecord:
    evidence = RunEvidence(RUN.judged, len(RUN.steps), baseline or past(), Pods(2, 3), TICK)
    for tick in counted:
        evidence.ticks.append(tick)
    return run_record.of_run("models", "iris", RUN, EndedRun(evidence, LAST, PATIENCE))


tallies = st.builds(
    Tally,
    started=st.integers(0, 9),
    finished=st.integers(0, 9),
    errors=st.integers(0, 9),
    within=st.dictionaries(st.sampled_from((0.05, 0.2, math.inf)), st.integers(0, 9)),
    labels=st.integers(0, 9),
    correct=st.integers(0, 9),
    refused=st.integers(0, 9),
    others=st.integers(0, 9),
)


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.tuples(tallies, tallies, st.booleans()), min_size=1, max_size=8), start=st.floats(1e9, 2e9))
def test_ticks_are_decoded_as_they_were(counts: list[tuple[Tally, Tally, bool]], start: float) -> None:
    """With any counts, and with or without a histogram."""
    edges = [start]
    for _ in counts:
        edges.append(edges[-1] + TICK)
    counted = [Tick(since, until, *of_tick) for (since, until), of_tick in zip(pairwise(edges), counts, strict=True)]
    record = run_record.decoded(run_record.encoded(made(counted)))
    assert list(run_record.ticks_of(record)) == counted


def test_a_baseline_is_decoded_to_the_last_digit() -> None:
    """Its laws, totals and bounds."""
    written = past()
    read = run_record.baseline_of(run_record.decoded(run_record.encoded(made(list(ticks(RUN)), written))))
    assert (read.bounds, read.pod_seconds, read.requests) == (written.bounds, written.pod_seconds, written.requests)
    for name, before in written.by_objective.items():
        after = read.by_objective[name]
        assert (after.requests, after.bad) == (before.requests, before.bad)
        for law, other in ((after.compared, before.compared), (after.judged, before.judged)):
            np.testing.assert_array_equal(law.starts, other.starts, strict=True)
            np.testing.assert_array_equal(law.seconds, other.seconds, strict=True)
            np.testing.assert_array_equal(law.any_start, other.any_start, strict=True)
            np.testing.assert_array_equal(law.divisor, other.divisor, strict=True)


def test_a_record_of_before_other_requests_were_counted_is_read() -> None:
    """There were none, as far as anybody knows."""
    counted = [replace_tick(tick, canary=replace_tick(tick.canary, others=9)) for tick in ticks(RUN)]
    document = msgspec.json.decode(zlib.decompress(run_record.encoded(made(counted))))
    del document["canary"]["others"], document["stable"]["others"]
    record = run_record.decoded(zlib.compress(msgspec.json.encode(document)))
    assert list(run_record.ticks_of(record)) == list(ticks(RUN))


def test_a_run_is_decoded_with_its_policy_and_its_end() -> None:
    """The run as status had it, with its last evaluation."""
    record = recorded(RUN, ticks(RUN))
    decoded = run_record.decoded(run_record.encoded(record))
    assert decoded == record
    assert (decoded.run, decoded.last_evaluation.verdict.result) == (RUN, "Pass")


def test_a_record_has_all_ticks_of_four_hours_at_a_thousand_requests_per_second() -> None:
    """Ticks of 5 seconds, in less than a tenth of what a ConfigMap can hold."""
    long = a_run(weights=(10, 50), step_seconds=2 * 3600.0)
    counted = list(ticks(long, rate=1000.0))
    assert len(counted) == 2880
    data = run_record.encoded(made(counted))
    assert len(data) < 100_000
    assert run_record.decoded(data).dropped_ticks == 0


def test_the_record_of_a_run_that_is_too_long_has_its_newest_ticks() -> None:
    """It says how many are missing."""
    counted = list(ticks(a_run(step_seconds=1800.0)))
    record = run_record.decoded(run_record.encoded(made(counted), most_bytes=4_000))
    assert 0 < record.dropped_ticks < len(counted)
    assert list(run_record.ticks_of(record)) == counted[record.dropped_ticks :]
    assert len(run_record.encoded(record)) <= 4_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zlib", "not a record of a run"),
        (zlib.compress(b"no json"), "not a record of a run"),
        (zlib.compress(b'{"format": 1}'), "format 1, this program reads format 4"),
        (zlib.compress(b'{"name": "iris", "patience": 30.0}'), "format 2, this program reads format 4"),
        (zlib.compress(msgspec.json.encode({"format": 4, "name": "iris"})), "missing required field"),
    ],
)
def test_data_that_is_not_a_record_is_refused(data: bytes, words: str) -> None:
    """The message has the reason."""
    with pytest.raises(UnreadableRecordError, match=words):
        run_record.decoded(data)


def test_a_latency_without_a_limit_is_decoded_with_its_threshold() -> None:
    """The replay uses it too."""
    objectives = a_spec(objectives=[{"name": "p95", "latency": {"quantile": "0.95", "maxRatio": "1.5"}}]).objectives
    run = replace(a_run(), objectives=objectives, latency_thresholds={"p95": Number.parse("0.2")})
    record = run_record.decoded(run_record.encoded(recorded(run, ticks(run))))
    assert record.latency_bounds == (0.2,)
    assert (record.run, record.run.judged) == (run, run.judged)
    assert list(replayed(record).differences()) == []


def test_refusals_are_decoded_and_judged_again() -> None:
    """Also where the spec did not ask for them: the record has what the run was judged by."""
    run = a_run(default_objectives=default_objectives(a_run().objectives))
    refused = (
        replace_tick(tick, canary=replace_tick(tick.canary, refused=tick.canary.finished // 9)) for tick in ticks(run)
    )
    record = run_record.decoded(run_record.encoded(recorded(run, refused)))
    verdict = record.last_evaluation.verdict
    assert (verdict.result, verdict.reason) == (Result.FAIL, "RefusalsWorseThanStable")
    assert record.canary.refused[:3] == [count // 9 for count in record.canary.finished[:3]]
    assert list(replayed(record).differences()) == []
