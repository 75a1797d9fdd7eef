"""Where many aliases are followed, a list of the registry confirms those that have not moved. Time is simulated."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from msgspec.structs import replace

from sluice_operator.api.observation import Resolution, Resolved
from sluice_operator.api.owner import Key
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Listed, Registry
from sluice_operator.mlflow.connection import Connection
from tests.unit.sluice_operator.build import model
from tests.unit.sluice_operator.simulated_time import simulated

VIA = Connection("http://mlflow:5000")
POLL = 30.0


class FakeRegistry(Registry):
    """`versions`: of the alias `champion` of each model. `models`: that it holds in all."""

    def __init__(self, names: list[str]) -> None:
        self.versions = dict.fromkeys(names, 1)
        self.models = len(names)
        self.can_be_listed = True
        self.list_takes = 0.1  # seconds
        self.registered = "2026"  # all models
        self.asked = Counter[str]()

    async def resolve(self, uri: str, via: Connection) -> Resolution:
        self.asked["one"] += 1
        await asyncio.sleep(0.01)
        version = self.versions[uri.removeprefix("models:/").partition("@")[0]]
        return Resolved(replace(model(version), run_id=self.registered))

    async def aliases(self, via: Connection, most: int) -> dict[tuple[str, str], Listed] | None:
        self.asked["list"] += 1
        await asyncio.sleep(self.list_takes)
        if not self.can_be_listed or self.models > most:
            return None
        return {(name, "champion"): Listed(str(version), self.registered) for name, version in self.versions.items()}


class Followed:
    """Some models, each followed by one object, for which the first answer is there."""

    def __init__(self, number: int) -> None:
        self.names = [f"model-{index}" for index in range(number)]
        self.fake = FakeRegistry(self.names)
        self.woken: list[str] = []
        self.registry = BackgroundRegistry(self.fake, self._wake, random.Random(1), asyncio.get_running_loop().time)

    def _wake(self, key: Key) -> None:
        self.woken.append(key[1])

    async def begin(self) -> None:
        for name in self.names:
            self.version(name)
        await asyncio.sleep(POLL * 1.2)  # the first list is read with the second request for each
        self.woken.clear()
        self.fake.asked.clear()

    def version(self, name: str) -> str:
        answer = self.registry.resolve(("models", name), f"models:/{name}@champion", VIA, POLL)
        return answer.model.version if isinstance(answer, Resolved) else ""


def test_a_list_takes_the_place_of_many_requests() -> None:
    """It is read once in five seconds, and nobody is woken as long as nothing has moved."""

    async def scenario() -> None:
        followed = Followed(200)
        await followed.begin()
        await asyncio.sleep(60)
        assert followed.fake.asked["one"] == 0
        assert followed.fake.asked["list"] <= 13
        assert followed.woken == []

    simulated(scenario)


def test_an_alias_that_moved_is_asked_for() -> None:
    """Its object is woken, and no other one."""

    async def scenario() -> None:
        followed = Followed(200)
        await followed.begin()
        followed.fake.versions["model-7"] = 2
        await asyncio.sleep(POLL + 10)
        assert (followed.woken, followed.version("model-7")) == (["model-7"], "2")
        assert followed.fake.asked["one"] == 1

    simulated(scenario)


def test_models_that_were_deleted_and_registered_again_are_asked_for() -> None:
    """They have the same names, aliases and versions, and other runs."""

    async def scenario() -> None:
        followed = Followed(100)
        await followed.begin()
        followed.fake.registered = "2027"
        await asyncio.sleep(POLL + 10)
        assert sorted(followed.woken) == sorted(followed.names)
        followed.fake.asked.clear()
        await asyncio.sleep(60)
        assert followed.fake.asked["one"] == 0, "then the list knows them"

    simulated(scenario)


def test_few_aliases_are_asked_for_one_by_one() -> None:
    """A list would be longer than their answers."""

    async def scenario() -> None:
        followed = Followed(20)
        await followed.begin()
        await asyncio.sleep(60)
        assert followed.fake.asked["list"] == 0
        assert followed.fake.asked["one"] >= 20

    simulated(scenario)


def test_a_registry_that_cannot_be_listed_is_asked_as_before() -> None:
    """Because it has far more models than are followed, gives no list, or is slow: it is tried ever more seldom."""

    async def scenario() -> None:
        for change in ({"models": 1_000_000}, {"can_be_listed": False}, {"list_takes": 3600}):
            followed = Followed(100)
            vars(followed.fake).update(change)
            await followed.begin()
            followed.fake.versions["model-7"] = 2
            await asyncio.sleep(300)
            assert all(followed.version(name) == ("2" if name == "model-7" else "1") for name in followed.names)
            assert followed.fake.asked["list"] <= 4
            assert followed.fake.asked["one"] >= 800
            await asyncio.sleep(600)
            followed.fake.asked.clear()
            await asyncio.sleep(3600)
            assert followed.fake.asked["list"] <= 6

    simulated(scenario)


def test_a_registry_that_was_busy_is_listed_again_within_a_minute() -> None:
    """A fleet that starts asks much at once; if the first list fails then, not each alias is asked for ten minutes."""

    async def scenario() -> None:
        followed = Followed(200)
        followed.fake.list_takes = 60
        await followed.begin()
        followed.fake.list_takes = 0.1
        await asyncio.sleep(60 + POLL)
        followed.fake.asked.clear()
        await asyncio.sleep(60)
        assert followed.fake.asked["one"] == 0

    simulated(scenario)


def test_an_alias_that_is_not_in_the_list_is_asked_for() -> None:
    """Such as `latest`, which is none for MLflow, or one that somebody has deleted."""

    async def scenario() -> None:
        followed = Followed(100)
        await followed.begin()
        del followed.fake.versions["model-7"]
        followed.fake.versions["model-7 is renamed"] = 1
        await asyncio.sleep(POLL + 10)
        assert followed.fake.asked["one"] >= 1

    simulated(scenario)
