"""Registries are asked in the background: an answer is there or not, and nobody waits for it. Time is simulated."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable

import pytest

from sluice_operator import logs
from sluice_operator.api.observation import HoldOutAnswer, NotAnswered, Resolution, Unreachable, Unresolved
from sluice_operator.api.owner import Key
from sluice_operator.api.revision import Model
from sluice_operator.mlflow.background import BackgroundRegistry
from sluice_operator.mlflow.client import Registry, RegistryError
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.uris import ByAlias, Named
from tests.unit.sluice_operator.build import model, resolved
from tests.unit.sluice_operator.simulated_time import simulated

A, B = ("models", "a"), ("models", "b")
HANGING = "http://hanging:5000"
URI = "models:/iris@champion"
CHAMPION = ByAlias("iris", "champion")


class FakeRegistry(Registry):
    """Answers after a while, and notes when it was asked. The one at HANGING is silent."""

    def __init__(self, answer: Callable[[], Awaitable[Resolution]]) -> None:
        self.answer = answer
        self.asked: list[tuple[float, str]] = []
        self.alias = "1"

    async def resolve(self, uri: str, via: Connection) -> Resolution:
        self.asked.append((asyncio.get_running_loop().time(), uri))
        if via.tracking_uri == HANGING:
            await asyncio.sleep(5)
            return Unreachable("timed out")
        return await self.answer()

    async def hold_out(self, model: Model, via: Connection) -> HoldOutAnswer:
        await asyncio.sleep(1)
        return Unresolved("HoldOutMissing", model.uri)

    async def named_version(self, via: Connection, named: Named) -> str | None:
        return self.alias

    async def move(self, via: Connection, named: Named, version: str) -> None:
        if via.tracking_uri == HANGING:
            raise RegistryError("no answer")
        self.alias = version


class Scenario:
    """A registry with version 1, and who was woken when."""

    def __init__(self) -> None:
        self.resolution: Resolution = resolved(1)
        self.fake = FakeRegistry(self._answer)
        self.woken: list[tuple[float, Key]] = []
        loop = asyncio.get_running_loop()
        self.registry = BackgroundRegistry(self.fake, self._wake, random.Random(1), loop.time)

    async def _answer(self) -> Resolution:
        await asyncio.sleep(0.1)
        return self.resolution

    def _wake(self, key: Key) -> None:
        self.woken.append((round(asyncio.get_running_loop().time(), 1), key))

    def resolve(self, key: Key = A, uri: str = URI, where: str = "") -> Resolution:
        return self.registry.resolve(key, uri, Connection(where), 30.0)


def test_the_first_answer_wakes_whoever_asked() -> None:
    """Until then it is not there, and nobody waits."""

    async def scenario() -> None:
        world = Scenario()
        assert world.resolve() == NotAnswered()
        await asyncio.sleep(1)
        assert (world.woken, world.resolve()) == ([(0.1, A)], resolved(1))

    simulated(scenario)


def test_an_answer_for_one_s_credentials_is_not_given_to_others() -> None:
    """What an object may read with its Secret is asked for again by one that has none."""

    async def scenario() -> None:
        world = Scenario()
        world.registry.resolve(A, URI, Connection("", "models", "mlflow"), 30.0)
        world.registry.resolve(B, URI, Connection(), 30.0)
        await asyncio.sleep(1)
        assert len(world.fake.asked) == 2

    simulated(scenario)


def test_objects_with_the_same_question_share_its_requests() -> None:
    """It is asked once in each poll interval, and a new answer wakes all of them."""

    async def scenario() -> None:
        world = Scenario()
        world.resolve(A)
        world.resolve(B)
        await asyncio.sleep(3600)
        assert 3600 / 33 < len(world.fake.asked) < 3600 / 27
        world.resolution, world.woken = resolved(2), []
        await asyncio.sleep(34)
        assert sorted(key for _, key in world.woken) == [A, B]
        assert world.resolve(B) == resolved(2)

    simulated(scenario)


def test_a_changed_uri_is_asked_for_at_once_and_the_old_one_no_more() -> None:
    """The poll interval has nothing to do with it."""

    async def scenario() -> None:
        world = Scenario()
        world.resolve()
        await asyncio.sleep(1)
        assert world.resolve(uri="models:/iris/2") == NotAnswered()
        await asyncio.sleep(1)
        assert world.resolve(uri="models:/iris/2") == resolved(1)
        await asyncio.sleep(3600)
        assert [uri for _, uri in world.fake.asked].count(URI) == 1

    simulated(scenario)


def test_nobody_is_asked_for_an_object_that_is_gone() -> None:
    """Nor is the object woken by an answer that was under way."""

    async def scenario() -> None:
        world = Scenario()
        world.resolve()
        await asyncio.sleep(0)
        world.registry.forget(A)
        await asyncio.sleep(3600)
        assert (world.woken, len(world.fake.asked)) == ([], 1)

    simulated(scenario)


def test_a_silent_registry_is_unreachable_after_five_seconds() -> None:
    """For all of its questions, however many there are; and each of them is woken to say so."""

    async def scenario() -> None:
        world = Scenario()
        keys = [("models", f"idle-{number}") for number in range(100)]
        for key in keys:
            world.resolve(key, f"models:/{key[1]}@champion", HANGING)
        await asyncio.sleep(5.1)
        assert {key for _, key in world.woken} == set(keys)
        for key in keys:
            assert isinstance(world.resolve(key, f"models:/{key[1]}@champion", HANGING), Unreachable)

    simulated(scenario)


def test_a_silent_registry_delays_no_other_one() -> None:
    """And it is asked by few requests at a time."""

    async def scenario() -> None:
        world = Scenario()
        for number in range(100):
            world.resolve(("models", f"idle-{number}"), f"models:/{number}@champion", HANGING)
        world.resolve(A)
        await asyncio.sleep(1)
        assert world.resolve(A) == resolved(1)
        assert len(world.fake.asked) == 5

    simulated(scenario)


def test_an_unreachable_registry_is_tried_again_soon_and_then_less_often() -> None:
    """After five seconds first, and never less often than the poll interval."""

    async def scenario() -> None:
        world = Scenario()
        world.resolution = Unreachable("refused")
        world.resolve()
        await asyncio.sleep(300)
        times = [at for at, _ in world.fake.asked]
        assert 4.4 < times[1] - times[0] < 5.7
        assert 26 < times[-1] - times[-2] < 34
        world.resolution, world.woken = resolved(1), []
        await asyncio.sleep(34)
        assert [key for _, key in world.woken] == [A]

    simulated(scenario)


def test_an_answer_that_nobody_thought_of_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The registry counts as unreachable, and is asked again."""

    async def scenario() -> None:
        world = Scenario()

        async def broken() -> Resolution:
            raise RecursionError("deep")

        world.fake.answer = broken
        world.resolve()
        await asyncio.sleep(1)
        assert world.resolve() == Unreachable("MLflow's answer cannot be used: RecursionError")
        await asyncio.sleep(60)
        assert len(world.fake.asked) > 2

    simulated(scenario)


def test_hold_outs_are_read_in_the_background() -> None:
    """Until they are there, the registry counts as unreachable, which holds the start."""

    async def scenario() -> None:
        world = Scenario()
        models = [(model(2), Connection()), (model(1), Connection())]
        assert all(isinstance(answer, Unreachable) for answer in world.registry.hold_outs(A, models))
        await asyncio.sleep(2)
        assert world.registry.hold_outs(A, models) == [
            Unresolved("HoldOutMissing", "models:/iris/2"),
            Unresolved("HoldOutMissing", "models:/iris/1"),
        ]
        assert [key for _, key in world.woken] == [A, A]

    simulated(scenario)


def test_a_moved_alias_is_read_again_at_once() -> None:
    """So the object learns within moments that it points to the promoted version."""

    async def scenario() -> None:
        world = Scenario()
        world.registry.alias_version(A, Connection(), CHAMPION)
        await asyncio.sleep(1)
        assert world.registry.alias_version(A, Connection(), CHAMPION) == "1"
        world.woken = []
        world.registry.move_alias(A, Connection(), CHAMPION, "2")
        await asyncio.sleep(0.1)
        assert world.woken == [(1.0, A)]
        assert world.registry.alias_version(A, Connection(), CHAMPION) == "2"

    simulated(scenario)


def test_nothing_is_kept_of_a_registry_that_nobody_asks() -> None:
    """2,000 edits of credentialsSecret left 2,000 registries behind, and the object's deletion none fewer."""

    async def scenario() -> None:
        world = Scenario()
        for number in range(50):
            via = Connection("", "models", f"secret-{number}")
            world.registry.resolve(A, URI, via, 30.0)
            world.registry.alias_version(A, via, CHAMPION)
        await asyncio.sleep(1)
        assert len(world.registry._servers) == 1
        world.registry.forget(A)
        assert len(world.registry._servers) == 0

    simulated(scenario)


def test_what_is_logged_about_a_shared_question_names_no_object() -> None:
    """Otherwise it would name the one that happened to ask first, for ever."""
    logged: list[dict[str, str]] = []

    async def ask() -> None:
        scenario = Scenario()

        async def answer() -> Resolution:
            logged.append(json.loads(logs.JsonFormatter().format(logging.makeLogRecord({"msg": "asked"}))))
            return resolved(1)

        scenario.fake.answer = answer
        with logs.about(*A):
            scenario.resolve()
            await asyncio.sleep(60)

    simulated(ask)
    assert len(logged) > 1
    assert not any("name" in line for line in logged)
