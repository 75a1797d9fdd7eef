"""`status` of a ModelDeployment: the whole state of the rollout, and nothing that is not needed to go on from it.

Children are a function of spec and status, so whatever must survive a crash between two writes is a field here.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from sluice_operator.api.quantities import Number, decode, encode
from sluice_operator.api.spec import Confidence, Objective, Prometheus, Rollout, Step, Traffic, Trust
from sluice_operator.api.strategy import CanarySteps

METRICS_UNAVAILABLE = "MetricsUnavailable"  # reason of a verdict that had nothing to look at


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One mapping of the status."""


class Phase(StrEnum):
    """The rows of the phase table; `render` says what holds in each."""

    PENDING = "Pending"
    STARTING = "Starting"
    STEPPING = "Stepping"
    PROMOTING = "Promoting"
    WATCHING = "Watching"
    ROLLING_BACK = "RollingBack"
    STABLE = "Stable"


class Outcome(StrEnum):
    """How a run ended."""

    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"  # a newer revision took its place
    WITHDRAWN = "Withdrawn"  # the spec went back to the stable revision


class Result(StrEnum):
    """A verdict; Undecided is a real answer."""

    PASS = "Pass"  # noqa: S105 - not a password
    FAIL = "Fail"
    UNDECIDED = "Undecided"


class Verification(StrEnum):
    """How the live weight is known."""

    PROVEN = "Proven"
    ASSUMED = "Assumed"


class Model(_Part, frozen=True):
    """What an MLflow URI resolved to. `uri` is the pinned form, which never changes its meaning."""

    uri: str
    name: str
    version: str
    run_id: str = ""
    source: str = ""
    digest: str = ""
    runtime: str = ""


class Revision(_Part, frozen=True):
    """One model version with the server settings frozen when the revision was made."""

    revision: str
    model: Model
    image: str
    trust: Trust
    tracking_uri: str = msgspec.field(name="trackingURI", default="")
    resources: dict[str, Any] = {}
    env: tuple[dict[str, Any], ...] = ()
    ready_replicas: int = 0


class LiveWeight(_Part, frozen=True):
    """A time in which a weight was seen live; `until` is when the next one was written."""

    weight: int
    since: datetime
    until: datetime | None = None


class RevisionRef(_Part, frozen=True):
    """A revision that a run compares, by name and by the pinned URI of its model."""

    revision: str
    model: str


class Run(_Part, frozen=True):
    """One rollout of one revision, with what it follows frozen at its start."""

    id: str
    started_at: datetime
    traffic: Traffic
    rollout: Rollout
    replicas: int = 1  # pods that each of them has at full size
    canary: RevisionRef | None = None
    stable: RevisionRef | None = None
    objectives: tuple[Objective, ...] = ()
    confidence: Confidence = Confidence()
    prometheus: Prometheus | None = None
    steps: tuple[Step, ...] = ()  # those of the spec, or chosen when the canary was ready
    latency_thresholds: dict[str, Number] = {}  # seconds, by objective: stable's quantile, where there is no limit
    stable_restarts: int = 0  # of stable's containers when the run began
    canary_restarts: int = 0  # of the canary's, which may have served before
    on_hold: bool = False  # in Starting: the registry or the gateway is in trouble, not the model
    step: int = 0
    step_started_at: datetime | None = None  # when the weight of this step was seen live
    traffic_started_at: datetime | None = None  # the first write that could let traffic in
    first_live_at: datetime | None = None  # the first weight above 0 was seen live
    live_weights: tuple[LiveWeight, ...] = ()  # the newest of them
    swapped: bool = False  # Service NAME selects the canary
    promoted_at: datetime | None = None  # that was proven: the canary serves alone, and is watched
    outcome: Outcome | None = None  # set when the run's end is decided
    ended_at: datetime | None = None  # likewise
    reason: str = ""
    message: str = ""

    @property
    def strategy(self) -> CanarySteps:
        """Where the run is on its way. Only for a run that has steps."""
        return CanarySteps(self.steps, self.step)

    @property
    def judged(self) -> tuple[Objective, ...]:
        """The objectives that its counted requests decide; a latency without a limit has this run's threshold."""
        thresholds = self.latency_thresholds
        counted = (each for each in self.objectives if not each.of_training and each.query is None)
        return tuple(
            each.with_threshold(thresholds[each.name]) if each.name in thresholds else each for each in counted
        )


class Weight(_Part, frozen=True):
    """Share of requests meant for the canary, in percent: decided, and proven in the data plane."""

    desired: int
    written_at: datetime
    live: int = 0
    verified_at: datetime | None = None
    verification: Verification | None = None


class ObjectiveVerdict(_Part, frozen=True):
    name: str
    result: Result
    reason: str = ""
    canary: str = ""
    stable: str = ""
    limit: str = ""
    requests: int = 0
    evidence: str = ""
    needs: str = ""


class Verdict(_Part, frozen=True):
    result: Result
    reason: str
    message: str
    objectives: tuple[ObjectiveVerdict, ...] = ()
    forecast: str = ""  # how long all steps take a canary that is as good as stable
    unreachable: str = ""  # why they take longer than the deadline, if they do
    baseline: str = ""  # what stable's past says of bursts, and whether it still holds
    clean: bool = False  # the step's requests and time are there, and nothing fails


class Rejection(_Part, frozen=True):
    """A revision that failed, remembered so that a re-sync does not try it again."""

    revision: str
    model: str
    reason: str
    message: str
    objectives_hash: str  # of what it was judged by; other objectives give it another chance
    at: datetime


class Retiring(_Part, frozen=True):
    """A revision out of traffic whose pods stay until `until`."""

    revision: Revision
    replicas: int
    until: datetime


class HistoryEntry(_Part, frozen=True):
    revision: str
    model: str
    outcome: Outcome
    reason: str
    started_at: datetime
    ended_at: datetime
    record: str = ""  # ConfigMap that all counts of the run are kept in; none for a run without traffic


class Alias(_Part, frozen=True):
    """The registry alias that the last promotion moves to `version`."""

    name: str
    model: str
    version: str
    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # of the registry that the revision came from
    done: bool = False


class Condition(_Part, frozen=True):
    """metav1.Condition."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int = 0


class Status(_Part, frozen=True):
    observed_generation: int = 0
    url: str = ""
    phase: Phase = Phase.PENDING
    phase_started_at: datetime | None = None
    message: str = ""
    stable: Revision | None = None
    canary: Revision | None = None
    previous: Revision | None = None  # what Watching can return to
    run: Run | None = None
    weight: Weight | None = None
    verdict: Verdict | None = None
    alias: Alias | None = None
    rejected: tuple[Rejection, ...] = ()
    retiring: tuple[Retiring, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    conditions: tuple[Condition, ...] = ()


def parse(raw: Any) -> Status:
    """`raw` is the `status` mapping as the API server returns it, or None before the first write."""
    return msgspec.convert(raw or {}, Status, dec_hook=decode)


def dump(status: Status) -> dict[str, Any]:
    """The mapping to write. Fields at their defaults are left out."""
    plain: dict[str, Any] = msgspec.to_builtins(status, enc_hook=encode)
    return plain
