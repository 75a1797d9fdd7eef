"""One ModelDeployment of the cluster as a test sees it: every status that it ever had, its pods, its events.

Waiting is always for a condition, with a deadline; what is waited for is looked up in every status that was written, so
nothing that lasts only a moment is missed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from dev.demo import example, models, status
from dev.demo.cluster import Kubectl
from dev.demo.models import Aliases, Version
from dev.demo.promises import Pod
from dev.demo.status import Condition, Status
from dev.demo.story import pod_of
from dev.demo.tasks import beside, first_answer

NAMESPACE = "e2e"
READY_WITHIN = 180.0  # seconds; several servers may start at once on a small machine
STEP_WITHIN = 120.0  # from one thing that is told in status to the next

Manifest = dict[str, Any]
T = TypeVar("T")


def manifest(name: str) -> Manifest:
    """The example under another name: one pod, short waits, an alias of its own to follow and one to set."""
    document: Manifest = yaml.safe_load(example.PATH.read_text())
    document["metadata"] = {"name": name, "namespace": NAMESPACE}
    spec = document["spec"]
    spec["model"] |= {"uri": f"models:/{models.NAME}@{name}", "onPromote": {"setAlias": f"{name}-champion"}}
    spec["server"]["replicas"] = 1
    spec["traffic"]["ingress"]["host"] = f"{name}.example.com"
    spec["rollout"] |= {"watchAfterPromotion": "5s", "scaleDownDelay": "2s"}
    for objective in spec["objectives"]:
        if "latency" in objective:
            objective["latency"]["max"] = "5s"  # accuracy decides, however busy the machine is
    return document


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects under test live: the cluster, its registry and its gateway."""

    kubectl: Kubectl
    aliases: Aliases
    gateway: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The object as it was at one moment."""

    document: Manifest
    status: Status

    @property
    def is_current(self) -> bool:
        """Whether the status was decided from the spec beside it."""
        return bool(self.document["status"].get("observedGeneration") == self.document["metadata"]["generation"])


class Rollout:
    """`async with deployed(...)` gives one. `seen` holds every state of the object since then, oldest first."""

    def __init__(self, place: Place, name: str) -> None:
        self.seen: list[Seen] = []
        self.name, self.host, self.champion = name, f"{name}.example.com", f"{name}-champion"
        self._place = place
        self._news = asyncio.Event()

    @property
    def status(self) -> Status:
        return self.seen[-1].status if self.seen else Status()

    async def follow(self, version: Version) -> None:
        """Moves the alias that the object follows."""
        await self._place.aliases.set(self.name, version.version)

    async def champion_is(self, version: Version) -> None:
        """Waits until the alias that a promotion sets has arrived at `version`."""

        async def look() -> bool | None:
            return await self._place.aliases.get(self.champion) == version.version or None

        await eventually(f"alias {self.champion} is version {version.version}", look)

    async def patch(self, spec: Manifest) -> None:
        """Changes fields of the spec; returns when a status was decided from them."""
        await self.command("patch", "modeldeployment", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))
        changed = int(await self.command("get", "modeldeployment", self.name, "-o", "jsonpath={.metadata.generation}"))
        await self.until_seen(
            f"generation {changed} is observed",
            lambda seen: seen.is_current and seen.document["metadata"]["generation"] >= changed,
        )

    async def until_seen(self, what: str, true: Callable[[Seen], bool], within: float = STEP_WITHIN) -> Seen:
        """The first state, from the present one on, for which `true` holds."""
        position = max(0, len(self.seen) - 1)
        try:
            async with asyncio.timeout(within):
                while True:
                    while position < len(self.seen):
                        if true(self.seen[position]):
                            return self.seen[position]
                        position += 1
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            now = f"{self.status.phase}: {self.status.message}"
            raise AssertionError(f"not within {within:.0f} s: {self.name}: {what}; instead {now}") from None

    async def until(self, what: str, true: Callable[[Status], bool], within: float = STEP_WITHIN) -> Status:
        """The first status, from the present one on, for which `true` holds."""
        return (await self.until_seen(what, lambda seen: true(seen.status), within)).status

    async def until_condition(self, kind: str, value: str, reason: str) -> Condition:
        """The condition, once it has this status and reason."""

        def there(now: Status) -> bool:
            found = now.condition(kind)
            return found is not None and (found.status, found.reason) == (value, reason)

        found = (await self.until(f"condition {kind}={value} ({reason})", there)).condition(kind)
        assert found is not None
        return found

    async def until_ready(self) -> None:
        """As a person waits for it."""
        limit = f"--timeout={READY_WITHIN:.0f}s"
        await self.command("wait", "--for=condition=Ready", f"modeldeployment/{self.name}", limit)
        await self.until("phase Stable", lambda now: now.phase == "Stable")

    async def until_ended(self, version: Version, runs: int) -> Status:
        """Waits until the newest of `runs` runs in the history is one of this version, and all is at rest."""

        def ended(now: Status) -> bool:
            newest = now.history[0].model if now.history else ""
            return now.phase == "Stable" and len(now.history) == runs and newest == version.uri

        return await self.until(f"the run of {version.uri} has ended", ended, within=240.0)

    async def until_live(self, version: Version, weight: int) -> Status:
        """Waits until the version gets `weight` percent of the requests."""

        def live(now: Status) -> bool:
            on_trial = now.canary is not None and now.canary.model.uri == version.uri
            return on_trial and now.phase == "Stepping" and now.weight is not None and now.weight.live == weight

        return await self.until(f"{version.uri} gets {weight} % of the requests", live)

    async def pods(self, revision: str) -> list[Pod]:
        return [pod_of(each) for each in await self.pod_documents(revision)]

    async def pod_documents(self, revision: str) -> list[Manifest]:
        """Also those that are ending."""
        labels = f"sluice.dev/model-deployment={self.name},sluice.dev/revision={revision}"
        return await self._place.kubectl.items("pods", "-n", NAMESPACE, "-l", labels)

    async def until_gone(self, revision: str) -> None:
        """Waits until no pod of the revision is left."""

        async def look() -> bool | None:
            return not await self.pod_documents(revision) or None

        await eventually(f"the pods of revision {revision} are gone", look)

    async def events(self) -> list[tuple[str, str]]:
        """Reason and note of each event about the object, in their order."""
        found = await self._place.kubectl.items("events.v1.events.k8s.io", "-n", NAMESPACE)
        ours = [each for each in found if each["regarding"].get("name") == self.name]
        mine = [each for each in ours if each["regarding"]["kind"] == "ModelDeployment"]
        return [(each["reason"], each["note"]) for each in sorted(mine, key=lambda each: each["eventTime"])]

    async def get(self, kind: str, name: str) -> Manifest | None:
        """An object of the namespace, if there is one."""
        text = await self.command("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text else None

    async def command(self, *arguments: str) -> str:
        """kubectl in the object's namespace."""
        return await self._place.kubectl.text("-n", NAMESPACE, *arguments)

    async def record(self) -> None:
        """Takes in every state; a watch that ends is started again."""
        while True:
            async with aclosing(self._place.kubectl.watch("-n", NAMESPACE, "modeldeployment", self.name)) as documents:
                async for document in documents:
                    self.seen.append(Seen({"status": {}} | document, status.parse(document)))
                    self._news.set()
            await asyncio.sleep(0.3)  # between two watches


@asynccontextmanager
async def deployed(place: Place, document: Manifest, version: Version) -> AsyncIterator[Rollout]:
    """Applies a ModelDeployment whose alias points to `version`, and records it; deletes it at the end, without waiting
    for its pods to drain.
    """
    rollout = Rollout(place, document["metadata"]["name"])
    await rollout.follow(version)
    await place.kubectl.apply(document)
    try:
        async with beside(rollout.record()):
            yield rollout
    finally:
        await rollout.command("delete", "modeldeployment", rollout.name, "--ignore-not-found", "--wait=false")


async def eventually(what: str, ask: Callable[[], Awaitable[T | None]], within: float = STEP_WITHIN) -> T:
    """The first answer that is not None."""
    try:
        return await asyncio.wait_for(first_answer(ask), within)
    except TimeoutError:
        raise AssertionError(f"not within {within:.0f} s: {what}") from None
