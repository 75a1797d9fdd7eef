"""From raw counter samples to counts: nothing is lost, nothing is counted twice, nothing is made up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.evidence import Sample, Series, Tally, increment, seen_between, tally

REQUESTS, STARTED = "ml_requests_total", "ml_requests_started_total"


def series(name: str, *samples: Sample, pod: str = "a", revision: str = "new", **labels: str) -> Series:
    return Series({"__name__": name, "pod_uid": pod, "revision": revision, **labels}, samples)


def grown(*samples: Sample, since: float = 10, until: float = 100, before: bool = False) -> float:
    return increment(samples, since, until, pod_seen_before=before)


def test_growth_is_counted_from_the_last_sample_before_the_window() -> None:
    """What happened between that sample and the window's start belongs to the window's first interval."""
    assert grown((0, 5), (9, 7), (15, 10), (20, 18)) == 11


def test_growth_ends_with_the_last_sample_in_the_window() -> None:
    """Both ends of the window are inclusive, as the scrape's own time is."""
    assert grown((10, 5), (20, 8), (100, 9), (101, 50)) == 4


def test_a_restart_of_the_process_loses_nothing_that_was_scraped() -> None:
    """A value that falls counted up from 0 again."""
    assert grown((10, 5), (20, 8), (30, 2), (40, 3)) == 3 + 2 + 1


def test_missed_scrapes_lose_nothing() -> None:
    """A counter that was not seen for a while is as good afterwards."""
    assert grown((10, 5), (20, 8), (30, 9), (90, 30)) == grown((10, 5), (90, 30)) == 25


def test_what_a_pod_counted_before_it_was_first_scraped_is_unknown() -> None:
    """So the first sample of a pod is the base, not its growth."""
    assert grown((15, 40), (20, 42)) == 2


def test_a_series_that_appears_in_a_known_pod_began_at_0() -> None:
    """A first error in a pod that was scraped before is one error, not a base."""
    assert grown((15, 3), (20, 4), before=True) == 4


@pytest.mark.parametrize("samples", [[], [(5.0, 9.0)], [(5.0, 9.0), (8.0, 12.0)], [(101.0, 7.0)]])
def test_nothing_in_the_window_is_nothing(samples: list[Sample]) -> None:
    """Neither an empty series, nor one that ended before, nor one that began after."""
    assert increment(samples, 10, 100, pod_seen_before=False) == 0


COUNTERS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=25)


def counter(steps: Sequence[tuple[int, bool]], interval: float = 10) -> list[Sample]:
    """A counter that grows by the first number at each scrape, from 0 after a restart."""
    samples, value = [(0.0, 0.0)], 0
    for i, (growth, restarted) in enumerate(steps, 1):
        value = growth if restarted else value + growth
        samples.append((i * interval, float(value)))
    return samples


@given(steps=COUNTERS, cuts=st.lists(st.floats(0, 260), max_size=5))
def test_adjacent_windows_count_everything_once(steps: list[tuple[int, bool]], cuts: list[float]) -> None:
    """However time is cut into windows, their counts add up to that of the whole."""
    samples, edges = counter(steps), sorted([0, *cuts, 260])
    parts = [increment(samples, low, high, pod_seen_before=False) for low, high in pairwise(edges)]
    assert sum(parts) == increment(samples, 0, 260, pod_seen_before=False)


@given(steps=COUNTERS, keep=st.lists(st.booleans(), min_size=26, max_size=26))
def test_growth_is_never_negative_nor_more_than_what_happened(steps: list[tuple[int, bool]], keep: list[bool]) -> None:
    """With any scrapes missed and any restarts, what is counted is between nothing and the truth."""
    samples = counter(steps)
    kept = [sample for sample, kept in zip(samples, keep, strict=False) if kept]
    happened = sum(growth for growth, _ in steps)
    assert 0 <= increment(kept, -1, 260, pod_seen_before=False) <= happened
    if not any(restarted for _, restarted in steps):
        assert increment(samples, 0, 260, pod_seen_before=False) == happened


def test_a_tally_counts_one_revision_over_all_of_its_pods() -> None:
    """Pods come and go; other revisions do not matter."""
    seen = [
        series(STARTED, (0, 0), (20, 10), pod="a"),
        series(STARTED, (30, 0), (40, 5), pod="b"),
        series(STARTED, (0, 0), (20, 99), pod="c", revision="old"),
        series(REQUESTS, (0, 0), (20, 8), pod="a", code="200"),
        series(REQUESTS, (0, 0), (20, 1), pod="a", code="500"),
        series(REQUESTS, (0, 0), (20, 1), pod="a", code="422"),
        series(REQUESTS, (30, 0), (40, 2), pod="b", code="503"),
        series("ml_request_duration_seconds_bucket", (0, 0), (20, 7), le="0.2"),
        series("ml_request_duration_seconds_bucket", (0, 0), (20, 10), le="+Inf"),
        series("ml_feedback_total", (0, 0), (20, 4)),
        series("ml_feedback_correct_total", (0, 0), (20, 3)),
    ]
    assert tally(seen, "new", 0, 100) == Tally(
        started=15, finished=12, errors=3, within={0.2: 7, math.inf: 10}, labels=4, correct=3
    )


def test_errors_are_the_server_s_and_not_the_callers() -> None:
    """A wrong request says nothing about the model."""
    seen = [series(REQUESTS, (0, 0), (20, 9), code=code) for code in ("200", "413", "415", "422", "499")]
    assert tally(seen, "new", 0, 100) == Tally(finished=45)


def test_a_first_error_of_a_known_pod_is_counted() -> None:
    """Its series appears with its first value."""
    seen = [series(REQUESTS, (0, 50), (20, 60), code="200"), series(REQUESTS, (20, 2), code="500")]
    assert tally(seen, "new", 0, 100) == Tally(finished=12, errors=2)


def test_a_label_that_another_revision_s_pod_counts_is_counted_from_the_first() -> None:
    """The pod was scraped before it had this series, whatever revision it serves itself."""
    seen = [
        series(REQUESTS, (0, 50), (20, 60), pod="b", revision="old", code="200"),
        series("ml_feedback_total", (20, 2), (30, 3), pod="b"),
        series("ml_feedback_correct_total", (20, 1), (30, 2), pod="b"),
    ]
    assert tally(seen, "new", 0, 100) == Tally(labels=3, correct=2)


def test_a_series_that_appears_later_in_a_new_pod_began_at_0() -> None:
    """The pod came in mid-window, and its first error later still."""
    seen = [series(REQUESTS, (20, 5), (30, 9), code="200"), series(REQUESTS, (30, 2), code="500")]
    assert tally(seen, "new", 0, 100) == Tally(finished=6, errors=2)


def test_no_series_is_an_empty_tally() -> None:
    """Nothing seen counts nothing."""
    assert tally([], "new", 0, 100) == Tally()


def test_what_is_seen_reaches_to_the_slowest_pod_that_is_still_scraped() -> None:
    """A pod that is gone does not hold the rest back; another revision does not matter."""
    seen = [
        series(REQUESTS, (0, 0), (95, 8), pod="a", code="200"),
        series(REQUESTS, (0, 0), (85, 8), pod="b", code="200"),
        series(REQUESTS, (0, 0), (20, 8), pod="gone", code="200"),
        series(REQUESTS, (0, 0), (99, 8), pod="c", revision="old", code="200"),
    ]
    assert seen_between(seen, "new", stale_after=30) == (0, 85)
    assert seen_between(seen, "other", stale_after=30) is None
    assert seen_between([], "new", stale_after=30) is None


def test_a_label_that_stable_s_pod_counts_does_not_show_the_canary() -> None:
    """A canary that is not scraped any more is not seen, however many labels still come for it."""
    seen = [
        series(REQUESTS, (0, 0), (20, 8), pod="canary", code="200"),
        series("ml_feedback_total", (0, 0), (95, 8), pod="stable"),
    ]
    assert seen_between(seen, "new", stale_after=30) == (0, 20)


def test_what_is_seen_begins_with_the_pod_that_came_last() -> None:
    """Before the first scrape of a pod nothing is known of it."""
    seen = [
        series(REQUESTS, (0, 0), (95, 8), pod="a", code="200"),
        series(REQUESTS, (40, 3), (95, 8), pod="late", code="200"),
    ]
    assert seen_between(seen, "new", stale_after=30) == (40, 95)
