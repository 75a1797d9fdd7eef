"""After each change of a route its Gateway has some time to answer, whenever the route was created."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from sluice_operator.api.traffic import HttpRoute, ParentRef, Traffic
from sluice_operator.controller.observation.gateway_answers import GatewayAnswers
from sluice_operator.kubernetes.children import Children
from tests.unit.sluice_operator.build import NOW, OWNER, stable_on

MINUTE = timedelta(minutes=1)


def test_a_change_is_not_blamed_at_once() -> None:
    """Only a Gateway that stays silent is."""
    answers, status = GatewayAnswers(), stable_on(1).status
    assert status.route is not None
    route = Traffic(http_route=HttpRoute((ParentRef("public"),), "iris.example.com"))
    status = replace(status, route=replace(status.route, traffic=route))

    def seen(generation: int, minutes: float, taken: bool = False) -> bool:
        conditions = [{"type": "Accepted", "status": "True", "observedGeneration": generation}]
        parents = [{"parentRef": {"name": "public"}, "conditions": conditions}] if taken else []
        metadata: dict[str, Any] = {"name": "iris", "namespace": "models", "generation": generation}
        owned = Children({("HTTPRoute", "iris"): {"metadata": metadata, "status": {"parents": parents}}}, (), True)
        return answers.look(OWNER, status, owned, NOW + minutes * MINUTE) is not None

    assert [seen(1, 0), seen(1, 1), seen(1, 2, taken=True)] == [False, True, False]
    assert [seen(2, 3), seen(2, 4)] == [False, True]
    answers.forget("models", "iris")
    assert not seen(2, 5)
