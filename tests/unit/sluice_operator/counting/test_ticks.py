"""A run in ticks: the same ones whenever one looks, and none that a later scrape could change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.counting.counters import Counters, Sample
from sluice_operator.counting.ticks import ComparedRevisions, Tally, Tick, closed_ticks, newest, seen_until, tally

REQUESTS, STARTED, BUCKET = "ml_requests_total", "ml_requests_started_total", "ml_request_duration_seconds_bucket"
ARMS = ComparedRevisions("new", "old")
Series = tuple[dict[str, str], Sequence[Sample]]


def series(name: str, *samples: Sample, pod: str = "a", revision: str = "new", **labels: str) -> Series:
    return {"__name__": name, "pod_uid": pod, "revision": revision, **labels}, samples


def seen(*answer: Series) -> Counters:
    counters = Counters()
    counters.add(answer)
    return counters


def ticks(counters: Counters, start: float = 0, length: float = 10, stale_after: float = 30) -> list[Tick]:
    return list(closed_ticks(counters, ARMS, start, length, stale_after))


def scraped(times: Iterable[float], rate: float = 1, **labels: str) -> Series:
    """A pod that finishes `rate` requests per second, scraped at these times."""
    return series(REQUESTS, *((at, round(rate * at + 1000)) for at in times), code="200", **labels)


def both(canary: Iterable[float], stable: Iterable[float] = range(-20, 100, 10)) -> Counters:
    return seen(scraped(canary), scraped(stable, 9, pod="s", revision="old"))


def test_a_tally_counts_one_revision_over_all_of_its_pods() -> None:
    """Pods come and go; other revisions do not matter."""
    counters = seen(
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
    )
    everything = Tally(started=15, finished=12, errors=3, within={0.2: 7, math.inf: 10}, labels=4, correct=3)
    assert tally(counters, "new", 0, 100) == everything
    assert tally(counters, "new", 0, 100, pod="b") == Tally(started=5, finished=2, errors=2)


def test_errors_are_the_server_s_and_not_the_callers() -> None:
    """A wrong request says nothing about the model."""
    counters = seen(*(series(REQUESTS, (0, 0), (20, 9), code=code) for code in ("200", "413", "415", "422", "499")))
    assert tally(counters, "new", 0, 100) == Tally(finished=45)


def test_a_first_error_of_a_known_pod_is_counted() -> None:
    """Its series appears with its first value."""
    counters = seen(series(REQUESTS, (0, 50), (20, 60), code="200"), series(REQUESTS, (20, 2), code="500"))
    assert tally(counters, "new", 0, 100) == Tally(finished=12, errors=2)


def test_a_label_that_another_revision_s_pod_counts_is_counted_from_the_first() -> None:
    """The pod was scraped before it had this series, whatever revision it serves itself."""
    counters = seen(
        series(REQUESTS, (0, 50), (20, 60), pod="b", revision="old", code="200"),
        series("ml_feedback_total", (20, 2), (30, 3), pod="b"),
        series("ml_feedback_correct_total", (20, 1), (30, 2), pod="b"),
    )
    assert tally(counters, "new", 0, 100) == Tally(labels=3, correct=2)


def test_a_series_that_appears_later_in_a_new_pod_began_at_0() -> None:
    """The pod came in mid-run, and its first error later still."""
    counters = seen(series(REQUESTS, (20, 5), (30, 9), code="200"), series(REQUESTS, (30, 2), code="500"))
    assert tally(counters, "new", 0, 100) == Tally(finished=6, errors=2)


def test_no_series_is_an_empty_tally() -> None:
    """Nothing seen counts nothing, and closes no tick."""
    assert tally(Counters(), "new", 0, 100) == Tally()
    assert ticks(Counters()) == []


def test_slow_requests_are_those_beyond_the_bound() -> None:
    """Of all that the histogram has, which never makes less than none of a scrape that was torn."""
    counted = Tally(within={0.1: 50, 0.2: 90, math.inf: 100})
    assert counted.slower(0.2) == (100, 10)
    assert Tally(within={0.2: 101, math.inf: 100}).slower(0.2) == (100, 0)


@pytest.mark.parametrize("within", [{}, {0.2: 90}, {0.1: 50, math.inf: 100}])
def test_a_histogram_without_the_bound_says_nothing(within: dict[float, int]) -> None:
    """Nor does one without a total: a limit that it cannot tell is neither kept nor broken."""
    assert Tally(within=within).slower(0.2) == (0, 0)


@settings(deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=5, max_size=12),
    order=st.permutations(range(5)),
)
def test_how_counts_are_spread_over_pods_does_not_matter(counts: list[tuple[int, int]], order: list[int]) -> None:
    """One pod, two that share its requests, an empty one beside them, in any order: the same ticks."""
    first, second = ([sum(part[:k]) for k in range(len(part) + 1)] for part in zip(*counts, strict=True))
    times = [10.0 * k for k in range(len(first))]
    stable = scraped(times, 9, pod="s", revision="old")
    whole = series(REQUESTS, *zip(times, map(sum, zip(first, second, strict=True)), strict=True), code="200")
    parts = [
        stable,
        series(REQUESTS, *zip(times, first, strict=True), code="200"),
        series(REQUESTS, *zip(times, second, strict=True), pod="b", code="200"),
        series(REQUESTS, *((at, 0) for at in times), pod="empty", code="200"),
        series(REQUESTS, *((at, 0) for at in times), pod="empty", code="500"),
    ]
    assert ticks(seen(whole, stable)) == ticks(seen(*(parts[index] for index in order)))


@settings(deadline=None)
@given(canary=st.sets(st.integers(0, 290), min_size=5), length=st.sampled_from([2, 15, 60]))
def test_ticks_follow_each_other_and_count_everything_once(canary: set[int], length: float) -> None:
    """At any length, what they count adds up to what the whole counts."""
    counters = seen(scraped(sorted(canary)), scraped(range(0, 290, 5), 9, pod="s", revision="old"))
    found = ticks(counters, 0, length, 1e9)
    assert [tick.start for tick in found] == [length * k for k in range(len(found))]
    assert all(tick.end == tick.start + length for tick in found)
    until = found[-1].end if found else 0
    for arm, revision in (("canary", "new"), ("stable", "old")):
        assert sum(getattr(tick, arm).finished for tick in found) == tally(counters, revision, 0, until).finished


def test_a_tick_is_closed_when_each_pod_was_scraped_after_it() -> None:
    """Before, a scrape could still come that belongs to it."""
    assert [tick.end for tick in ticks(both([0, 11, 21, 31], [-1, 9, 19]))] == [10]
    assert [tick.end for tick in ticks(both([0, 11, 21, 31], [-1, 9, 20]))] == [10, 20]


def test_ticks_go_on_from_where_they_were_closed() -> None:
    """The next ones start there."""
    counters = both(range(0, 60, 10))
    assert ticks(counters)[2:] == ticks(counters, start=20)


@dataclass(frozen=True)
class Life:
    """All that a pod was ever scraped for. Moments are scrapes, from 30 s before the run on."""

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
        for moment, growth in enumerate(self.growth):
            value = growth if moment in self.restarts else value + growth
            if self.begins <= moment < self.ends and moment not in self.missed:
                finished.append((10 * moment - 30 + self.phase, value))
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


def read(answer: Sequence[Series], looks: Iterable[float], restarted: frozenset[float] = frozenset()) -> list[Tick]:
    """The ticks that a reader tells which looks at these moments, and is started anew before some of them."""
    counters, told, asked = Counters(), list[Tick](), -10.0
    for now in looks:
        if now in restarted:
            counters, told, asked = Counters(), [], -10.0
        counters.add((labels, [one for one in samples if asked - 20 < one[0] <= now]) for labels, samples in answer)
        asked = now
        told.extend(ticks(counters, told[-1].end if told else 0))
        counters.forget(told[-1].end if told else 0)
    return told


@settings(max_examples=50, deadline=None)
@given(lives=st.lists(LIVES, min_size=1, max_size=4), looks=st.sets(st.floats(0, 300)), data=st.data())
def test_the_same_ticks_come_out_however_one_looks(lives: list[Life], looks: set[float], data: st.DataObject) -> None:
    """Every second, now and then with restarts of the reader, or once at the end; whatever happens to the pods."""
    answer = [one for index, life in enumerate(lives) for one in life.series(f"pod{index}")]
    seldom = [*sorted(looks), 300.0]
    restarted = frozenset(data.draw(st.sets(st.sampled_from(seldom), max_size=3)))
    once = read(answer, [300.0])
    assert read(answer, range(301)) == once
    assert read(answer, seldom, restarted) == once


def test_a_sample_that_comes_late_is_counted_all_the_same() -> None:
    """The tick waits for the pod, and the next answer repeats what the last one may have lacked."""
    canary, stable = scraped(range(-20, 60, 10)), scraped(range(-19, 60, 10), 9, pod="s", revision="old")
    late = seen(stable, (canary[0], canary[1][:-2]))
    told = ticks(late)
    late.add([canary])
    assert told + ticks(late, told[-1].end) == ticks(seen(canary, stable))
    assert [tick.end for tick in told] == [10, 20, 30]


def test_a_pod_that_is_gone_holds_nothing_back() -> None:
    """What it counted stays counted, its successor goes on."""
    counters = seen(
        scraped(range(-20, 30, 10)),
        scraped(range(20, 90, 10), pod="b"),
        scraped(range(-20, 90, 10), 9, pod="s", revision="old"),
    )
    assert [tick.canary.finished for tick in ticks(counters)] == [10, 10, 10, 10, 10, 10, 10, 10]
    assert seen_until(counters, ARMS, stale_after=30) == 80


def test_a_canary_that_nobody_scrapes_any_more_is_not_silent() -> None:
    """Ticks wait for it, because silence of Prometheus is no silence of the canary. A stable that is gone is gone."""
    lost, alone = both(range(-20, 30, 10)), both(range(-20, 100, 10), range(-20, 30, 10))
    assert seen_until(lost, ARMS, stale_after=30) == 20
    assert seen_until(alone, ARMS, stale_after=30) == 90


def test_a_label_that_stable_s_pod_counts_does_not_show_the_canary() -> None:
    """However many still come for it."""
    counters = seen(scraped([0, 20]), series("ml_feedback_total", (0, 0), (95, 8), pod="stable"))
    assert newest(counters, "new") == seen_until(counters, ARMS, stale_after=30) == 20


def test_what_is_seen_reaches_to_the_slowest_pod_that_is_still_scraped() -> None:
    """Of both arms; another revision does not matter, and without the canary nothing is seen."""
    counters = seen(
        scraped([0, 95]),
        scraped([0, 85], pod="b"),
        scraped([0, 20], pod="gone"),
        scraped([0, 80], pod="other", revision="other"),
        scraped([0, 90], pod="s", revision="old"),
    )
    assert seen_until(counters, ARMS, stale_after=30) == 85
    assert seen_until(counters, ComparedRevisions("new", None), stale_after=30) == 85
    assert seen_until(counters, ComparedRevisions("none", "old"), stale_after=30) is None
    assert (newest(counters, "new"), newest(counters, "none")) == (95, None)


def test_without_a_stable_revision_only_the_canary_is_counted() -> None:
    """And its ticks wait for nobody else."""
    found = list(closed_ticks(both(range(-20, 50, 10), [0]), ComparedRevisions("new", None), 0, 10, 30))
    assert [(tick.canary.finished, tick.stable) for tick in found] == [(10, Tally())] * 4


def seen_together(counters: Counters) -> list[bool]:
    return [tick.both_scraped for tick in ticks(counters)]


def test_arms_that_are_scraped_steadily_are_both_seen() -> None:
    """Whatever their phases, and with a pod of another revision or one that is long gone."""
    assert seen_together(both(range(-13, 50, 10), range(-19, 50, 10))) == [True] * 4
    other = scraped([-90, -80], pod="gone"), scraped([5], pod="x", revision="other")
    assert seen_together(seen(scraped(range(-20, 50, 10)), *other)) == [True] * 4


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_both_arms_are_seen_at_any_scrape_interval(interval: int) -> None:
    """A tick is one scrape long."""
    counters = both(range(-2 * interval, 5 * interval, interval), range(1 - 2 * interval, 5 * interval, interval))
    found = list(closed_ticks(counters, ARMS, 0, interval, max(3 * interval, 10)))
    assert [tick.both_scraped for tick in found] == [True] * len(found)
    assert [(tick.canary.finished, tick.stable.finished) for tick in found] == [(interval, 9 * interval)] * 4


@pytest.mark.parametrize("arm", ["canary", "stable"])
def test_a_missed_scrape_is_no_silence(arm: str) -> None:
    """Its tick lacks requests that the next one has too many of: neither tells the arms apart."""
    gappy, steady = [-20, -10, 0, 10, 30, 40, 50], range(-20, 60, 10)
    counters = both(gappy, steady) if arm == "canary" else both(steady, gappy)
    assert seen_together(counters) == [True, False, False, True, True]


def test_a_pod_s_first_scrape_tells_nothing() -> None:
    """Nor is there anything to compare before a pod of the canary was scraped."""
    late = seen(scraped(range(-20, 50, 10)), scraped(range(13, 50, 10), pod="late"))
    assert seen_together(late) == [True, False, True, True]
    assert seen_together(both([23, 33, 43], range(-20, 50, 10))) == [False, False, False, True]


def test_a_pod_that_comes_back_tells_nothing_at_once() -> None:
    """It counted all the while, so its next scrape has the requests of a long time."""
    away = seen(scraped(range(-20, 100, 10)), scraped([-20, -10, 0, 70, 80, 90], 9, pod="s", revision="old"))
    assert seen_together(away) == [False, False, True, True, True, True, False, True, True]
