"""The baseline is learned from arrays: they hold what single tallies of single bins would say, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from sluice_operator.analysis import baseline, criteria
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import tally
from tests.unit.sluice_operator.build import a_spec

OBJECTIVES = a_spec().objectives  # errors up to 1 %, p95 within 200 ms, accuracy of 0.70
BOUNDS = (0.1, 0.2, 0.25)
BIN = 15.0
EDGES = [1_800_000_000.1 + BIN * index for index in range(241)]
Series = tuple[dict[str, str], list[tuple[float, str]]]


def by_single_tallies(counters: Counters) -> Baseline:
    """The baseline as its definition says: a tally for each bin in which a pod was scraped, one pod after the other."""
    tallies = [
        tally(counters, "old", since, until, pod_name)
        for pod_name, pod in counters.pods.items()
        if pod.revision == "old"
        for since, until in pairwise(EDGES)
        if pod.first <= since and until <= pod.last
    ]
    counted = {objective.name: criteria.counts(objective, BOUNDS, *tallies) for objective in OBJECTIVES}
    by_objective = baseline.from_counts(counted, EDGES[1] - EDGES[0])
    requests = sum(counted.finished for counted in tallies)
    return Baseline(by_objective, BOUNDS, len(tallies) * (EDGES[1] - EDGES[0]), requests)


def pod(number: int, chance: np.random.Generator) -> Iterator[Series]:
    """The series of a pod that is scraped at its own times, restarts once, misses scrapes, and lacks some counters."""
    first, last = sorted(chance.integers(0, 240, 2) if number else (0, 240))
    times = [at + chance.uniform(-3, 3) for at in EDGES[first : last + 1] if chance.random() < 0.97]
    restart = chance.integers(0, len(times) + 1)

    def series(name: str, share: float, **labels: str) -> Series:
        grown = chance.poisson(200 * share, len(times))
        totals = np.concatenate([grown[:restart].cumsum(), grown[restart:].cumsum()])
        begins = 0 if chance.random() < 0.8 else int(chance.integers(0, len(times) + 1))
        identity = {"__name__": name, "pod_uid": f"pod-{number}", "revision": "old", **labels}
        return identity, [(at, str(total)) for at, total in zip(times[begins:], totals[begins:], strict=True)]

    for code, share in (("200", 1.0), ("422", 0.1), ("500", 0.02), ("503", 0.01)):
        yield series("ml_requests_total", share, code=code)
    yield series("ml_feedback_total", 0.5)
    yield series("ml_feedback_correct_total", 0.4)
    for bound, share in (("0.1", 0.5), ("0.2", 0.9), ("+Inf", 1.0)):
        if chance.random() < 0.9:
            yield series("ml_request_duration_seconds_bucket", share, le=bound)


@pytest.mark.parametrize("pods", range(1, 9))
def test_arrays_of_bins_give_the_same_baseline_as_single_tallies(pods: int) -> None:
    """Bit for bit: with restarts, missed scrapes, pods that come and go, and a histogram that lacks a bound."""
    chance = np.random.default_rng(pods)
    counters = Counters()
    counters.add([series for number in range(pods) for series in pod(number, chance)])
    expected, learned = by_single_tallies(counters), baseline.from_counters(OBJECTIVES, BOUNDS, counters, "old", EDGES)
    assert (learned.pod_seconds, learned.requests) == (expected.pod_seconds, expected.requests)
    for name, past in expected.by_objective.items():
        found = learned.by_objective[name]
        assert (found.requests, found.bad) == (past.requests, past.bad)
        for law, other in ((found.judged, past.judged), (found.compared, past.compared)):
            for field in ("starts", "seconds", "any_start"):
                assert np.array_equal(getattr(law, field), getattr(other, field))


def test_a_pod_that_was_never_scraped_for_a_whole_bin_says_nothing() -> None:
    """The baseline is then that of a past without counts."""
    counters = Counters()
    labels = {"__name__": "ml_requests_total", "pod_uid": "a", "revision": "old", "code": "200"}
    counters.add([(labels, [(EDGES[3] + 1, "5"), (EDGES[3] + 9, "8")])])
    learned = baseline.from_counters(OBJECTIVES, BOUNDS, counters, "old", EDGES)
    assert (learned.pod_seconds, learned.requests) == (0.0, 0)
