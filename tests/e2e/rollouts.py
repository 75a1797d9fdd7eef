"""One ModelDeployment of the cluster in a test: all states that it had, its pods, its events.

A test waits for a condition, with a deadline. Every state that was written is checked, so a state that lasts only for a
moment is not missed.
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
STEP_WITHIN = 120.0  # seconds from one change of status to the next

Manifest = dict[str, Any]
T = TypeVar("T")


def manifest(name: str) -> Manifest:
    """The example with another name and host: one pod, short waits, and its own aliases to follow and to set."""
    document: Manifest = yaml.safe_load(example.PATH.read_text())
    document["metadata"] = {"name": name, "namespace": NAMESPACE}
    spec = document["spec"]
    spec["model"] |= {"uri": f"models:/{models.NAME}@{name}", "onPromote": {"setAlias": f"{name}-champion"}}
    spec["server"]["replicas"] = 1
    spec["traffic"]["ingress"]["host"] = f"{name}.example.com"
    spec["rollout"] |= {"watchAfterPromotion": "5s", "scaleDownDelay": "2s"}
    for objective in spec["objectives"]:
        if "latency" in objective:
            objective["latency"]["max"] = "5s"  # so that accuracy decides, however busy the machine is
    return document


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test creates objects: the cluster, its registry and its gateway."""

    kubectl: Kubectl
    aliases: Aliases
    gateway: str


@dataclass(frozen=True, slots=True)
class State:
    """The object at one moment."""

    document: Manifest
    status: Status

    @property
    def is_current(self) -> bool:
        """Whether the status was decided from this spec."""
        return bool(self.document["status"].get("observedGeneration") == self.document["metadata"]["generation"])


class Rollout:
    """A ModelDeployment that `deployed` has created. `states` has all of its states since then, oldest first."""

    def __init__(self, place: Place, name: str) -> None:
        self.states: list[State] = []
        self.name, self.host, self.champion = name, f"{name}.example.com", f"{name}-champion"
        self._place = place
        self._changed = asyncio.Event()

    @property
    def status(self) -> Status:
        return self.states[-1].status if self.states else Status()

    async def follow(self, version: Version) -> None:
        """Point the alias that the object follows to `version`."""
        await self._place.aliases.set(self.name, version.version)

    async def champion_is(self, version: Version) -> None:
        """Wait until the alias that a promotion sets points to `version`."""

        async def points_there() -> bool | None:
            return await self._place.aliases.get(self.champion) == version.version or None

        await eventually(f"alias {self.champion} is version {version.version}", points_there)

    async def patch(self, spec: Manifest) -> None:
        """Change fields of the spec, and wait until a status was decided from them."""
        await self.command("patch", "modeldeployment", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))
        changed = int(await self.command("get", "modeldeployment", self.name, "-o", "jsonpath={.metadata.generation}"))
        await self.until_state(
            f"generation {changed} is observed",
            lambda state: state.is_current and state.document["metadata"]["generation"] >= changed,
        )

    async def until_state(self, what: str, true: Callable[[State], bool], within: float = STEP_WITHIN) -> State:
        """Wait for a state for which `true` holds, and return it. The present state is the first one that is tried."""
        position = max(0, len(self.states) - 1)
        try:
            async with asyncio.timeout(within):
                while True:
                    while position < len(self.states):
                        if true(self.states[position]):
                            return self.states[position]
                        position += 1
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            now = f"{self.status.phase}: {self.status.message}"
            raise AssertionError(f"not within {within:.0f} s: {self.name}: {what}; instead {now}") from None

    async def until(self, what: str, true: Callable[[Status], bool], within: float = STEP_WITHIN) -> Status:
        """As `until_state`, for a status."""
        return (await self.until_state(what, lambda state: true(state.status), within)).status

    async def until_condition(self, kind: str, value: str, reason: str) -> Condition:
        """Wait until the condition has this status and reason, and return it."""

        def holds(now: Status) -> bool:
            condition = now.condition(kind)
            return condition is not None and (condition.status, condition.reason) == (value, reason)

        condition = (await self.until(f"condition {kind}={value} ({reason})", holds)).condition(kind)
        assert condition is not None
        return condition

    async def until_ready(self) -> None:
        """Wait with `kubectl wait`, as people do, and then for the phase Stable."""
        limit = f"--timeout={READY_WITHIN:.0f}s"
        await self.command("wait", "--for=condition=Ready", f"modeldeployment/{self.name}", limit)
        await self.until("phase Stable", lambda now: now.phase == "Stable")

    async def until_ended(self, version: Version, runs: int) -> Status:
        """Wait until the history has `runs` runs, the newest of this version, and the phase is Stable."""

        def ended(now: Status) -> bool:
            newest = now.history[0].model if now.history else ""
            return now.phase == "Stable" and len(now.history) == runs and newest == version.uri

        return await self.until(f"the run of {version.uri} has ended", ended, within=240.0)

    async def until_live(self, version: Version, weight: int) -> Status:
        """Wait until the version is the canary and provably gets `weight` percent of the requests."""

        def live(now: Status) -> bool:
            is_canary = now.canary is not None and now.canary.model.uri == version.uri
            return is_canary and now.phase == "Stepping" and now.weight is not None and now.weight.is_proven(weight)

        return await self.until(f"{version.uri} gets {weight} % of the requests", live)

    async def pods(self, revision: str) -> list[Pod]:
        return [pod_of(document) for document in await self.pod_documents(revision)]

    async def pod_documents(self, revision: str) -> list[Manifest]:
        """The pods of the revision, also those that are ending."""
        labels = f"sluice.dev/model-deployment={self.name},sluice.dev/revision={revision}"
        return await self._place.kubectl.items("pods", "-n", NAMESPACE, "-l", labels)

    async def until_gone(self, revision: str) -> None:
        """Wait until no pod of the revision is left."""

        async def gone() -> bool | None:
            return not await self.pod_documents(revision) or None

        await eventually(f"the pods of revision {revision} are gone", gone)

    async def events(self) -> list[tuple[str, str]]:
        """Reason and note of the events about the object, oldest first."""
        events = await self._place.kubectl.items("events.v1.events.k8s.io", "-n", NAMESPACE)
        same_name = [event for event in events if event["regarding"].get("name") == self.name]
        ours = [event for event in same_name if event["regarding"]["kind"] == "ModelDeployment"]
        return [(event["reason"], event["note"]) for event in sorted(ours, key=lambda event: event["eventTime"])]

    async def get(self, kind: str, name: str) -> Manifest | None:
        """An object of the namespace, or None."""
        text = await self.command("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text else None

    async def command(self, *arguments: str) -> str:
        """The output of kubectl in the object's namespace."""
        return await self._place.kubectl.text("-n", NAMESPACE, *arguments)

    async def record(self) -> None:
        """Record all states until cancelled. A watch that ends is started again."""
        while True:
            async with aclosing(self._place.kubectl.watch("-n", NAMESPACE, "modeldeployment", self.name)) as documents:
                async for document in documents:
                    self.states.append(State({"status": {}} | document, status.parse(document)))
                    self._changed.set()
            await asyncio.sleep(0.3)  # between two watches


@asynccontextmanager
async def deployed(place: Place, document: Manifest, version: Version) -> AsyncIterator[Rollout]:
    """Apply a ModelDeployment whose alias points to `version`, and record its states. Delete it at the end.

    The deletion does not wait until its pods have drained.
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
    """Ask until the answer is not None, and return it. `within`: seconds; `what`: for the message of a failure."""
    try:
        return await asyncio.wait_for(first_answer(ask), within)
    except TimeoutError:
        raise AssertionError(f"not within {within:.0f} s: {what}") from None
