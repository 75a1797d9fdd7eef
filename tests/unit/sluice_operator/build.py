"""Builders for tests: a spec, revisions, verdicts, and observations of a rollout in each of its phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as replace_seen
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from sluice_operator.api import spec, status
from sluice_operator.api.observation import Defaults, Observation, Proof, Resolved, Workload
from sluice_operator.api.owner import Owner
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.rollout_spec import Rollout
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.signature import Column, Predictions, Signature
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Result, Status, Verdict
from sluice_operator.rollout import revisions
from sluice_operator.rollout.decide import decide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OWNER = Owner("models", "iris", "0f1e", ("sklearn.tree._tree.Tree",), "http://mlflow.mlflow.svc:5000")
DEFAULTS = Defaults("registry.example/sluice-server:1")
WITH_STORE = replace_seen(OWNER, store_url="http://sluice-store.sluice-system.svc:8090", store_token="models.00ff")
DEFAULTS_WITH_STORE = replace_seen(DEFAULTS, from_store=True)
REPLICAS = 2
STEPS: list[dict[str, Any]] = [
    {"weight": 10, "minRequests": 50, "minDuration": "5s"},
    {"weight": 50, "minRequests": 100, "minDuration": "5s"},
]
ROLLOUT: dict[str, Any] = {
    "canary": {"steps": STEPS},
    "progressDeadline": "10m",
    "deadline": "4h",
    "onDeadline": "Hold",
    "watchAfterPromotion": "15m",
    "scaleDownDelay": "30s",
}
SPEC: dict[str, Any] = {
    "model": {
        "uri": "models:/iris@challenger",
        "pollInterval": "30s",
        "trust": "TrustedTypes",
        "registry": {},
        "onPromote": {"setAlias": "champion"},
    },
    "server": {"replicas": REPLICAS, "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}, "env": []},
    "traffic": {"ingress": {"className": "nginx", "host": "iris.example.com"}},
    "rollout": ROLLOUT,
    "objectives": [
        {"name": "errors", "errorRate": {"max": "1%"}},
        {"name": "p95", "latency": {"quantile": "0.95", "max": "200ms"}},
        {"name": "accuracy", "accuracy": {"source": "Feedback", "min": "0.70"}},
    ],
}


def raw_spec(**changes: Any) -> dict[str, Any]:
    """The spec as YAML. `server=...` replaces a section, `server__replicas=3` one field of it."""
    changed: dict[str, Any] = {**SPEC}
    for path, value in changes.items():
        section, _, field = path.partition("__")
        changed[section] = {**changed[section], field: value} if field else value
    return changed


def a_spec(**changes: Any) -> Spec:
    return spec.parse(raw_spec(**changes))


def a_rollout(**changes: Any) -> Rollout:
    return a_spec(rollout={**ROLLOUT, **changes}).rollout


def model(version: int) -> Model:
    number = str(version)
    return Model(f"models:/iris/{number}", "iris", number, f"run{number}", f"models:/m-{number}")


def resolved(version: int) -> Resolved:
    return Resolved(model(version))


def revision(version: int, of: Spec | None = None) -> Revision:
    """The revision that the spec asks for while its URI names this version."""
    return revisions.make(of or a_spec(), model(version), DEFAULTS)


def verdict(result: Result, reason: str = "", message: str = "") -> Verdict:
    return Verdict(result, reason or result.value, message)


PASS = verdict(Result.PASS, "Passed", "all there")
FAIL = verdict(Result.FAIL, "ErrorRateAboveLimit", "errors 5% breaks its limit")
UNDECIDED = verdict(Result.UNDECIDED, "Collecting", "needs 20 more requests")
LOST = verdict(Result.UNDECIDED, status.METRICS_UNAVAILABLE, "Prometheus gave no answer: refused")
LIVE = Proof(True)


def not_live(detail: str = "3 of 24 probes for iris.example.com went elsewhere") -> Proof:
    return Proof(False, detail)


def pods(*ready: tuple[Revision, int]) -> dict[str, Workload]:
    return {revision.revision: Workload(ready=number) for revision, number in ready}


def an_observation(**changes: Any) -> Observation:
    """An observation of an object that was just created, while its alias points to version 1."""
    seen = Observation(
        now=NOW,
        namespace="models",
        name="iris",
        generation=1,
        spec=a_spec(),
        status=Status(),
        defaults=DEFAULTS,
        resolution=resolved(1),
    )
    return replace_seen(seen, **changes)


def again(seen: Observation, *, after: float = 1.0, away: bool = False, **changes: Any) -> Observation:
    """The next observation, `after` seconds later: its status is what was decided, and it has no proofs yet.

    Another spec is another generation, as the API server has it. The operator has looked all the time, unless it was
    `away`.
    """
    status, now = decide(seen), seen.now + timedelta(seconds=after)
    if status.run is not None and status.run.outcome is None and not away:
        status = replace(status, run=replace(status.run, looked_at=now))
    edited = changes.get("spec", seen.spec) != seen.spec
    fresh: Mapping[str, Any] = {
        "generation": seen.generation + edited,
        "weight": None,
        "smoke": None,
        "swap": None,
        "signatures": None,
        "verdict": None,
        "alias_version": None,
    }
    return replace_seen(seen, **{**fresh, "status": status, "now": now, **changes})


def stable_on(version: int, *, ready: int = REPLICAS, **changes: Any) -> Observation:
    """Version `version` has served for an hour, and the alias points to it."""
    first = an_observation(resolution=resolved(version), now=NOW - timedelta(hours=1))
    starting = again(first, workloads=pods((revision(version), ready)))
    promoted = again(starting, alias_version=str(version))
    settled = again(promoted)
    assert (settled.status.phase, settled.status.stable and settled.status.stable.model) == (
        Phase.STABLE,
        model(version),
    )
    return replace_seen(settled, now=NOW, **changes)


def starting(**changes: Any) -> Observation:
    """Version 1 serves, and version 2 has just been started as its canary; its pods are not ready."""
    return again(stable_on(1, resolution=resolved(2)), **changes)


def signature(*columns: str) -> Signature:
    """Of a classifier that takes these columns of numbers."""
    return Signature(tuple(Column(name, "number") for name in columns), Predictions("integer", classes=(0, 1)))


def both_ready(first: int = REPLICAS, second: int = 1) -> dict[str, Workload]:
    return pods((revision(1), first), (revision(2), second))


def stepping(**changes: Any) -> Observation:
    """Version 2 has its first weight, which is written and proven."""
    ready = starting(workloads=both_ready(), weight=LIVE, smoke=LIVE)
    entered = again(ready)
    written = again(entered, weight=LIVE)
    return again(written, **changes)


def promoting(**changes: Any) -> Observation:
    """Version 2 has passed both steps and will get all of its pods."""
    second = again(again(stepping(verdict=PASS)), workloads=both_ready(2, 2))
    proven = again(second, weight=LIVE)
    return again(again(proven, verdict=PASS), **changes)


def swapped(**changes: Any) -> Observation:
    """Service NAME selects version 2. That is not proven yet."""
    return again(promoting(), **changes)


def watching(**changes: Any) -> Observation:
    """Version 2 serves, and a rollback to version 1 is still possible."""
    return again(swapped(swap=LIVE), **changes)


def rolling_back(**changes: Any) -> Observation:
    """Version 2 has failed at its first step."""
    return again(stepping(verdict=FAIL), **changes)


def with_status(seen: Observation, **changes: Any) -> Observation:
    return replace_seen(seen, status=replace(seen.status, **changes))


class At(NamedTuple):
    """The state of a rollout in one line."""

    phase: Phase
    stable: str = ""
    canary: str = ""
    previous: str = ""
    weight: int | None = None
    live: int | None = None
    step: int = 0
    outcome: Outcome | None = None


def at(status: Status) -> At:
    """`status` in one line."""

    def version(role: Revision | None) -> str:
        return role.model.version if role else ""

    return At(
        phase=status.phase,
        stable=version(status.stable),
        canary=version(status.canary),
        previous=version(status.previous),
        weight=status.weight.desired if status.weight else None,
        live=status.weight.live if status.weight else None,
        step=status.run.step if status.run else 0,
        outcome=status.run.outcome if status.run else None,
    )


def condition(status: Status, name: str) -> tuple[str, str, str]:
    """State, reason and message of one condition."""
    named = next(condition for condition in status.conditions if condition.type == name)
    return named.status, named.reason, named.message
