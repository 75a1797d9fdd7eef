"""A move that MLflow refuses is told, and tried again with growing pauses until nobody asks for it. Simulated time."""

from __future__ import annotations

import asyncio
import random

from sluice_operator.api.owner import Key
from sluice_operator.mlflow.alias_moves import AliasMove, AliasMoves
from sluice_operator.mlflow.client import Registry, RegistryError
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.uris import ByAlias, Named
from tests.unit.sluice_operator.simulated_time import simulated

A = ("models", "a")
MOVE = AliasMove(Connection(), ByAlias("iris", "champion"), "2")


class Refusing(Registry):
    """Refuses each move, until `trouble` is empty."""

    def __init__(self) -> None:
        self.trouble = "HTTP 403"
        self.asked: list[str] = []

    async def move(self, via: Connection, named: Named, version: str) -> None:
        self.asked.append(str(named))
        if self.trouble:
            raise RegistryError(self.trouble)


class Scenario:
    def __init__(self) -> None:
        self.registry = Refusing()
        self.woken: list[Key] = []
        self.moved: list[Key] = []
        self.moves = AliasMoves(self.registry, self.moved.append, self.woken.append, random.Random(1))


def test_a_refused_move_is_told_once_and_tried_less_and_less() -> None:
    """An hour of a registry that refuses takes 20 requests and one look; it took 720 of each."""

    async def scenario() -> None:
        world = Scenario()
        for _ in range(720):
            world.moves.begin(A, MOVE)
            await asyncio.sleep(5)
        assert world.moves.trouble(A) == "HTTP 403"
        assert world.woken == [A]
        assert 10 < len(world.registry.asked) < 20

    simulated(scenario)


def test_a_move_that_is_allowed_again_is_done_and_its_object_looks() -> None:
    """Within five minutes; until the object has seen it, the trouble is that it has not."""

    async def scenario() -> None:
        world = Scenario()
        world.moves.begin(A, MOVE)
        await asyncio.sleep(3600)
        world.registry.trouble, world.moved[:] = "", []
        await asyncio.sleep(331)
        assert world.moved == [A]
        assert world.moves.trouble(A).startswith("MLflow says that it has moved it")
        world.moves.leave(A)
        assert world.moves.trouble(A) == ""

    simulated(scenario)


def test_nothing_is_tried_for_an_object_that_wants_no_move_or_another_one() -> None:
    """Also not by a request that was under way."""

    async def scenario() -> None:
        world = Scenario()
        world.moves.begin(A, MOVE)
        world.moves.leave(A)
        await asyncio.sleep(3600)
        assert world.registry.asked == ["alias champion of iris"]
        world.moves.begin(A, MOVE)
        await asyncio.sleep(1)
        world.registry.trouble, world.registry.asked = "", []
        world.moves.begin(A, AliasMove(Connection(), ByAlias("iris", "best"), "2"))
        await asyncio.sleep(1)
        assert (world.registry.asked, world.moves.trouble(A)) == (["alias best of iris"], "")

    simulated(scenario)
