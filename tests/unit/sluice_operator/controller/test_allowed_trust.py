"""An object that trusts models more than its namespace may."""

from __future__ import annotations

import random

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


def test_the_registry_is_asked_only_for_what_the_namespace_may_trust() -> None:
    """The objects of the tests have trust: TrustedTypes."""

    async def resolution(limit: Trust) -> object:
        kube, chance = FakeKube(), random.Random(1)
        put(kube, "iris", stable_on(1))
        limits = (TrustLimit("models", limit),)
        settings = Settings("image", "http://mlflow", "http://prometheus", "http://gateway", allowed_trust=limits)
        registry = BackgroundRegistry(Registry(SilentRegistry(), settings.tracking_uri), print, chance, lambda: 0.0)
        evaluator = Evaluator(Reader(FakePrometheus()), Intervals(5, 5))
        claims = HostClaims(kube, settings.allowed_routes)
        snapshot = await Observer(kube, registry, evaluator, claims, settings, lambda: NOW, chance).observe(
            "models", "iris"
        )
        assert snapshot is not None
        return snapshot.observation.resolution

    async def scenario() -> None:
        refused = await resolution(Trust.DATA)
        assert isinstance(refused, Unresolved)
        assert refused.reason == "TrustNotAllowed"
        assert isinstance(await resolution(Trust.TRUSTED_TYPES), NotAnswered)

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
