"""From raw samples to growth: nothing is lost, counted twice or invented."""

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


def counters_of(*answer: Series) -> Counters:
    counters = Counters()
    counters.add(answer)
    return counters


def total(counters: Counters, since: float = 0, until: float = 1e9) -> float:
    return sum(grown for _, grown in counters.grown("new", since, until))


def grown(*samples: tuple[float, float | str], since: float = 10, until: float = 100) -> float:
    return total(counters_of(series(REQUESTS, *samples)), since, until)


def test_growth_is_counted_from_the_last_sample_before_the_window() -> None:
    """Requests between that sample and the start of the window belong to the window."""
    assert grown((0, 5), (9, 7), (15, 10), (20, 18)) == 11


def test_growth_ends_with_the_last_sample_in_the_window() -> None:
    """A sample at the end of the window belongs to it; one at its start is the base."""
    assert grown((10, 5), (20, 8), (100, 9), (101, 50)) == 4


def test_a_restart_of_the_process_loses_nothing_that_was_scraped() -> None:
    """After a value falls far, the counter began again at 0."""
    assert grown((10, 5), (20, 8), (30, 2), (40, 3)) == 3 + 2 + 1


def test_missed_scrapes_lose_nothing() -> None:
    """The next sample has all that was counted in between."""
    assert grown((10, 5), (20, 8), (30, 9), (90, 30)) == grown((10, 5), (90, 30)) == 25


def test_requests_before_a_pod_was_first_scraped_are_not_counted() -> None:
    """The first sample of a pod is a base, not growth: nobody knows when it was counted."""
    assert grown((15, 40), (20, 42)) == 2


def test_a_series_that_appears_in_a_scraped_pod_began_at_0() -> None:
    """A first error in a pod that was scraped before is growth, not a base, whichever answer it comes in."""
    healthy, failing = series(REQUESTS, (0, 50), (20, 60), code="200"), series(REQUESTS, (20, 2), code="500")
    later = counters_of(healthy)
    later.add([failing])
    assert total(counters_of(healthy, failing)) == total(counters_of(failing, healthy)) == total(later) == 12


@pytest.mark.parametrize("samples", [[], [(5.0, 9.0)], [(5.0, 9.0), (8.0, 12.0)], [(101.0, 7.0)]])
def test_a_window_without_two_samples_has_no_growth(samples: list[Sample]) -> None:
    """An empty series, a series that ended before the window, and a series that began after it."""
    assert grown(*samples) == 0


COUNTERS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=25)


def counter(steps: Sequence[tuple[int, bool]], interval: float = 10) -> list[Sample]:
    """A counter that grows by the first number at each scrape, from 0 after a restart."""
    samples, value = [(0.0, 0.0)], 0
    for scrape, (growth, restarted) in enumerate(steps, 1):
        value = growth if restarted else value + growth
        samples.append((scrape * interval, float(value)))
    return samples


@settings(deadline=None)
@given(steps=COUNTERS, cuts=st.lists(st.floats(0, 260), max_size=5))
def test_adjacent_windows_count_everything_once(steps: list[tuple[int, bool]], cuts: list[float]) -> None:
    """However time is cut into windows, their counts add up to the count of the whole time."""
    samples, edges = counter(steps), sorted([0, *cuts, 260])
    parts = [grown(*samples, since=low, until=high) for low, high in pairwise(edges)]
    assert sum(parts) == grown(*samples, since=0, until=260)


@settings(deadline=None)
@given(steps=COUNTERS, keep=st.lists(st.booleans(), min_size=26, max_size=26))
def test_growth_is_never_negative_nor_more_than_was_counted(steps: list[tuple[int, bool]], keep: list[bool]) -> None:
    """With any missed scrapes and any restarts, growth is between 0 and the true number."""
    samples = counter(steps)
    scraped = [sample for sample, is_scraped in zip(samples, keep, strict=False) if is_scraped]
    truth = sum(growth for growth, _ in steps)
    assert 0 <= grown(*scraped, since=-1, until=260) <= truth
    if not any(restarted for _, restarted in steps):
        assert grown(*samples, since=0, until=260) == truth


@pytest.mark.parametrize("interval", [2, 15, 60])
def test_a_restart_is_counted_at_any_scrape_interval(interval: float) -> None:
    """Also where the first sample after the restart comes within the clock skew."""
    samples = [(scrape * interval, value) for scrape, value in enumerate([100, 200, 0, 30, 60, 90])]
    assert grown(*samples, since=0, until=6 * interval) == 100 + 90


def test_a_small_or_sudden_fall_comes_from_another_replica_and_is_ignored() -> None:
    """The other replica's clock is ahead, so its newer sample is of an earlier moment; a young counter differs much."""
    assert grown((10, 100), (20, 200), (29, 190), (30, 300)) == 200
    assert grown((10, 0), (20, 8), (21, 1), (30, 16)) == 16


def answers(truth: Sequence[int], skew: float, phase: float, now: float) -> dict[str, list[Sample]]:
    """Samples of two replicas, of a counter that was `truth[k]` after k seconds. The second's clock is `skew` ahead."""
    by_replica: dict[str, list[Sample]] = {}
    for replica, offset, ahead in (("exact", 0.0, 0.0), ("skewed", phase, skew)):
        scrapes = (offset + 10 * scrape for scrape in range(len(truth) // 10))
        samples = [(at + ahead, float(truth[int(at)])) for at in scrapes if at <= now]
        by_replica[replica] = [(at, value) for at, value in samples if now - 35 < at <= now]
    return by_replica


@settings(max_examples=50, deadline=None)
@given(
    growth=st.lists(st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 500)), min_size=120, max_size=120),
    replicas=st.lists(st.sampled_from(["exact", "skewed"]), min_size=22, max_size=22),
    skew=st.sampled_from([-3, -2, -1.5, -1, 1, 1.5, 2, 3]),
    phase=st.floats(0.25, 9.75),
)
def test_two_replicas_that_answer_in_turns_count_the_truth(
    growth: list[int], replicas: list[str], skew: float, phase: float
) -> None:
    """Up to the last scrape and the skew, whichever replica answers, and also while the counter is still young."""
    truth = [0, *(sum(growth[:k]) for k in range(1, len(growth) + 1))]
    counters, first = Counters(), 0.0
    for turn, replica in enumerate(replicas):
        now = 5.0 * (turn + 1)
        samples = answers(truth, skew, phase, now)[replica]
        if samples and not counters.pods:
            first = samples[0][1]
        counters.add([series(REQUESTS, *samples)])
    end = 5 * len(replicas)
    assert truth[end - 14] <= first + total(counters, since=-10) <= truth[end]


ODD = ["NaN", "+Inf", "-Inf", "-3", "", "many", "1e308"]


@pytest.mark.parametrize("odd", ODD)
def test_a_value_that_is_not_a_number_of_requests_is_a_missed_scrape(odd: str) -> None:
    """It adds no growth, raises no error, and does not count as a scrape of the pod."""
    assert grown((10, "5"), (20, odd), (30, "9")) == 4
    assert counters_of(series(REQUESTS, (20, odd))).pods == {}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("apart", [False, True])
def test_a_counter_whose_first_value_is_not_a_number_did_not_begin_at_0(odd: str, apart: bool) -> None:
    """It was there before, so its first number is a base, in whichever answer it comes."""
    healthy = series(REQUESTS, (0, 50), (20, 60), (30, 60), code="200")
    before, later = series(REQUESTS, (0, odd), code="500"), series(REQUESTS, (20, 5000), (30, 5001), code="500")
    counters = counters_of(healthy, before, later) if not apart else counters_of(healthy, before)
    counters.add([later])
    assert total(counters) == 10 + 1


def test_a_counter_with_a_later_value_that_is_not_a_number_began_at_0() -> None:
    """It appeared with a number, in a pod that was scraped before."""
    healthy, failing = series(REQUESTS, (0, 50), (30, 60)), series(REQUESTS, (10, 2), (20, "NaN"), (30, 3), code="500")
    assert total(counters_of(healthy, failing)) == 10 + 3


def test_a_series_that_comes_twice_is_counted_once() -> None:
    """In one answer, or in the next one."""
    requests = series(REQUESTS, (0, 5), (10, 6), (20, 9))
    counters = counters_of(requests, requests)
    counters.add([requests])
    assert total(counters) == 4


def test_the_model_server_s_labels_win_over_those_of_the_scrape_job() -> None:
    """Otherwise a label for stable that a pod of the canary counts would be a label for the canary."""
    target = {"pod_uid": "a", "revision": "new", "__name__": LABELS}
    own: Series = {**target, "exported_revision": "new"}, [(0, 100), (10, 101)]
    other: Series = {**target, "exported_revision": "old"}, [(0, 3), (10, 8)]
    counters = counters_of(own, other)
    assert [(identity.revision, grown) for identity, grown in counters.grown("new", 0, 10)] == [("new", 1)]
    assert [(identity.revision, grown) for identity, grown in counters.grown("old", 0, 10)] == [("old", 5)]


@pytest.mark.parametrize("bound", ["", "fast", "NaN"])
def test_a_bucket_without_a_bound_is_left_out(bound: str) -> None:
    """It does not belong to a histogram, and does not count as a scrape of the pod."""
    name = "ml_request_duration_seconds_bucket"
    counters = counters_of(series(name, (0, 5), (10, 9), pod="b", le=bound), series(name, (0, 5), (10, 9), le="+Inf"))
    assert ([identity.le for identity, _ in counters.grown("new", 0, 10)], list(counters.pods)) == (["+Inf"], ["a"])


def test_a_target_that_two_jobs_scrape_is_counted_once() -> None:
    """Other labels do not make another counter, and the samples of both jobs are sorted by time."""
    pods_job = series(REQUESTS, (0, 5), (10, 6), (20, 7), job="pods")
    services_job = series(REQUESTS, (4, 5), (14, 6), (24, 9), job="services", node="node1")
    both, reversed_order = counters_of(pods_job, services_job), counters_of(services_job, pods_job)
    assert total(both) == 4
    assert [total(both, 0, until) for until in range(30)] == [total(reversed_order, 0, until) for until in range(30)]


@settings(deadline=None)
@given(order=st.permutations(range(4)), cut=st.integers(0, 50))
def test_series_come_in_any_order(order: list[int], cut: int) -> None:
    """In one answer, or in two answers of which the second repeats a part of the first."""
    answer = [
        series(REQUESTS, (0, 5), (20, 8), (40, 9), code="200"),
        series(REQUESTS, (20, 1), (40, 3), code="500"),
        series(REQUESTS, (30, 7), (50, 9), pod="b", code="200"),
        series(LABELS, (40, 2), (50, 3), pod="b"),
    ]
    shuffled = [answer[index] for index in order]
    twice = counters_of(*((labels, [sample for sample in samples if sample[0] <= cut]) for labels, samples in shuffled))
    twice.add((labels, [sample for sample in samples if sample[0] > cut - 20]) for labels, samples in shuffled)
    ordered, reordered = counters_of(*answer), counters_of(*shuffled)
    for until in range(0, 60, 10):
        assert total(ordered, 0, until) == total(reordered, 0, until) == total(twice, 0, until)


def test_series_without_a_pod_are_left_out_and_reported() -> None:
    """Without that label, a restart looks like the counter of another pod."""
    counters = counters_of(series(REQUESTS, (0, 5), (10, 9), pod=""), series(REQUESTS, (0, 1), (10, 2)))
    assert (total(counters), list(counters.pods), counters.without_pod) == (1, ["a"], True)
    assert not counters_of(series(REQUESTS, (0, 5))).without_pod


def test_a_pod_belongs_to_the_revision_whose_requests_it_finishes() -> None:
    """Any pod may count a label for a prediction, so labels do not show the revision of a pod."""
    counters = counters_of(series(LABELS, (5, 1)), series(REQUESTS, (0, 1), (10, 2), revision="old"))
    assert {name: (pod.revision, pod.first, pod.last) for name, pod in counters.pods.items()} == {"a": ("old", 0, 10)}


def test_growth_is_given_by_counter_and_by_pod() -> None:
    """With the labels that distinguish counters."""
    counters = counters_of(
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
def test_forgetting_old_samples_does_not_change_later_growth(steps: list[tuple[int, bool]], moment: int) -> None:
    """Also for samples that come later."""
    samples = counter(steps)
    complete, forgetful = counters_of(series(REQUESTS, *samples)), counters_of(series(REQUESTS, *samples))
    forgetful.forget(moment)
    for counters in (complete, forgetful):
        counters.add([series(REQUESTS, *samples, (300, 1000)), series(REQUESTS, (300, 7), code="500")])
    for until in range(moment, 310, 10):
        assert total(complete, moment, until) == total(forgetful, moment, until)
        assert complete.pods["a"].newest(until) == forgetful.pods["a"].newest(until)
    assert complete.pods["a"].first == forgetful.pods["a"].first


def test_memory_does_not_grow_with_the_run() -> None:
    """Of a thousand scrapes in closed ticks, only the last one stays in memory, with the times of four."""
    counters, requests = counters_of(series(REQUESTS, *thousand())), Counter.starting(0, 0, from_zero=True)
    for at, value in thousand():
        requests.add(at, value)
    counters.forget(9_985)
    requests.forget(9_985)
    assert counters.pods["a"].scrapes == [9_960, 9_970, 9_980, 9_990]
    assert requests.times == [9_980, 9_990]


def thousand() -> Iterator[Sample]:
    return ((10.0 * scrape, float(scrape)) for scrape in range(1000))


def test_a_pod_that_is_gone_for_an_hour_is_forgotten() -> None:
    """A run that is held for days, with pods that come and go, keeps those of the last hour; others are not touched."""
    pods = [series(REQUESTS, (600.0 * number, 0), (600.0 * number + 500, 9), pod=str(number)) for number in range(100)]
    counters = counters_of(*pods)
    counters.forget(59_900)
    assert list(counters.pods) == [str(number) for number in range(94, 100)]
    assert len(list(counters.grown("new", 59_900, 60_000))) == 6


def test_what_was_counted_in_an_hour_without_scrapes_is_no_growth() -> None:
    """Nobody knows when it was counted; a pod that was forgotten and comes back is read in the same way."""
    samples = [(0, 5), (10, 7), (4_000, 500), (4_010, 501)]
    counters, forgetful = counters_of(series(REQUESTS, *samples)), counters_of(series(REQUESTS, *samples[:2]))
    forgetful.forget(3_900)
    assert not forgetful.pods
    forgetful.add([series(REQUESTS, *samples[2:])])
    assert total(counters, 10) == total(forgetful, 10) == 1
