"""What no watch tells of is read once in a minute for each object, and is not kept for longer."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Mapping

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.cache import Recent

KEY = "models", "iris"


class Live:
    """`Reads` that counts what is read of each kind. A Secret has a MB."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.exists = True

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        self.asked.append(kind)
        return {"data": {"key": "x" * 2**20 + name}} if self.exists else None

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
        self.asked.append(kind)
        return []


class World:
    """Time stands until a test moves it."""

    def __init__(self) -> None:
        self.live, self.now = Live(), 0.0
        self.recent = Recent(self.live, lambda: self.now)

    def read(self, kind: str, key: tuple[str, str] = KEY) -> Manifest | None:
        return asyncio.run(self.recent.of(key).get(kind, *key))


def test_a_secret_is_read_once_in_a_minute() -> None:
    """What is watched is asked for each time."""
    world = World()
    for moment in (0.0, 30.0, 59.0, 61.0, 100.0):
        world.now = moment
        assert world.read("Secret") is not None
        world.read("Deployment")
    assert world.live.asked.count("Secret") == 2
    assert world.live.asked.count("Deployment") == 5


def test_what_is_not_there_is_asked_for_again() -> None:
    """It may have been made meanwhile."""
    world = World()
    world.live.exists = False
    assert world.read("Secret") is None
    world.live.exists = True
    assert world.read("Secret") is not None


def test_what_is_about_to_be_written_is_read_again() -> None:
    world = World()
    world.read("Secret")
    world.recent.forget(KEY)
    world.read("Secret")
    assert world.live.asked == ["Secret", "Secret"]


def test_nothing_is_kept_for_longer_than_a_minute() -> None:
    """100 objects that are looked at one after the other, one a minute: not 100 MB, but what two of them have read."""
    world = World()
    tracemalloc.start()
    try:
        for number in range(100):
            world.now = 61.0 * number
            world.read("Secret", ("models", f"iris-{number}"))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * 2**20
