from dataclasses import replace

from dev.bench.canaries import catalogue, summary
from dev.bench.canaries.catalogue import BAD, CRASHES, ERRORS, IDENTICAL, INACCURATE
from dev.bench.canaries.lane import CanaryResult, exposure
from dev.bench.canaries.predicted import Prediction, worlds
from dev.demo.traffic import Request

ANSWERED = Request("predict", at=5.0, latency=0.01, status=200, version="1", revision="canary")


def test_the_queue_mixes_all_kinds_evenly() -> None:
    """If the benchmark is stopped half-way, it has tried half of each kind."""
    queue = catalogue.queue(identical=20, of_each_bad=2)

    assert sorted(map(queue.count, (IDENTICAL, *BAD))) == [2, 2, 2, 2, 2, 20]
    assert sorted(map(queue[:15].count, (IDENTICAL, *BAD))) == [1, 1, 1, 1, 1, 10]
    assert catalogue.queue(identical=0, of_each_bad=1) == [*BAD]


def test_each_canary_is_a_new_revision() -> None:
    """The operator does not try a rejected revision again, so two canaries of a kind must differ."""
    assert ERRORS.server(1) != ERRORS.server(2)
    assert IDENTICAL.server(1)["image"] is INACCURATE.server(1)["image"] is None
    assert CRASHES.server(1)["image"] == catalogue.IMAGE


def test_stalls_are_everywhere() -> None:
    """Stable and each canary have them, and go on having them after a canary was withdrawn."""
    stalls = {"name": "FAULT_STALL", "value": "0.1"}
    for server in (catalogue.stable_server(catalogue.STALLS), *(kind.server(1, catalogue.STALLS) for kind in BAD)):
        assert server["image"] == catalogue.IMAGE
        assert stalls in server["env"]
    assert catalogue.stable_server() == {"image": None, "env": None}


def test_exposure_counts_the_predictions_that_the_canary_got() -> None:
    """Its answers, and from the first one on requests without an answer; not labels, not stable's answers."""
    requests = [
        replace(ANSWERED, at=1.0, revision="stable"),
        replace(ANSWERED, at=2.0, revision="", status=None),
        replace(ANSWERED, at=6.0, revision="", status=None),
        replace(ANSWERED, at=6.0, kind="feedback"),
        ANSWERED,
    ]

    assert exposure(requests, "canary") == (5.0, 2)
    assert exposure(requests[:2], "canary")[1] == 0


def test_one_in_twenty_identical_canaries_may_be_rolled_back() -> None:
    """As falseRollback of 5 % promises. A second one, or a bad canary that is not rolled back, breaks a promise."""
    queue = catalogue.queue(identical=20, of_each_bad=2)
    good = [CanaryResult(number, kind, 100, None if kind == IDENTICAL else 9.0) for number, kind in enumerate(queue)]
    assert queue[0] == queue[2] == IDENTICAL
    two_false = [replace(result, rolled_back_after=50.0) if result.number in {0, 2} else result for result in good]
    missed = [replace(result, rolled_back_after=None) if result.kind == ERRORS else result for result in good]

    assert all(promise.kept for promise in summary.promises(queue, good))
    assert all(promise.kept for promise in summary.promises(queue, [two_false[0], *good[1:]]))
    assert [promise.kept for promise in summary.promises(queue, two_false)] == [False, True, True]
    assert [promise.kept for promise in summary.promises(queue, missed)] == [True, False, True]
    assert [promise.kept for promise in summary.promises(queue, good[1:])] == [True, True, False]


def test_a_canary_with_trouble_only_counts_as_not_tried() -> None:
    """Without pods it proves nothing about verdicts."""
    trouble = [CanaryResult(1, IDENTICAL, trouble="no pods")]

    assert [promise.kept for promise in summary.promises([IDENTICAL], trouble)] == [True, True, False]


def test_a_row_compares_medians_with_the_simulation() -> None:
    """Crashes are not simulated, so they have no ratio."""
    results = [
        CanaryResult(1, ERRORS, 90, 6.0),
        CanaryResult(2, ERRORS, 110, 10.0),
        CanaryResult(3, CRASHES, 300, 70.0),
    ]
    columns = summary.table(results, {ERRORS.name: Prediction(1.0, 4.0, 50.0)}).columns
    rows = dict(zip(columns[0].cells, zip(*(column.cells for column in columns[1:]), strict=True), strict=True))

    assert rows[ERRORS.name] == ("2 of 2", "6, 10", "4", "2.0", "90, 110", "50", "2.0")
    assert rows[CRASHES.name] == ("1 of 1", "70", "-", "-", "300", "-", "-")


def test_all_but_crashes_are_simulated() -> None:
    """Each simulated service differs from that of identical canaries only in the canary."""
    simulated = worlds(rate=50, baseline_seconds=180)

    assert set(simulated) == {kind.name for kind in (IDENTICAL, *BAD)} - {CRASHES.name}
    same = simulated[IDENTICAL.name]
    assert all(replace(world, canary=same.canary, later=None, turns=same.turns) == same for world in simulated.values())
