"""One ModelDeployment of a benchmark on the local cluster: the demo's example under another name, with requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from dev.demo import example, models, screen, steering
from dev.demo.board import Board
from dev.demo.cluster import Addresses, Kubectl
from dev.demo.example import Example
from dev.demo.models import Aliases, Version
from dev.demo.status import Status
from dev.demo.traffic import Stream

NAMESPACE = "bench"
READY_WITHIN = 300.0  # seconds; on a small machine several servers start at the same time


@dataclass(frozen=True, slots=True)
class Subject:
    """`board` has its status, and `stream` its requests."""

    name: str
    board: Board
    stream: Stream
    kubectl: Kubectl
    aliases: Aliases

    async def follow(self, version: Version) -> None:
        """Point its alias to the version."""
        await self.aliases.set(self.name, version.version)

    async def try_again(self, version: Version) -> None:
        """Point its alias to the version, also if it was rejected before."""
        await self.follow(version)
        for rejection in self.board.status.rejected:
            if rejection.model == version.uri:
                await self.command(f"retry/{rejection.revision}/0")

    async def ask(self, verb: str, status: Status) -> None:
        """A command for the run that `status` shows (docs/commands.md)."""
        if (fenced := steering.for_run(verb, status)) is not None:
            await self.command(fenced)

    async def command(self, fenced: str) -> None:
        """A command with its fences, such as `retry/<revision>/0`."""
        given = steering.annotation(fenced)
        await self.kubectl.text("-n", NAMESPACE, "annotate", "modeldeployment", self.name, given, "--overwrite")


def manifest(name: str, rollout: dict[str, Any]) -> dict[str, Any]:
    """The example with an alias and a host of its own. `rollout`: what is different there."""
    document: dict[str, Any] = yaml.safe_load(example.PATH.read_text())
    document["metadata"] = {"name": name, "namespace": NAMESPACE}
    spec = document["spec"]
    spec["model"] |= {"uri": f"models:/{models.NAME}@{name}", "onPromote": {"setAlias": f"{name}-champion"}}
    spec["traffic"]["ingress"]["host"] = _host(name)
    spec["rollout"] |= rollout
    return document


@asynccontextmanager
async def serving(
    addresses: Addresses, document: dict[str, Any], version: Version, rate: float, seconds: float
) -> AsyncIterator[Subject]:
    """The object with the manifest `document`, while it serves `version` and gets `rate` predictions per second."""
    name, kubectl, aliases = document["metadata"]["name"], Kubectl(addresses), Aliases(addresses.mlflow)
    board = Board(print_line=lambda line: print(f"  {name}: {line}", flush=True))
    limits = {"max_seconds": seconds, "max_requests": int(seconds * rate)}
    stream = Stream(addresses.gateway, _host(name), rate=rate, **limits)  # type: ignore[arg-type]
    subject = Subject(name, board, stream, kubectl, aliases)
    await subject.follow(version)
    await kubectl.apply(document)
    async with screen.watched(board, kubectl, Example(example.PATH, name, NAMESPACE, _host(name), ())):
        await board.until("the first version serves", lambda now: now.phase == "Stable", READY_WITHIN)
        async with stream:
            yield subject


def _host(name: str) -> str:
    return f"{name}.{NAMESPACE}.example.com"
