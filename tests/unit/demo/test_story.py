import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from dev.demo import status
from dev.demo.board import Board
from dev.demo.cluster import Addresses, Kubectl
from dev.demo.example import Example
from dev.demo.models import Aliases, Version, Versions
from dev.demo.story import Story
from dev.demo.traffic import Stream
from tests.unit.demo.gateway import gateway

FIRST, BETTER, BAD = (Version(number, f"models:/iris/{number}", 40, 45) for number in ("1", "2", "3"))
VERSIONS = Versions(FIRST, BETTER, BAD)
EXAMPLE = Example(Path("iris.yaml"), "iris", "models", "iris.example.com", (10, 50))


def side(version: Version) -> dict[str, Any]:
    return {"revision": f"r{version.version}", "model": {"version": version.version, "uri": version.uri}}


def ended(version: Version, outcome: str) -> dict[str, Any]:
    return {"revision": f"r{version.version}", "model": version.uri, "outcome": outcome}


def stepping(stable: Version, canary: Version, step: int) -> dict[str, Any]:
    weight = EXAMPLE.weights[step]
    return {
        "phase": "Stepping",
        "stable": side(stable),
        "canary": side(canary),
        "run": {"step": step},
        "weight": {"desired": weight, "live": weight},
    }


READY = {"phase": "Stable", "stable": side(FIRST), "conditions": [{"type": "Ready", "status": "True"}]}
PROMOTED = {"phase": "Stable", "stable": side(BETTER), "history": [ended(BETTER, "Promoted")]}
REJECTED = {
    "phase": "Stable",
    "stable": side(BETTER),
    "history": [ended(BAD, "Rejected"), ended(BETTER, "Promoted")],
    "rejected": [{"revision": "r3", "model": BAD.uri}],
    "conditions": [{"type": "RolloutSucceeded", "status": "False"}],
}
GOOD_RUN = [
    stepping(FIRST, BETTER, 0),
    stepping(FIRST, BETTER, 1),
    {"phase": "Promoting", "stable": side(FIRST), "canary": side(BETTER)},
    {"phase": "Watching", "stable": side(BETTER)},
    PROMOTED,
]
BAD_RUN = [stepping(BETTER, BAD, 0), {"phase": "RollingBack", "stable": side(BETTER), "canary": side(BAD)}, REJECTED]


@dataclass
class World:
    """A fake cluster, registry and gateway. The version that alias `challenger` gets decides which statuses follow."""

    board: Board = field(default_factory=Board)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"2": GOOD_RUN, "3": BAD_RUN})
    champion: str = "1"
    serves: str = "1"
    pod: str = "pod-1"
    commands: list[tuple[str, ...]] = field(default_factory=list)
    showing: asyncio.Task[None] | None = None

    async def registry(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            version = json.loads(request.content)["version"]
            self.showing = asyncio.create_task(self.show(self.runs.get(version, [])))
        return httpx.Response(200, json={"model_version": {"version": self.champion}})

    async def show(self, statuses: list[dict[str, Any]]) -> None:
        for fields in statuses:
            self.board.update(status.parse({"status": fields}))
            if fields["phase"] == "Stable":
                self.serves = self.champion = fields["stable"]["model"]["version"]
            for _ in range(20):  # gives the story time to act on it
                await asyncio.sleep(0)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = {"predictions": [0], "prediction_id": "id", "model_version": self.serves}
        return web.json_response(body, headers={"X-Model-Version": self.serves})


class FakeKubectl(Kubectl):
    def __init__(self, world: World) -> None:
        super().__init__(Addresses("kubectl", "kubeconfig", "http://gateway", "http://mlflow", "http://prometheus"))
        self._world = world

    async def text(self, *arguments: str, stdin: str | None = None) -> str:
        self._world.commands.append(arguments)
        return ""

    async def items(self, *arguments: str) -> list[dict[str, Any]]:
        status = {"containerStatuses": [{"restartCount": 0}]}
        return [{"metadata": {"uid": self._world.pod, "name": self._world.pod}, "status": status}]


def broken(world: World, then: Callable[[World], None] = lambda world: None) -> list[str]:
    """The promises that the two runs break in `world`. `then` changes it between the runs."""

    async def play() -> list[str]:
        aliases = Aliases("http://mlflow", transport=httpx.MockTransport(world.registry))
        story = Story(world.board, FakeKubectl(world), aliases, EXAMPLE, afterwards=0.05)
        world.board.update(status.parse({"status": READY}))
        async with gateway(world.answer) as address, Stream(address, EXAMPLE.host, rate=500) as stream:
            with world.board.part("good run"):
                await story.good_run(VERSIONS, stream)
            then(world)
            with world.board.part("bad run"):
                await story.bad_run(VERSIONS, stream)
        await story.look_back(VERSIONS, stream)
        return [promise.text for promise in story.promises if not promise.kept]

    return asyncio.run(play())


def test_a_good_demo_keeps_its_promises() -> None:
    """One promise needs a real gateway: the fake one has no weights, so no canary answers."""
    assert broken(World()) == ["each version answered real requests"]


def test_a_skipped_step_breaks_a_promise() -> None:
    """The run goes from 10 % directly to its promotion."""
    world = World(runs={"2": [GOOD_RUN[0], *GOOD_RUN[2:]], "3": BAD_RUN})

    assert "the good run went through every step" in broken(world)


def test_a_replaced_pod_breaks_a_promise() -> None:
    """The pods of the promoted revision must be those that it had as the canary."""

    def replace(world: World) -> None:
        world.pod = "pod-2"

    assert "no pod of the promoted revision was restarted or replaced" in broken(World(), replace)


def test_a_rejected_better_version_breaks_a_promise() -> None:
    """The story does not wait for phases that cannot come after the end of the run."""
    rejected = {"phase": "Stable", "stable": side(FIRST), "history": [ended(BETTER, "Rejected")]}
    fast = Board(clock=map(float, itertools.count(step=100)).__next__)  # the wait for the alias ends at once
    world = World(fast, runs={"2": [GOOD_RUN[0], rejected], "3": BAD_RUN})

    assert "version 2 was promoted" in broken(world)


def test_clear_removes_the_object_and_both_aliases() -> None:
    """A second demo starts from the same state as the first one."""
    world = World()
    removed: list[str] = []

    async def registry(request: httpx.Request) -> httpx.Response:
        removed.append(f"{request.method} {json.loads(request.content)['alias']}")
        return httpx.Response(404)

    aliases = Aliases("http://mlflow", transport=httpx.MockTransport(registry))
    asyncio.run(Story(world.board, FakeKubectl(world), aliases, EXAMPLE).clear())

    assert removed == ["DELETE challenger", "DELETE champion"]
    assert any("delete" in command and "iris" in command for command in world.commands)
