"""How failures of model servers are counted in a run: per pod, and against stable's."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice_operator.api.observation import Crashes, ServerEnd, Workload
from sluice_operator.api.run import Run
from sluice_operator.rollout import crashes
from tests.unit.sluice_operator.build import NOW, revision, stepping

OOM = "exit code 137 (OOMKilled)"
BEFORE = NOW - timedelta(hours=3)


def _run() -> Run:
    run = stepping().status.run
    assert run is not None
    return run


def _end(pod: str, restarts: int, failure: str = OOM, created: datetime = NOW, at: datetime | None = None) -> ServerEnd:
    return ServerEnd(pod, f"uid-{pod}", created, restarts, at or NOW + timedelta(minutes=5), failure)


def _noted(run: Run, *canary: ServerEnd, stable: tuple[ServerEnd, ...] = ()) -> Run:
    workloads = {revision(2).revision: Workload(ends=canary), revision(1).revision: Workload(ends=stable)}
    return crashes.noted(run, workloads)


def test_crashes_are_counted_per_pod_without_as_many_as_stable_s() -> None:
    """The last one is named. Fewer than stable's count as none."""
    run = _noted(_run(), _end("a", 2), _end("b", 1), stable=(_end("s", 1),))
    assert crashes.compared(run) == Crashes(2, f"container server of pod b ended with {OOM}")
    assert crashes.compared(_noted(_run(), stable=(_end("s", 4),))) == Crashes()


def test_restarts_from_before_the_run_do_not_count() -> None:
    """Of an older pod only what ends in the run."""
    old = _end("a", 7, created=BEFORE, at=BEFORE)
    assert _noted(_run(), old).crashes == ()
    first = _noted(_noted(_run(), old), _end("a", 8, created=BEFORE))
    assert crashes.compared(first).more == 1
    assert crashes.compared(_noted(first, _end("a", 10, created=BEFORE))).more == 3


def test_looking_again_counts_nothing_twice() -> None:
    """The same ends are the same crashes."""
    once = _noted(_run(), _end("a", 2))
    assert _noted(once, _end("a", 2)) is once


def test_a_pod_that_is_gone_keeps_its_crashes() -> None:
    """One that was evicted or replaced after it crashed is not forgotten; its successor adds to it."""
    gone = _noted(_noted(_run(), _end("a", 1)))
    assert crashes.compared(_noted(gone, _end("b", 1))).more == 2


def test_a_reboot_of_all_nodes_is_no_crash() -> None:
    """However often nodes go down, and whichever arm's pods they had; crashes before and after it do count."""
    run = _run()
    for number in range(1, 4):
        run = _noted(run, _end("a", number, failure=""), _end("b", number, failure=""))
    assert crashes.compared(run) == Crashes()
    assert crashes.compared(_noted(run, _end("a", 4))).more == 1
    crashed = _noted(_run(), _end("a", 1))
    assert crashes.compared(_noted(crashed, _end("a", 2, failure=""))).more == 1


def test_the_count_is_bounded() -> None:
    """A run over weeks has many pods; the newest are kept."""
    run = _run()
    for number in range(200):
        run = _noted(run, _end(f"p{number}", 1))
    assert len(run.crashes) == crashes.PODS_KEPT
