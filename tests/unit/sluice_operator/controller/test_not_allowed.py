"""An object that asks for more than its namespace may have: trust in models, or access of its pods to their node."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sluice_operator.api.allowed_trust import TrustLimit
from sluice_operator.api.observation import NotAnswered, Unresolved
from sluice_operator.api.run import Phase
from sluice_operator.api.spec import Trust
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.observation.observe import Observer
from sluice_operator.counting.intervals import Intervals
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry
from sluice_operator.prometheus.reader import Reader
from sluice_operator.settings import Settings
from tests.unit.sluice_operator.build import NOW, condition, stable_on
from tests.unit.sluice_operator.controller.test_hanging_dependencies import SilentRegistry, put
from tests.unit.sluice_operator.fake_prometheus import FakePrometheus
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import simulated
from tests.unit.sluice_operator.world import World

REFUSED = Unresolved("TrustNotAllowed", "namespace models may not use trust: Code: write trust: Data")


async def resolution(**settings: Any) -> object:
    """Of an object with trust: TrustedTypes, whose pods would be in the network of their host."""
    kube, chance = FakeKube(), random.Random(1)
    put(kube, "iris", stable_on(1))
    kube.objects["ModelDeployment", "iris"]["spec"]["server"]["podTemplate"] = {"spec": {"hostNetwork": True}}
    made = Settings("image", "http://mlflow", "http://prometheus", "http://gateway", **settings)
    registry = BackgroundRegistry(Registry(SilentRegistry(), made.tracking_uri), print, chance, lambda: 0.0)
    evaluator = Evaluator(Reader(FakePrometheus()), Intervals(5, 5))
    claims = HostClaims(kube, made.allowed_routes)
    snapshot = await Observer(kube, registry, evaluator, claims, made, lambda: NOW, chance).observe("models", "iris")
    assert snapshot is not None
    return snapshot.observation.resolution


@pytest.mark.parametrize(
    ("trust", "host_access", "reason"),
    [
        (Trust.DATA, ("*",), "TrustNotAllowed"),
        (Trust.TRUSTED_TYPES, ("others",), "HostAccessNotAllowed"),
        (Trust.TRUSTED_TYPES, ("others", "models"), ""),
    ],
)
def test_the_registry_is_asked_only_for_what_the_namespace_may_have(
    trust: Trust, host_access: tuple[str, ...], reason: str
) -> None:
    """The trust in files, and what its pods may reach."""
    limits = (TrustLimit("models", trust),)

    async def scenario() -> None:
        found = await resolution(allowed_trust=limits, allowed_host_access=host_access)
        assert (
            found.reason == reason if isinstance(found, Unresolved) else isinstance(found, NotAnswered) == (not reason)
        )

    simulated(scenario)


def test_a_new_object_waits_without_pods_until_its_trust_is_allowed() -> None:
    """It says what to write, and that nobody was asked."""
    world = World()
    allowed, world.resolution = world.resolution, REFUSED
    world.calm_down(5)
    assert condition(world.status, "Stalled") == ("True", REFUSED.reason, REFUSED.message)
    assert condition(world.status, "RegistryReachable")[:2] == ("Unknown", "NotAsked")
    assert not any(kind == "Deployment" for kind, _ in world.kube.objects)
    world.resolution = allowed
    world.advance_until(Phase.STABLE)


def test_what_serves_keeps_serving_when_the_limit_is_lowered() -> None:
    """As with a list of hosts that becomes shorter."""
    world = World()
    world.advance_until(Phase.STABLE)
    before, world.resolution = world.status.stable, REFUSED
    world.calm_down(5)
    assert (world.status.phase, world.status.stable) == (Phase.STABLE, before)
    assert condition(world.status, "Stalled")[1] == REFUSED.reason
