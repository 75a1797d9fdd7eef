"""Each run that has ended gets one run record, also after crashes and failures; old records are deleted."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Answer, Outcome, Run, TakenCommand
from sluice_operator.api.status import Status
from sluice_operator.controller.archive import KEPT, Archive
from sluice_operator.kubernetes.port import WriteRefused
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.records import run_record
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.fakes import FakeKube, finish
from tests.unit.sluice_operator.recorded import BEGAN, FakeEndedRuns, a_run

NOW = BEGAN + timedelta(minutes=11)


class CountingKube(FakeKube):
    """Counts the reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.reads += 1
        return await super().get(kind, namespace, name)


class Fixture:
    """An archive with its API server and a fake Evaluator."""

    def __init__(self) -> None:
        self.kube, self.ending = CountingKube(), FakeEndedRuns()
        self.restart()

    def restart(self) -> None:
        self.archive = Archive(self.kube, self.ending)

    def keep(self, run: Run | None, later: float = 0.0) -> list[str]:
        """Names of the ConfigMaps that exist after `keep`, called `later` seconds after the run ended."""
        now = NOW + timedelta(seconds=later)
        finish(self.archive.keep(OWNER, Status(run=run), now=now))
        return [name for kind, name in self.kube.objects if kind == "ConfigMap"]


def nth_run(index: int, **changes: Any) -> Run:
    """A run of the object that began `index` hours after the first one."""
    began = BEGAN + timedelta(hours=index)
    return a_run(id=f"bbbbbbbbbb-{int(began.timestamp())}", started_at=began, **changes)


def test_the_record_of_an_ended_run_is_a_config_map_that_the_object_owns() -> None:
    """It shows the outcome in plain text, is deleted with its owner, and is immutable."""
    fixture, run = Fixture(), nth_run(0)
    (name,) = fixture.keep(run)
    assert name == names.run_record("iris", run.id) == f"iris-run-{run.id}"
    record = fixture.kube.objects["ConfigMap", name]
    assert (
        record["metadata"]["labels"] | {"sluice.dev/model-deployment": "iris", "sluice.dev/record": "run"}
        == (record["metadata"]["labels"])
    )
    assert record["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    assert record["immutable"] is True
    assert (record["data"]["outcome"], record["data"]["model"], record["data"]["stable"]) == (
        "Promoted",
        "models:/iris/2",
        "models:/iris/1",
    )
    assert run_record.decoded(base64.b64decode(record["binaryData"][names.RECORD_KEY])).run == run


@pytest.mark.parametrize(
    "run",
    [
        None,
        nth_run(0, ended_at=None, outcome=None),
        *(
            nth_run(0, traffic_started_at=None, outcome=outcome)
            for outcome in (Outcome.WITHDRAWN, Outcome.SUPERSEDED, Outcome.ABANDONED)
        ),
        nth_run(0, traffic_started_at=None, outcome=Outcome.REJECTED, stable=None),
    ],
)
def test_a_run_that_goes_on_or_decides_nothing_without_traffic_gets_no_record(run: Run | None) -> None:
    """And nothing is read for it. A first revision that was refused is asked about again when its status is lost."""
    fixture = Fixture()
    assert fixture.keep(run) == []
    assert (fixture.kube.reads, fixture.ending.asked) == (0, 0)


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.PROMOTED])
def test_a_run_without_traffic_that_decides_gets_a_record_without_counts(outcome: Outcome) -> None:
    """Prometheus is not asked. It says how the run ended, and who asked for that."""
    fixture = Fixture()
    taken = TakenCommand("abort/x/0/2026-03-01T12:00:00Z", "jane", BEGAN, Answer.ACCEPTED, "traffic goes back")
    (name,) = fixture.keep(nth_run(0, traffic_started_at=None, outcome=outcome, reason="Aborted", commands=(taken,)))
    record = fixture.kube.objects["ConfigMap", name]
    assert (record["data"]["outcome"], record["data"]["reason"], "jane" in record["data"]["commands"]) == (
        outcome,
        "Aborted",
        True,
    )
    assert ("binaryData" in record, fixture.ending.asked) == (False, 0)


def test_an_ended_run_is_checked_once() -> None:
    """Once per process, although the run stays in status for days."""
    fixture = Fixture()
    for later in range(100):
        assert len(fixture.keep(nth_run(0), later)) == 1
    assert (fixture.kube.reads, fixture.ending.asked) == (1, 1)


def test_a_restarted_operator_does_not_write_the_record_again() -> None:
    """It finds the record, and does not ask Prometheus."""
    fixture = Fixture()
    fixture.keep(nth_run(0))
    fixture.restart()
    fixture.keep(nth_run(0))
    assert (fixture.kube.reads, fixture.ending.asked) == (2, 1)


def test_a_record_that_a_crash_prevented_is_written_later() -> None:
    """The next process finds that the run has no record."""
    fixture = Fixture()
    fixture.restart()
    assert len(fixture.keep(nth_run(0), later=3600)) == 1


@pytest.mark.parametrize(
    "trouble", [MetricsLostError("Prometheus gave no answer"), WriteRefused("quota"), KeyError("a bug")]
)
def test_after_a_failure_the_next_attempt_is_a_minute_later(trouble: Exception) -> None:
    """Not in each reconcile."""
    fixture, run = Fixture(), nth_run(0, outcome=Outcome.WITHDRAWN)
    fixture.ending.trouble = trouble
    for later in range(0, 121, 5):
        assert fixture.keep(run, later) == []
    assert fixture.ending.asked == 3
    fixture.ending.trouble = None
    assert len(fixture.keep(run, later=181)) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_how_a_run_ended_does_not_wait_for_its_counts(restarted: bool) -> None:
    """While Prometheus is down a person aborts, and another run begins: the rejection is on record at once."""
    fixture, run = Fixture(), nth_run(0, outcome=Outcome.REJECTED, reason="Aborted")
    fixture.ending.trouble = MetricsLostError("Prometheus gave no answer")
    (name,) = fixture.keep(run)
    assert fixture.keep(run, later=61) == [name]
    record = fixture.kube.objects["ConfigMap", name]
    assert (record["data"]["reason"], record["immutable"], "binaryData" in record) == ("Aborted", False, False)
    fixture.ending.trouble = None
    if restarted:
        fixture.restart()
    assert fixture.keep(run, later=122) == [name]
    record = fixture.kube.objects["ConfigMap", name]
    assert (record["data"]["reason"], record["immutable"], "binaryData" in record) == ("Aborted", True, True)


@pytest.mark.parametrize(("outcome", "records"), [(Outcome.WITHDRAWN, 0), (Outcome.PROMOTED, 1)])
def test_a_run_whose_requests_were_not_counted_is_as_one_without_traffic(outcome: Outcome, records: int) -> None:
    """That is decided once."""
    fixture, run = Fixture(), nth_run(0, outcome=outcome)
    fixture.ending.empty = True
    assert len(fixture.keep(run)) == len(fixture.keep(run, later=600)) == records
    assert fixture.ending.asked == 1


def test_only_the_newest_records_are_kept() -> None:
    """Ten of each object. ConfigMaps of other owners stay."""
    fixture = Fixture()
    foreign = {"name": "foreign", "namespace": "models", "uid": "f"}
    labels = {names.LABEL_OWNER: "iris", names.LABEL_RECORD: names.RUN_RECORD}
    fixture.kube.put({"kind": "ConfigMap", "metadata": {**foreign, "labels": labels}, "data": {}})
    for index in range(KEPT + 3):
        fixture.keep(nth_run(index))
    newest = [names.run_record("iris", nth_run(index).id) for index in range(3, KEPT + 3)]
    assert fixture.keep(nth_run(KEPT + 2)) == ["foreign", *newest]


def test_the_newest_ten_records_stay() -> None:
    """Ten fit, and the eleventh run's record takes the place of the first one's."""
    fixture = Fixture()
    for hour in range(9):
        fixture.keep(nth_run(hour))
    in_order = [names.run_record("iris", nth_run(hour).id) for hour in range(11)]
    assert fixture.keep(nth_run(9)) == in_order[:10]
    assert fixture.keep(nth_run(10)) == in_order[1:]


def test_records_without_counts_take_the_place_of_no_others() -> None:
    """Twenty canaries that never got ready leave ten records; the runs that can be judged again stay."""
    fixture = Fixture()
    fixture.keep(nth_run(0))
    for index in range(1, 2 * KEPT + 1):
        kept = fixture.keep(nth_run(index, traffic_started_at=None, outcome=Outcome.REJECTED))
    newest = range(KEPT + 1, 2 * KEPT + 1)
    assert kept == [names.run_record("iris", nth_run(index).id) for index in (0, *newest)]


def test_a_new_object_with_the_same_name_is_checked_again() -> None:
    """What was known of the deleted object is forgotten."""
    fixture, run = Fixture(), nth_run(0)
    fixture.keep(run)
    fixture.kube.objects.clear()
    fixture.archive.forget("models", "iris")
    assert len(fixture.keep(replace(run, message="again"))) == 1
