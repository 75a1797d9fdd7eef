"""Each run that ended has its record, once, whatever went wrong in between; old ones go."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Run, Status
from sluice_operator.controller.archive import KEPT, Archive
from sluice_operator.kubernetes.port import WriteRefused
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.records import run_record
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.fakes import FakeKube, finish
from tests.unit.sluice_operator.recorded import BEGAN, FakeEnding, a_run

NOW = BEGAN + timedelta(minutes=11)


class Reading(FakeKube):
    """Counts what is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.asked += 1
        return await super().get(kind, namespace, name)


class Kept:
    """An archive with its surroundings."""

    def __init__(self) -> None:
        self.kube, self.recording = Reading(), FakeEnding()
        self.restart()

    def restart(self) -> None:
        self.archive = Archive(self.kube, self.recording)

    def keep(self, run: Run | None, later: float = 0.0) -> list[str]:
        """Looks, and tells which records there are then."""
        now = NOW + timedelta(seconds=later)
        finish(self.archive.keep(OWNER, Status(run=run), now=now))
        return [name for kind, name in self.kube.objects if kind == "ConfigMap"]


def the(index: int, **changes: Any) -> Run:
    """The index-th run of the object."""
    began = BEGAN + timedelta(hours=index)
    return a_run(id=f"bbbbbbbbbb-{int(began.timestamp())}", started_at=began, **changes)


def test_a_run_that_ended_is_recorded_in_a_config_map_of_the_object() -> None:
    """It says at a glance how the run ended, goes with its owner, and cannot be changed."""
    kept, run = Kept(), the(0)
    (name,) = kept.keep(run)
    assert name == names.run_record("iris", run.id) == f"iris-run-{run.id}"
    one = kept.kube.objects["ConfigMap", name]
    assert (
        one["metadata"]["labels"] | {"sluice.dev/model-deployment": "iris", "sluice.dev/record": "run"}
        == (one["metadata"]["labels"])
    )
    assert one["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    assert one["immutable"] is True
    assert (one["data"]["outcome"], one["data"]["model"], one["data"]["stable"]) == (
        "Promoted",
        "models:/iris/2",
        "models:/iris/1",
    )
    assert run_record.decoded(base64.b64decode(one["binaryData"][names.RECORD_KEY])).run == run


@pytest.mark.parametrize(
    "run",
    [None, the(0, ended_at=None, outcome=None), the(0, traffic_started_at=None)],
)
def test_what_has_not_ended_or_had_no_traffic_is_not_recorded(run: Run | None) -> None:
    """Nor is anything asked."""
    kept = Kept()
    assert kept.keep(run) == []
    assert (kept.kube.asked, kept.recording.asked) == (0, 0)


def test_an_idle_object_costs_nothing() -> None:
    """One look per run and process; the run stays in status for days."""
    kept = Kept()
    for later in range(100):
        assert len(kept.keep(the(0), later)) == 1
    assert (kept.kube.asked, kept.recording.asked) == (1, 1)


def test_a_restarted_operator_finds_the_record() -> None:
    """Prometheus is not asked again."""
    kept = Kept()
    kept.keep(the(0))
    kept.restart()
    kept.keep(the(0))
    assert (kept.kube.asked, kept.recording.asked) == (2, 1)


def test_a_crash_before_the_write_loses_nothing() -> None:
    """The next process finds a run without a record."""
    kept = Kept()
    kept.restart()
    assert len(kept.keep(the(0), later=3600)) == 1


@pytest.mark.parametrize(
    "trouble", [MetricsLostError("Prometheus gave no answer"), WriteRefused("quota"), KeyError("a bug")]
)
def test_trouble_is_tried_again_a_minute_later(trouble: Exception) -> None:
    """Not at every look."""
    kept = Kept()
    kept.recording.trouble = trouble
    for later in range(0, 121, 5):
        assert kept.keep(the(0), later) == []
    assert kept.recording.asked == 3
    kept.recording.trouble = None
    assert len(kept.keep(the(0), later=181)) == 1


def test_a_run_of_which_nothing_was_counted_has_no_record() -> None:
    """It is not asked for again."""
    kept = Kept()
    kept.recording.empty = True
    assert kept.keep(the(0)) == kept.keep(the(0), later=600) == []
    assert kept.recording.asked == 1


def test_the_newest_records_are_kept() -> None:
    """Ten of each object; others' ConfigMaps stay."""
    kept = Kept()
    foreign = {"name": "foreign", "namespace": "models", "uid": "f"}
    labels = {names.LABEL_OWNER: "iris", names.LABEL_RECORD: names.RUN_RECORD}
    kept.kube.put({"kind": "ConfigMap", "metadata": {**foreign, "labels": labels}, "data": {}})
    for index in range(KEPT + 3):
        kept.keep(the(index))
    newest = [names.run_record("iris", the(index).id) for index in range(3, KEPT + 3)]
    assert kept.keep(the(KEPT + 2)) == ["foreign", *newest]


def test_a_new_object_of_the_same_name_is_looked_at_anew() -> None:
    """What was remembered went with the old one."""
    kept, run = Kept(), the(0)
    kept.keep(run)
    kept.kube.objects.clear()
    kept.archive.forget("models", "iris")
    assert len(kept.keep(replace(run, message="again"))) == 1
