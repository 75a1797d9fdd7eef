"""From raw samples to growth: nothing is lost, nothing is counted twice, nothing is made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.counting.counters import Counter, Counters, Identity, Sample

REQUESTS, LABELS = "ml_requests_total", "ml_feedback_total"
Series = tuple[dict[str, str], Sequence[tuple[float, float | str]]]


def series(name: str, *samples: tuple[float, float | str], pod: str = "a", **labels: str) -> Series:
    return {"__name__": name, "pod_uid": pod, "revision": "new", **labels}, samples


def seen(*answer: Series) -> Counters:
    counters = Counters()
    counters.add(answer)
    return counters


def total(counters: Counters, since: float = 0, until: float = 1e9) -> float:
    return sum(grown for _, grown in counters.grown("new", since, until))


def grown(*samples: tuple[float, float | str], since: float = 10, until: float = 100) -> float:
    return total(seen(series(REQUESTS, *samples)), since, until)


def test_growth_is_counted_from_the_last_sample_before_the_window() -> None:
    """What happened between that sample and the window's start belongs to the window's first interval."""
    assert grown((0, 5), (9, 7), (15, 10), (20, 18)) == 11


def test_growth_ends_with_the_last_sample_in_the_window() -> None:
    """Both ends of the window are inclusive, as the scrape's own time is."""
    assert grown((10, 5), (20, 8), (100, 9), (101, 50)) == 4


def test_a_restart_of_the_process_loses_nothing_that_was_scraped() -> None:
    """A value that falls far counted up from 0 again."""
    assert grown((10, 5), (20, 8), (30, 2), (40, 3)) == 3 + 2 + 1


def test_missed_scrapes_lose_nothing() -> None:
    """A counter that was not seen for a while is as good afterwards."""
    assert grown((10, 5), (20, 8), (30, 9), (90, 30)) == grown((10, 5), (90, 30)) == 25


def test_what_a_pod_counted_before_it_was_first_scraped_is_unknown() -> None:
    """So the first sample of a pod is the base, not its growth."""
    assert grown((15, 40), (20, 42)) == 2


def test_a_series_that_appears_in_a_known_pod_began_at_0() -> None:
    """A first error in a pod that was scraped before is one error, not a base, whichever answer it comes in."""
    healthy, failing = series(REQUESTS, (0, 50), (20, 60), code="200"), series(REQUESTS, (20, 2), code="500")
    later = seen(healthy)
    later.add([failing])
    assert total(seen(healthy, failing)) == total(seen(failing, healthy)) == total(later) == 12


@pytest.mark.parametrize("samples", [[], [(5.0, 9.0)], [(5.0, 9.0), (8.0, 12.0)], [(101.0, 7.0)]])
def test_nothing_in_the_window_is_nothing(samples: list[Sample]) -> None:
    """Neither an empty series, nor one that ended before, nor one that began after."""
    assert grown(*samples) == 0


COUNTERS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=25)


def counter(steps: Sequence[tuple[int, bool]], interval: float = 10) -> list[Sample]:
    """A counter that grows by the first number at each scrape, from 0 after a restart."""
    samples, value = [(0.0, 0.0)], 0
    for i, (growth, restarted) in enumerate(steps, 1):
        value = growth if restarted else value + growth
        samples.append((i * interval, float(value)))
    return samples


@settings(deadline=None)
@given(steps=COUNTERS, cuts=st.lists(st.floats(0, 260), max_size=5))
def test_adjacent_windows_count_everything_once(steps: list[tuple[int, bool]], cuts: list[float]) -> None:
    """However time is cut into windows, their counts add up to that of the whole."""
    samples, edges = counter(steps), sorted([0, *cuts, 260])
    parts = [grown(*samples, since=low, until=high) for low, high in pairwise(edges)]
    assert sum(parts) == grown(*samples, since=0, until=260)


@settings(deadline=None)
@given(steps=COUNTERS, keep=st.lists(st.booleans(), min_size=26, max_size=26))
def test_growth_is_never_negative_nor_more_than_what_happened(steps: list[tuple[int, bool]], keep: list[bool]) -> None:
    """With any scrapes missed and any restarts, what is counted is between nothing and the truth."""
    samples = counter(steps)
    kept = [sample for sample, kept in zip(samples, keep, strict=False) if kept]
    happened = sum(growth for growth, _ in steps)
    assert 0 <= grown(*kept, since=-1, until=260) <= happened
    if not any(restarted for _, restarted in steps):
        assert grown(*samples, since=0, until=260) == happened


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_a_restart_is_counted_at_any_scrape_interval(interval: float) -> None:
    """Even where the first sample after it comes as soon as another replica's might."""
    samples = [(k * interval, value) for k, value in enumerate([100, 200, 0, 30, 60, 90])]
    assert grown(*samples, since=0, until=6 * interval) == 100 + 90


def test_a_small_fall_is_another_prometheus_and_adds_nothing() -> None:
    """Its clock is off, so that a later sample is of an earlier moment; a young counter may have grown much since."""
    assert grown((10, 100), (20, 200), (29, 190), (30, 300)) == 200
    assert grown((10, 0), (20, 8), (21, 1), (30, 16)) == 16


def answers(truth: Sequence[int], skew: float, phase: float, now: float) -> dict[str, list[Sample]]:
    """What two replicas know of a counter that was `truth[k]` after k seconds: the second's clock is `skew` ahead."""
    found: dict[str, list[Sample]] = {}
    for replica, offset, ahead in (("exact", 0.0, 0.0), ("skewed", phase, skew)):
        scraped = (offset + 10 * k for k in range(len(truth) // 10))
        samples = [(at + ahead, float(truth[int(at)])) for at in scraped if at <= now]
        found[replica] = [(at, value) for at, value in samples if now - 35 < at <= now]
    return found


@settings(max_examples=50, deadline=None)
@given(
    growth=st.lists(st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 500)), min_size=120, max_size=120),
    asked=st.lists(st.sampled_from(["exact", "skewed"]), min_size=22, max_size=22),
    skew=st.sampled_from([-3, -2, -1.5, -1, 1, 1.5, 2, 3]),
    phase=st.floats(0.25, 9.75),
)
def test_two_replicas_that_answer_in_turns_count_the_truth(
    growth: list[int], asked: list[str], skew: float, phase: float
) -> None:
    """Within the last scrape and the skew, whoever answers, and also while the counter is still young."""
    truth = [0, *(sum(growth[:k]) for k in range(1, len(growth) + 1))]
    counters, first = Counters(), 0.0
    for turn, replica in enumerate(asked):
        now = 5.0 * (turn + 1)
        samples = answers(truth, skew, phase, now)[replica]
        if samples and not counters.pods:
            first = samples[0][1]
        counters.add([series(REQUESTS, *samples)])
    end = 5 * len(asked)
    assert truth[end - 14] <= first + total(counters, since=-10) <= truth[end]


ODD = ["NaN", "+Inf", "-Inf", "-3", "", "many", "1e308"]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_number_of_requests_is_a_missed_scrape(odd: str) -> None:
    """It counts nothing, breaks nothing, and shows no pod."""
    assert grown((10, "5"), (20, odd), (30, "9")) == 4
    assert seen(series(REQUESTS, (20, odd))).pods == {}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("apart", [False, True])
def test_a_counter_that_had_no_number_at_first_did_not_begin_at_0(odd: str, apart: bool) -> None:
    """It was there, so its first number is a base, in whichever answer it comes."""
    healthy = series(REQUESTS, (0, 50), (20, 60), (30, 60), code="200")
    before, later = series(REQUESTS, (0, odd), code="500"), series(REQUESTS, (20, 5000), (30, 5001), code="500")
    counters = seen(healthy, before, later) if not apart else seen(healthy, before)
    counters.add([later])
    assert total(counters) == 10 + 1


def test_a_counter_that_has_no_number_later_began_at_0_all_the_same() -> None:
    """It appeared with a number in a pod that was known."""
    healthy, failing = series(REQUESTS, (0, 50), (30, 60)), series(REQUESTS, (10, 2), (20, "NaN"), (30, 3), code="500")
    assert total(seen(healthy, failing)) == 10 + 3


def test_a_series_that_comes_twice_is_counted_once() -> None:
    """In one answer, or in the next one."""
    one = series(REQUESTS, (0, 5), (10, 6), (20, 9))
    counters = seen(one, one)
    counters.add([one])
    assert total(counters) == 4


def test_the_server_s_own_labels_count_where_the_target_has_them_too() -> None:
    """Else a label for stable, which a pod of the canary counts, would be one for the canary."""
    ours = {"pod_uid": "a", "revision": "new", "__name__": LABELS}
    own: Series = {**ours, "exported_revision": "new"}, [(0, 100), (10, 101)]
    other: Series = {**ours, "exported_revision": "old"}, [(0, 3), (10, 8)]
    counters = seen(own, other)
    assert [(identity.revision, grown) for identity, grown in counters.grown("new", 0, 10)] == [("new", 1)]
    assert [(identity.revision, grown) for identity, grown in counters.grown("old", 0, 10)] == [("old", 5)]


@pytest.mark.parametrize("bound", ["", "fast", "NaN"])
def test_a_bucket_without_a_bound_is_left_out(bound: str) -> None:
    """It is no part of a histogram; nor does it show a pod."""
    name = "ml_request_duration_seconds_bucket"
    counters = seen(series(name, (0, 5), (10, 9), pod="b", le=bound), series(name, (0, 5), (10, 9), le="+Inf"))
    assert ([identity.le for identity, _ in counters.grown("new", 0, 10)], list(counters.pods)) == (["+Inf"], ["a"])


def test_a_target_that_two_jobs_scrape_is_counted_once() -> None:
    """Whatever else relabelling adds, it is the same counter; the samples of both are in order of time."""
    one = series(REQUESTS, (0, 5), (10, 6), (20, 7), job="pods")
    other = series(REQUESTS, (4, 5), (14, 6), (24, 9), job="services", node="node1")
    both, turned = seen(one, other), seen(other, one)
    assert total(both) == 4
    assert [total(both, 0, until) for until in range(30)] == [total(turned, 0, until) for until in range(30)]


@settings(deadline=None)
@given(order=st.permutations(range(4)), cut=st.integers(0, 50))
def test_series_come_in_any_order(order: list[int], cut: int) -> None:
    """In one answer, or in two of which the second repeats a part."""
    answer = [
        series(REQUESTS, (0, 5), (20, 8), (40, 9), code="200"),
        series(REQUESTS, (20, 1), (40, 3), code="500"),
        series(REQUESTS, (30, 7), (50, 9), pod="b", code="200"),
        series(LABELS, (40, 2), (50, 3), pod="b"),
    ]
    shuffled = [answer[index] for index in order]
    twice = seen(*((labels, [one for one in samples if one[0] <= cut]) for labels, samples in shuffled))
    twice.add((labels, [one for one in samples if one[0] > cut - 20]) for labels, samples in shuffled)
    ordered, reordered = seen(*answer), seen(*shuffled)
    for until in range(0, 60, 10):
        assert total(ordered, 0, until) == total(reordered, 0, until) == total(twice, 0, until)


def test_series_without_a_pod_are_left_out_and_told() -> None:
    """Without that label a restart cannot be told from another pod's counter."""
    counters = seen(series(REQUESTS, (0, 5), (10, 9), pod=""), series(REQUESTS, (0, 1), (10, 2)))
    assert (total(counters), list(counters.pods), counters.without_pod) == (1, ["a"], True)
    assert not seen(series(REQUESTS, (0, 5))).without_pod


def test_a_pod_is_the_revision_s_whose_requests_it_finishes() -> None:
    """Labels for a prediction are counted by any pod, so they do not tell."""
    counters = seen(series(LABELS, (5, 1)), series(REQUESTS, (0, 1), (10, 2), revision="old"))
    assert {name: (pod.revision, pod.first, pod.last) for name, pod in counters.pods.items()} == {"a": ("old", 0, 10)}


def test_growth_is_told_by_counter_and_by_pod() -> None:
    """With the labels that matter."""
    counters = seen(
        series(REQUESTS, (0, 0), (10, 3), code="200", job="pods"), series(REQUESTS, (0, 0), (10, 5), pod="b")
    )
    assert list(counters.grown("new", 0, 10)) == [
        (Identity(REQUESTS, "a", "new", "200", ""), 3),
        (Identity(REQUESTS, "b", "new", "", ""), 5),
    ]
    assert [grown for _, grown in counters.grown("new", 0, 10, "b")] == [5]
    assert list(counters.grown("old", 0, 10)) == []


@settings(deadline=None)
@given(steps=COUNTERS, moment=st.integers(0, 260))
def test_what_is_forgotten_is_not_missed(steps: list[tuple[int, bool]], moment: int) -> None:
    """Growth after that moment is the same, and so is what comes later."""
    samples = counter(steps)
    kept, forgetful = seen(series(REQUESTS, *samples)), seen(series(REQUESTS, *samples))
    forgetful.forget(moment)
    for counters in (kept, forgetful):
        counters.add([series(REQUESTS, *samples, (300, 1000)), series(REQUESTS, (300, 7), code="500")])
    for until in range(moment, 310, 10):
        assert total(kept, moment, until) == total(forgetful, moment, until)
        assert kept.pods["a"].newest(until) == forgetful.pods["a"].newest(until)
    assert kept.pods["a"].first == forgetful.pods["a"].first


def test_memory_does_not_grow_with_the_run() -> None:
    """Of a thousand scrapes that are told already, the last one is kept."""
    counters, one = seen(series(REQUESTS, *thousand())), Counter.begun(0, 0, from_zero=True)
    for at, value in thousand():
        one.add(at, value)
    counters.forget(9_985)
    one.forget(9_985)
    assert counters.pods["a"].scrapes == one.times == [9_980, 9_990]


def thousand() -> Iterator[Sample]:
    return ((10.0 * k, float(k)) for k in range(1000))
