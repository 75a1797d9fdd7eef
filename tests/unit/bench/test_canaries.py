from dataclasses import replace

from dev.bench.canaries import catalogue, summary
from dev.bench.canaries.catalogue import BAD, CRASHES, ERRORS, IDENTICAL, INACCURATE
from dev.bench.canaries.lane import Tried, exposure
from dev.bench.canaries.predicted import Predicted, worlds
from dev.demo.traffic import Request

ANSWERED = Request("predict", at=5.0, latency=0.01, status=200, version="1", revision="canary")


def test_the_queue_mixes_all_kinds_evenly() -> None:
    """Whoever stops it half-way has tried half of each: the bad kinds once, and half of the identical ones."""
    queue = catalogue.queue(identical=20, of_each_bad=2)

    assert sorted(map(queue.count, (IDENTICAL, *BAD))) == [2, 2, 2, 2, 2, 20]
    assert sorted(map(queue[:15].count, (IDENTICAL, *BAD))) == [1, 1, 1, 1, 1, 10]
    assert catalogue.queue(identical=0, of_each_bad=1) == [*BAD]


def test_each_canary_is_a_revision_of_its_own() -> None:
    """The operator remembers what it rejected, so that the second of a kind must differ from the first."""
    assert ERRORS.server(1) != ERRORS.server(2)
    assert IDENTICAL.server(1)["image"] is INACCURATE.server(1)["image"] is None
    assert CRASHES.server(1)["image"] == catalogue.IMAGE


def test_exposure_counts_what_the_canary_got() -> None:
    """Its answers, and from the first one on what nobody answered; never labels, never stable's answers."""
    requests = [
        replace(ANSWERED, at=1.0, revision="stable"),
        replace(ANSWERED, at=2.0, revision="", status=None),
        replace(ANSWERED, at=6.0, revision="", status=None),
        replace(ANSWERED, at=6.0, kind="feedback"),
        ANSWERED,
    ]

    assert exposure(requests, "canary") == (5.0, 2)
    assert exposure(requests[:2], "canary")[1] == 0


def test_one_in_twenty_identical_canaries_may_be_taken_back() -> None:
    """That is what falseRollback of 5 % says; a second one, or a bad canary that stays, breaks the promise."""
    queue = catalogue.queue(identical=20, of_each_bad=2)
    good = [Tried(number, kind, 100, None if kind == IDENTICAL else 9.0) for number, kind in enumerate(queue)]
    assert queue[0] == queue[2] == IDENTICAL
    accused = [replace(one, found_after=50.0) if one.number in {0, 2} else one for one in good]
    missed = [replace(one, found_after=None) if one.kind == ERRORS else one for one in good]

    assert all(promise.kept for promise in summary.promises(queue, good))
    assert all(promise.kept for promise in summary.promises(queue, [accused[0], *good[1:]]))
    assert [promise.kept for promise in summary.promises(queue, accused)] == [False, True, True]
    assert [promise.kept for promise in summary.promises(queue, missed)] == [True, False, True]
    assert [promise.kept for promise in summary.promises(queue, good[1:])] == [True, True, False]


def test_trouble_is_neither_kept_nor_broken_but_missing() -> None:
    """A canary whose pods never came says nothing about verdicts."""
    trouble = [Tried(1, IDENTICAL, trouble="no pods")]

    assert [promise.kept for promise in summary.promises([IDENTICAL], trouble)] == [True, True, False]


def test_a_row_compares_medians_with_the_simulation() -> None:
    """Crashes are found by a rule, so there is nothing to compare them with."""
    tried = [Tried(1, ERRORS, 90, 6.0), Tried(2, ERRORS, 110, 10.0), Tried(3, CRASHES, 300, 70.0)]
    columns = summary.table(tried, {ERRORS.name: Predicted(1.0, 4.0, 50.0)}).columns
    rows = dict(zip(columns[0].cells, zip(*(column.cells for column in columns[1:]), strict=True), strict=True))

    assert rows[ERRORS.name] == ("2 of 2", "6, 10", "4", "2.0", "90, 110", "50", "2.0")
    assert rows[CRASHES.name] == ("1 of 1", "70", "-", "-", "300", "-", "-")


def test_all_but_crashes_are_simulated() -> None:
    """Each world differs from the identical one in the canary alone."""
    found = worlds(rate=50, record_seconds=180)

    assert set(found) == {kind.name for kind in (IDENTICAL, *BAD)} - {CRASHES.name}
    same = found[IDENTICAL.name]
    assert all(replace(one, canary=same.canary, later=None, turns=same.turns) == same for one in found.values())
