"""The administrator's lists of hosts and IngressClasses, over the life of an object."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice_operator.api.allowed_routes import Allowed, AllowedRoutes
from sluice_operator.api.run import Outcome, Phase
from tests.unit.sluice_operator.build import condition, resolved
from tests.unit.sluice_operator.controller.test_at_rest import IRIS, Scenario, scenario
from tests.unit.sluice_operator.world import World

HOSTS = AllowedRoutes(hosts=(Allowed("models", "*.models.example.com"),))
CLASSES = AllowedRoutes(ingress_classes=(Allowed("models", "nginx-internal"),))
BOTH = pytest.mark.parametrize(("allowed", "reason"), [(HOSTS, "HostNotAllowed"), (CLASSES, "IngressClassNotAllowed")])


def route(world: World) -> tuple[str, str]:
    """Class and host of the Ingress that is there."""
    spec = world.kube.objects["Ingress", "iris"]["spec"]
    return spec["ingressClassName"], spec["rules"][0]["host"]


def corrected(world: World) -> None:
    world.edit_spec(traffic={"ingress": {"className": "nginx-internal", "host": "iris.models.example.com"}})


def permitted(world: World) -> None:
    """The administrator changes the setting, which restarts the operator."""
    world.allowed_routes = AllowedRoutes()
    world.start_operator()


@pytest.mark.parametrize("mend", [corrected, permitted])
@BOTH
def test_a_new_object_waits_without_pods_until_its_route_is_allowed(
    allowed: AllowedRoutes, reason: str, mend: Callable[[World], None]
) -> None:
    """Then it begins with the next look, whoever has mended it."""
    world = World()
    world.allowed_routes = allowed
    world.calm_down(5)
    assert (world.status.phase, condition(world.status, "Stalled")[1]) == (Phase.PENDING, reason)
    assert {kind for kind, _ in world.kube.objects if kind in ("Deployment", "Service", "Ingress")} == set()
    mend(world)
    world.reconcile()
    assert world.status.phase is Phase.INITIALIZING
    world.calm_down(5)
    assert route(world)[1] == world.spec["traffic"]["ingress"]["host"]
    assert condition(world.status, "Stalled")[0] == "False"


@BOTH
def test_a_list_that_becomes_shorter_breaks_nothing(allowed: AllowedRoutes, reason: str) -> None:
    """What serves goes on to serve, and new versions of it are rolled out, on the route that it was granted."""
    world = World()
    world.advance_until(Phase.STABLE)
    world.allowed_routes = allowed
    world.start_operator()
    world.resolution = resolved(2)
    world.calm_down()
    newest = world.status.history[0]
    assert (newest.model, newest.outcome) == ("models:/iris/2", Outcome.PROMOTED)
    assert route(world) == ("nginx", "iris.example.com")
    assert condition(world.status, "Stalled")[:2] == ("True", reason)


def test_with_a_lost_status_the_list_decides() -> None:
    """An Ingress that is there says nothing: whoever may write one could get any host by it."""

    async def steps(world: Scenario) -> None:
        assert condition(world.told[-1], "Stalled")[1] == "HostNotAllowed"
        ingress = world.kube.objects["Ingress", "iris"]
        ingress["metadata"]["creationTimestamp"] = "2026-03-01T00:00:00Z"
        world.kube.put({**world.kube.objects[IRIS], "status": {}})
        world.catch_up()
        await world.look()
        assert world.told[-1].route is None
        assert condition(world.told[-1], "Stalled")[1] == "HostNotAllowed"
        assert ("Ingress", "iris") not in world.kube.objects

    scenario(steps, allowed_hosts=HOSTS.hosts)
