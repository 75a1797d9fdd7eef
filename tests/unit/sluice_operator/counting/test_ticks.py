"""A run in ticks: they do not depend on when the samples are read, and no later scrape changes a closed tick."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.counting.counters import Counters, Sample
from sluice_operator.counting.ticks import (
    ComparedRevisions,
    Tally,
    Tick,
    closed_ticks,
    counted_until,
    last_scrape,
    tally,
)

REQUESTS, STARTED, BUCKET = "ml_requests_total", "ml_requests_started_total", "ml_request_duration_seconds_bucket"
BOTH = ComparedRevisions("new", "old")
Series = tuple[dict[str, str], Sequence[Sample]]


def series(name: str, *samples: Sample, pod: str = "a", revision: str = "new", **labels: str) -> Series:
    return {"__name__": name, "pod_uid": pod, "revision": revision, **labels}, samples


def counters_of(*answer: Series) -> Counters:
    counters = Counters()
    counters.add(answer)
    return counters


def ticks(counters: Counters, start: float = 0, length: float = 10, stale_after: float = 30) -> list[Tick]:
    return list(closed_ticks(counters, BOTH, start, length, stale_after))


def scraped(times: Iterable[float], rate: float = 1, **labels: str) -> Series:
    """A pod that finishes `rate` requests per second, scraped at these times."""
    return series(REQUESTS, *((at, round(rate * at + 1000)) for at in times), code="200", **labels)


def both(canary: Iterable[float], stable: Iterable[float] = range(-20, 100, 10)) -> Counters:
    return counters_of(scraped(canary), scraped(stable, 9, pod="s", revision="old"))


def test_a_tally_counts_one_revision_over_all_of_its_pods() -> None:
    """Pods come and go; other revisions are not counted."""
    counters = counters_of(
        series(STARTED, (0, 0), (20, 10), pod="a"),
        series(STARTED, (30, 0), (40, 5), pod="b"),
        series(STARTED, (0, 0), (20, 99), pod="c", revision="old"),
        series(REQUESTS, (0, 0), (20, 8), pod="a", code="200"),
        series(REQUESTS, (0, 0), (20, 1), pod="a", code="500"),
        series(REQUESTS, (0, 0), (20, 1), pod="a", code="422"),
        series(REQUESTS, (30, 0), (40, 2), pod="b", code="503"),
        series(BUCKET, (0, 0), (20, 7), le="0.2"),
        series(BUCKET, (0, 0), (20, 10), le="+Inf"),
        series("ml_feedback_total", (0, 0), (20, 4)),
        series("ml_feedback_correct_total", (0, 0), (20, 3)),
        series("ml_other_requests_total", (0, 0), (20, 6)),
    )
    within = {0.2: 7, math.inf: 10}
    all_pods = Tally(15, finished=12, errors=3, within=within, labels=4, correct=3, refused=1, others=6)
    assert tally(counters, "new", 0, 100) == all_pods
    assert tally(counters, "new", 0, 100, pod="b") == Tally(started=5, finished=2, errors=2)


def test_refused_and_abandoned_requests_are_counted_apart_from_errors() -> None:
    """A wrong request of a caller is not an error of the model. A model server counts nothing but predictions."""
    codes = {"200": 60, "413": 1, "415": 2, "422": 3, "499": 4, "500": 5, "503": 6}
    counters = counters_of(*(series(REQUESTS, (0, 0), (20, count), code=code) for code, count in codes.items()))
    assert tally(counters, "new", 0, 100) == Tally(finished=81, errors=11, refused=10)


def test_a_first_error_of_a_scraped_pod_is_counted() -> None:
    """Its series appears with its first value."""
    counters = counters_of(series(REQUESTS, (0, 50), (20, 60), code="200"), series(REQUESTS, (20, 2), code="500"))
    assert tally(counters, "new", 0, 100) == Tally(finished=12, errors=2)


def test_the_first_label_that_a_pod_of_another_revision_counts_is_counted() -> None:
    """The pod was scraped before it had this series, whichever revision it serves."""
    counters = counters_of(
        series(REQUESTS, (0, 50), (20, 60), pod="b", revision="old", code="200"),
        series("ml_feedback_total", (20, 2), (30, 3), pod="b"),
        series("ml_feedback_correct_total", (20, 1), (30, 2), pod="b"),
    )
    assert tally(counters, "new", 0, 100) == Tally(labels=3, correct=2)


def test_a_series_that_appears_later_in_a_new_pod_began_at_0() -> None:
    """The pod appeared during the run, and its first error after that."""
    counters = counters_of(series(REQUESTS, (20, 5), (30, 9), code="200"), series(REQUESTS, (30, 2), code="500"))
    assert tally(counters, "new", 0, 100) == Tally(finished=6, errors=2)


def test_no_series_is_an_empty_tally() -> None:
    """All counts are 0, and no tick is closed."""
    assert tally(Counters(), "new", 0, 100) == Tally()
    assert ticks(Counters()) == []


def test_slow_requests_are_those_over_the_bound() -> None:
    """Of all requests in the histogram; never less than 0, even if a scrape read the buckets at different moments."""
    counts = Tally(within={0.1: 50, 0.2: 90, math.inf: 100})
    assert counts.slower(0.2) == (100, 10)
    assert Tally(within={0.2: 101, math.inf: 100}).slower(0.2) == (100, 0)


@pytest.mark.parametrize("within", [{}, {0.2: 90}, {0.1: 50, math.inf: 100}])
def test_a_histogram_without_the_bound_counts_no_requests(within: dict[float, int]) -> None:
    """The same is true without a total: a limit that cannot be judged is neither kept nor broken."""
    assert Tally(within=within).slower(0.2) == (0, 0)


@settings(deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=5, max_size=12),
    order=st.permutations(range(5)),
)
def test_how_counts_are_spread_over_pods_does_not_matter(counts: list[tuple[int, int]], order: list[int]) -> None:
    """One pod, or two pods that share its requests and an idle one, in any order: the same ticks."""
    first, second = (
        [sum(growth[:scrape]) for scrape in range(len(growth) + 1)] for growth in zip(*counts, strict=True)
    )
    times = [10.0 * scrape for scrape in range(len(first))]
    stable = scraped(times, 9, pod="s", revision="old")
    whole = series(REQUESTS, *zip(times, map(sum, zip(first, second, strict=True)), strict=True), code="200")
    parts = [
        stable,
        series(REQUESTS, *zip(times, first, strict=True), code="200"),
        series(REQUESTS, *zip(times, second, strict=True), pod="b", code="200"),
        series(REQUESTS, *((at, 0) for at in times), pod="idle", code="200"),
        series(REQUESTS, *((at, 0) for at in times), pod="idle", code="500"),
    ]
    assert ticks(counters_of(whole, stable)) == ticks(counters_of(*(parts[index] for index in order)))


@settings(deadline=None)
@given(canary=st.sets(st.integers(0, 290), min_size=5), length=st.sampled_from([2, 15, 60]))
def test_ticks_follow_each_other_and_count_everything_once(canary: set[int], length: float) -> None:
    """At any length, the counts of the ticks add up to the count of the whole time."""
    counters = counters_of(scraped(sorted(canary)), scraped(range(0, 290, 5), 9, pod="s", revision="old"))
    closed = ticks(counters, 0, length, 1e9)
    assert [tick.start for tick in closed] == [length * number for number in range(len(closed))]
    assert all(tick.end == tick.start + length for tick in closed)
    until = closed[-1].end if closed else 0
    for role, revision in (("canary", "new"), ("stable", "old")):
        assert sum(getattr(tick, role).finished for tick in closed) == tally(counters, revision, 0, until).finished


def test_a_tick_is_closed_when_each_pod_was_scraped_after_it() -> None:
    """Until then, a scrape that belongs to the tick could still come."""
    assert [tick.end for tick in ticks(both([0, 11, 21, 31], [-1, 9, 19]))] == [10]
    assert [tick.end for tick in ticks(both([0, 11, 21, 31], [-1, 9, 20]))] == [10, 20]


def test_ticks_continue_where_the_last_one_ended() -> None:
    """Reading in two parts gives the same ticks."""
    counters = both(range(0, 60, 10))
    assert ticks(counters)[2:] == ticks(counters, start=20)


@dataclass(frozen=True)
class Life:
    """All scrapes of one pod. Scrapes are numbered, every 10 s, from 30 s before the run on."""

    revision: str
    phase: float
    begins: int
    ends: int
    missed: frozenset[int]
    restarts: frozenset[int]
    growth: tuple[int, ...]

    def series(self, pod: str) -> list[Series]:
        finished: list[Sample] = []
        value = 0
        for scrape, growth in enumerate(self.growth):
            value = growth if scrape in self.restarts else value + growth
            if self.begins <= scrape < self.ends and scrape not in self.missed:
                finished.append((10 * scrape - 30 + self.phase, value))
        errors = [(at, value // 3) for at, value in finished if value > 2]
        return [
            series(REQUESTS, *finished, pod=pod, revision=self.revision, code="200"),
            series(REQUESTS, *errors, pod=pod, revision=self.revision, code="500"),
        ]


LIVES = st.builds(
    Life,
    revision=st.sampled_from(["new", "old"]),
    phase=st.floats(0.5, 9.5),
    begins=st.sampled_from([0, 0, 0, 6, 9]),
    ends=st.sampled_from([33, 33, 33, 9, 14]),
    missed=st.frozensets(st.integers(0, 32), max_size=12),
    restarts=st.frozensets(st.integers(0, 32), max_size=2),
    growth=st.tuples(*[st.integers(0, 9)] * 33),
)


def read(answer: Sequence[Series], moments: Iterable[float], restarts: frozenset[float] = frozenset()) -> list[Tick]:
    """The ticks for a reader that reads at these moments, and starts with no memory before some of them."""
    counters, closed, read_until = Counters(), list[Tick](), -10.0
    for now in moments:
        if now in restarts:
            counters, closed, read_until = Counters(), [], -10.0
        new = (
            (labels, [sample for sample in samples if read_until - 20 < sample[0] <= now]) for labels, samples in answer
        )
        counters.add(new)
        read_until = now
        closed.extend(ticks(counters, closed[-1].end if closed else 0))
        counters.forget(closed[-1].end if closed else 0)
    return closed


@settings(max_examples=50, deadline=None)
@given(lives=st.lists(LIVES, min_size=1, max_size=4), moments=st.sets(st.floats(0, 300)), data=st.data())
def test_ticks_do_not_depend_on_when_samples_are_read(
    lives: list[Life], moments: set[float], data: st.DataObject
) -> None:
    """Every second, seldom and with restarts of the reader, or once at the end; whatever happens to the pods."""
    answer = [counter for index, life in enumerate(lives) for counter in life.series(f"pod{index}")]
    seldom = [*sorted(moments), 300.0]
    restarts = frozenset(data.draw(st.sets(st.sampled_from(seldom), max_size=3)))
    once = read(answer, [300.0])
    assert read(answer, range(301)) == once
    assert read(answer, seldom, restarts) == once


def test_a_sample_that_comes_late_is_counted() -> None:
    """The tick waits for the pod, and each answer repeats the newest samples of the answer before it."""
    canary, stable = scraped(range(-20, 60, 10)), scraped(range(-19, 60, 10), 9, pod="s", revision="old")
    late = counters_of(stable, (canary[0], canary[1][:-2]))
    closed = ticks(late)
    late.add([canary])
    assert closed + ticks(late, closed[-1].end) == ticks(counters_of(canary, stable))
    assert [tick.end for tick in closed] == [10, 20, 30]


def test_no_tick_waits_for_a_pod_that_is_gone() -> None:
    """Its requests stay counted, and another pod continues."""
    counters = counters_of(
        scraped(range(-20, 30, 10)),
        scraped(range(20, 90, 10), pod="b"),
        scraped(range(-20, 90, 10), 9, pod="s", revision="old"),
    )
    assert [tick.canary.finished for tick in ticks(counters)] == [10, 10, 10, 10, 10, 10, 10, 10]
    assert counted_until(counters, BOTH, stale_after=30) == 80


def test_a_canary_that_is_not_scraped_any_more_is_not_silent() -> None:
    """Ticks wait for the canary, because Prometheus may be what is silent. They do not wait for stable."""
    canary_lost, stable_lost = both(range(-20, 30, 10)), both(range(-20, 100, 10), range(-20, 30, 10))
    assert counted_until(canary_lost, BOTH, stale_after=30) == 20
    assert counted_until(stable_lost, BOTH, stale_after=30) == 90


def test_a_label_that_a_pod_of_stable_counts_is_not_a_scrape_of_the_canary() -> None:
    """However many labels for the canary still come."""
    counters = counters_of(scraped([0, 20]), series("ml_feedback_total", (0, 0), (95, 8), pod="stable"))
    assert last_scrape(counters, "new") == counted_until(counters, BOTH, stale_after=30) == 20


def test_counts_are_complete_up_to_the_pod_whose_last_scrape_is_oldest() -> None:
    """Among the pods of both revisions that are still scraped; without the canary there is no such moment."""
    counters = counters_of(
        scraped([0, 95]),
        scraped([0, 85], pod="b"),
        scraped([0, 20], pod="gone"),
        scraped([0, 80], pod="other", revision="other"),
        scraped([0, 90], pod="s", revision="old"),
    )
    assert counted_until(counters, BOTH, stale_after=30) == 85
    assert counted_until(counters, ComparedRevisions("new", None), stale_after=30) == 85
    assert counted_until(counters, ComparedRevisions("none", "old"), stale_after=30) is None
    assert (last_scrape(counters, "new"), last_scrape(counters, "none")) == (95, None)


def test_without_a_stable_revision_only_the_canary_is_counted() -> None:
    """Its ticks do not wait for other pods."""
    closed = list(closed_ticks(both(range(-20, 50, 10), [0]), ComparedRevisions("new", None), 0, 10, 30))
    assert [(tick.canary.finished, tick.stable) for tick in closed] == [(10, Tally())] * 4


def both_scraped(counters: Counters) -> list[bool]:
    return [tick.both_scraped for tick in ticks(counters)]


def test_revisions_that_are_scraped_steadily_are_both_scraped_in_each_tick() -> None:
    """At any offset between their scrapes, with a pod of another revision, and with a pod that is long gone."""
    assert both_scraped(both(range(-13, 50, 10), range(-19, 50, 10))) == [True] * 4
    others = scraped([-90, -80], pod="gone"), scraped([5], pod="x", revision="other")
    assert both_scraped(counters_of(scraped(range(-20, 50, 10)), *others)) == [True] * 4


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_both_revisions_are_scraped_at_any_scrape_interval(interval: int) -> None:
    """A tick is one scrape interval long."""
    counters = both(range(-2 * interval, 5 * interval, interval), range(1 - 2 * interval, 5 * interval, interval))
    closed = list(closed_ticks(counters, BOTH, 0, interval, max(3 * interval, 10)))
    assert [tick.both_scraped for tick in closed] == [True] * len(closed)
    assert [(tick.canary.finished, tick.stable.finished) for tick in closed] == [(interval, 9 * interval)] * 4


@pytest.mark.parametrize("role", ["canary", "stable"])
def test_after_a_missed_scrape_two_ticks_are_not_compared(role: str) -> None:
    """The first lacks requests that the second has in addition, so neither of them compares the revisions."""
    gappy, steady = [-20, -10, 0, 10, 30, 40, 50], range(-20, 60, 10)
    counters = both(gappy, steady) if role == "canary" else both(steady, gappy)
    assert both_scraped(counters) == [True, False, False, True, True]


def test_the_tick_of_a_pod_s_first_scrape_is_not_compared() -> None:
    """Nor is any tick before a pod of the canary was scraped."""
    late = counters_of(scraped(range(-20, 50, 10)), scraped(range(13, 50, 10), pod="late"))
    assert both_scraped(late) == [True, False, True, True]
    assert both_scraped(both([23, 33, 43], range(-20, 50, 10))) == [False, False, False, True]


def test_the_tick_in_which_a_pod_is_scraped_again_is_not_compared() -> None:
    """The pod counted all the time, so this scrape has the requests of a long time."""
    away = counters_of(scraped(range(-20, 100, 10)), scraped([-20, -10, 0, 70, 80, 90], 9, pod="s", revision="old"))
    assert both_scraped(away) == [False, False, True, True, True, True, False, True, True]
