"""A run that is judged costs little between its transitions, and a cache that is behind moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec.structs import replace

from sluice_operator.api.command import Verb
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.status import METRICS_UNAVAILABLE
from tests.unit.sluice_operator.build import FAIL, UNDECIDED, At, at, resolved, revision
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.world import IRIS, World

NEWER = replace(UNDECIDED, message="errors: undecided, 20 requests")


class CountingKube(FakeKube):
    """Counts what is read from the API server."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.reads += 1
        return await super().get(kind, namespace, name)

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        self.reads += 1
        return await super().find(kind, namespace, labels)


def stepping_world() -> World:
    """Version 2 waits for evidence at weight 10, and everything is as it should be."""
    world = World(kube=CountingKube())
    world.calm_down(8)
    world.resolution, world.verdicts["2"] = resolved(2), UNDECIDED
    world.calm_down(8)
    assert at(world.status) == At(Phase.STEPPING, stable="1", canary="2", weight=10, live=10)
    assert look(world)[0] == 2, "the Secret and the ConfigMap, of which no watch tells"
    return world


def look(world: World) -> tuple[int, int]:
    """What one look reads from the API server, and writes to it."""
    assert isinstance(world.kube, CountingKube)
    reads, writes = world.kube.reads, world.kube.writes
    world.reconcile()
    return world.kube.reads - reads, world.kube.writes - writes


def test_a_new_verdict_is_one_write() -> None:
    """Nothing is read for it: the caches know this operator's own last write."""
    world = stepping_world()
    world.verdicts["2"] = NEWER
    assert look(world) == (0, 1)
    assert world.status.verdict == NEWER
    assert look(world) == (0, 0)


def test_a_failed_verdict_is_decided_from_the_api_server() -> None:
    """In the same look, and with all that is read for a decision."""
    world = stepping_world()
    world.verdicts["2"] = FAIL
    reads, _ = look(world)
    assert reads > 3
    assert world.status.phase is Phase.ROLLING_BACK


def test_caches_behind_the_own_last_write_are_not_looked_at() -> None:
    """What they say may be from before a transition."""
    world = stepping_world()
    world.copies.catch_up()
    world.watches_are_late = True
    world.verdicts["2"] = NEWER
    assert look(world) == (0, 1)
    world.verdicts["2"] = UNDECIDED
    reads, writes = look(world)
    assert reads > 3
    assert writes == 1


def test_a_status_that_somebody_else_wrote_is_not_written_over() -> None:
    """The caches have not heard of it, and the API server refuses what was decided without it."""
    world = stepping_world()
    world.copies.catch_up()
    world.watches_are_late = True
    world.kube.touch(IRIS)
    world.verdicts["2"] = NEWER
    reads, _ = look(world)
    assert reads > 3
    assert world.status.verdict == NEWER


def test_what_somebody_deleted_is_written_again() -> None:
    """The caches have heard of it, and the whole look follows."""
    world = stepping_world()
    del world.kube.objects["Service", f"iris-{revision(1).revision}"]
    world.calm_down(2)
    assert ("Service", f"iris-{revision(1).revision}") in world.kube.objects


def test_a_key_that_somebody_deleted_is_made_anew_within_a_minute() -> None:
    """No watch tells of Secrets."""
    world = stepping_world()
    del world.kube.objects["Secret", "iris-feedback"]
    assert look(world) == (0, 0)
    world.now += timedelta(seconds=61)
    world.calm_down(2)
    assert ("Secret", "iris-feedback") in world.kube.objects


def test_a_command_is_answered_from_the_api_server() -> None:
    """An abort acts in the look that sees it."""
    world = stepping_world()
    world.ask(Verb.ABORT, revision(2).revision, 0)
    reads, _ = look(world)
    assert reads > 3
    assert world.status.run is not None
    assert (world.status.phase, world.status.run.outcome) == (Phase.ROLLING_BACK, Outcome.REJECTED)


def test_a_new_operator_looks_at_everything_first() -> None:
    """It does not know which write was the last."""
    world = stepping_world()
    world.start_operator()
    reads, _ = look(world)
    assert reads > 3
    assert look(world)[0] == 2
    assert look(world)[0] == 0


def test_the_time_of_a_watch_ends_though_nothing_is_read() -> None:
    """A run moves on by time as well, and that is a decision."""
    world = stepping_world()
    world.verdicts.pop("2")
    world.calm_down(20)
    assert world.status.phase is Phase.STABLE
    assert world.status.stable is not None
    assert world.status.stable.model.version == "2"


def test_an_event_is_posted_from_the_caches_too() -> None:
    """People hear of lost metrics as in any other look."""
    world = stepping_world()
    world.verdicts["2"] = replace(UNDECIDED, reason=METRICS_UNAVAILABLE, message="Prometheus does not answer")
    assert look(world)[0] == 0
    assert "MetricsLost" in world.kube.events
