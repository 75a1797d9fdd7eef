"""Objects of a namespace that another operator works in: not looked at, forgotten, and told once who has them."""

from __future__ import annotations

import asyncio

from sluice_operator.controller.events import EventPublisher
from sluice_operator.controller.standing_back import StandingBack
from sluice_operator.kubernetes.claim import Claim
from sluice_operator.kubernetes.claims import EVERY, Claims
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import simulated

IRIS_KEY = "models", "iris"


class Place:
    """The namespace `models`, with the object iris and the claim of another operator, if that is there."""

    def __init__(self, other: str) -> None:
        self.kube = FakeKube()
        self.kube.put({"kind": "ModelDeployment", "metadata": {"namespace": "models", "name": "iris"}})
        if other:
            self.kube.put(Claim("models", other).manifest())
        self.looked, self.forgotten = list[tuple[str, str]](), list[tuple[str, str]]()
        claims = Claims(self.kube, "ours/sluice-leader", clock=asyncio.get_running_loop().time)
        publisher = EventPublisher(self.kube, instance="test")
        self.work = StandingBack(self._work, claims, self.kube, publisher, lambda *key: self.forgotten.append(key))
        self.claiming = asyncio.create_task(claims.run(lambda namespace: None, lambda namespace: True))

    async def _work(self, namespace: str, name: str) -> float | None:
        self.looked.append((namespace, name))
        return 5.0


def test_an_object_waits_for_the_claim_to_its_namespace() -> None:
    """And is worked on from then on."""

    async def scenario() -> None:
        place = Place(other="")
        assert await place.work(*IRIS_KEY) is None
        await asyncio.sleep(EVERY)
        assert await place.work(*IRIS_KEY) == 5.0
        assert (place.looked, place.kube.events) == ([IRIS_KEY], [])
        place.claiming.cancel()

    simulated(scenario)


def test_an_object_of_another_operator_says_so_in_one_event() -> None:
    """As soon as the other one has answered, and not once for each look."""

    async def answers(place: Place) -> None:
        """What the other operator does."""
        claim = Claim.read(place.kube.objects["ConfigMap", "sluice-claim"])
        if claim.asked_by:
            await place.kube.apply(claim.of("theirs/sluice-leader"))

    async def scenario() -> None:
        place = Place(other="theirs/sluice-leader")
        await place.work(*IRIS_KEY)
        assert place.kube.events == []
        for _ in range(5):
            await answers(place)
            await asyncio.sleep(EVERY)
            assert await place.work(*IRIS_KEY) is None
        assert (place.looked, place.kube.events) == ([], ["OtherOperator"])
        assert place.forgotten == [IRIS_KEY] * 6
        place.claiming.cancel()

    simulated(scenario)
