"""How long the operator waits before the next attempt, when it could not finish what it began."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import WriteRefused
from tests.unit.sluice_operator.build import resolved
from tests.unit.sluice_operator.fakes import finish
from tests.unit.sluice_operator.world import World


def slow_world() -> World:
    """Version 1 is stable, and an operator that has nothing to retry comes back after 30 or 60 seconds."""
    world = World()
    world.calm_down(8)
    world.operator = replace(world.operator, evaluation_interval=60.0)
    return world


def pause(world: World) -> float | None:
    """Seconds until the next reconcile."""
    return finish(world.operator.reconcile("models", "iris"))


def with_a_missing_object() -> World:
    """A world whose next reconcile has something to write, although status does not change."""
    world = slow_world()
    del world.kube.objects["Service", "iris"]
    return world


def test_the_next_attempt_after_a_refused_write_comes_after_five_seconds() -> None:
    """Each time, as long as the API server refuses; then the pause is that of every stable object."""
    world = with_a_missing_object()
    allowed = world.kube.before_write

    def refuse(verb: str, manifest: Manifest) -> None:
        if manifest["kind"] == "Service":
            raise WriteRefused("exceeded quota")
        allowed(verb, manifest)

    world.kube.before_write = refuse
    assert [pause(world) for _ in range(3)] == [5.0, 5.0, 5.0]
    assert ("Service", "iris") not in world.kube.objects
    world.kube.before_write = allowed
    pause(world)
    assert ("Service", "iris") in world.kube.objects
    assert pause(world) == 30.0


@pytest.mark.parametrize(("races", "seconds"), [(1, 0.05), (10, 0.5), (100, 5.0), (150, 5.0)])
def test_the_pause_after_lost_races_grows_to_five_seconds(races: int, seconds: float) -> None:
    """The first attempts come at once, because a race is mostly lost once."""
    world = with_a_missing_object()
    pauses = []
    for _ in range(races):
        world.race = lambda: world.kube.put(
            {"kind": "Service", "metadata": {"name": "iris", "namespace": "models"}, "spec": {}}
        )
        pauses.append(pause(world))
        del world.kube.objects["Service", "iris"]
    assert pauses[-1] == pytest.approx(seconds)


def test_an_alias_that_is_not_moved_yet_is_tried_again_after_five_seconds() -> None:
    """The registry does not answer; without an alias to move the pause would be 30 seconds."""
    world = slow_world()
    world.registry.answers = False
    world.resolution = resolved(2)
    world.calm_down()
    assert world.status.alias is not None
    assert not world.status.alias.done
    assert pause(world) == 5.0
