"""The `status` of a ModelDeployment as typed values: the whole state of the rollout.

All objects in the cluster follow from spec and status. So whatever must survive a crash between two writes is a field
here, and the operator keeps no other state.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from sluice_operator.api.quantities import Number, decode, encode
from sluice_operator.api.spec import Confidence, Objective, Prometheus, Rollout, Step, Traffic, Trust
from sluice_operator.api.strategy import CanarySteps

VERSION = 1  # of the form of a status; a higher one is for operators that come after this one
METRICS_UNAVAILABLE = "MetricsUnavailable"  # reason of a verdict without samples
SIGNATURE_CHANGED = "SignatureChanged"  # reason of a rejection that the spec can lift


class UnreadableStatusError(ValueError):
    """The status is not one that this operator can follow."""


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One mapping of the status."""


class Phase(StrEnum):
    """What a rollout does now; `render` says which objects belong to each phase."""

    PENDING = "Pending"
    INITIALIZING = "Initializing"  # the first revision; nothing serves beside it
    STARTING = "Starting"
    STEPPING = "Stepping"
    PROMOTING = "Promoting"
    SWAPPING = "Swapping"
    WATCHING = "Watching"
    ROLLING_BACK = "RollingBack"
    FAILOVER = "Failover"  # stable has no ready pods, so that the canary takes all requests
    STABLE = "Stable"


_WITH_CANARY = frozenset(Phase) - {Phase.PENDING, Phase.WATCHING, Phase.STABLE}
_WITH_STABLE = frozenset(Phase) - {Phase.PENDING, Phase.INITIALIZING}
_WITH_RUN = frozenset(Phase) - {Phase.PENDING, Phase.STABLE}
_WITH_WEIGHT = frozenset((Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.FAILOVER))
_WITH_STEPS = frozenset((Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING))


class Outcome(StrEnum):
    """How a run ended."""

    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"  # a newer revision took its place
    WITHDRAWN = "Withdrawn"  # the spec went back to the stable revision
    ABANDONED = "Abandoned"  # it could not be judged: no room, no image, not enough evidence in time


class Result(StrEnum):
    """The result of an evaluation. Undecided is a proper result: there is not enough evidence yet."""

    PASS = "Pass"  # noqa: S105 - not a password
    FAIL = "Fail"
    UNDECIDED = "Undecided"


class Verification(StrEnum):
    """How the live weight is known."""

    PROVEN = "Proven"
    ASSUMED = "Assumed"


class Model(_Part, frozen=True):
    """The model version that an MLflow URI names. `uri` is the pinned form, which can never name another version."""

    uri: str
    name: str
    version: str
    run_id: str = ""
    source: str = ""
    digest: str = ""
    runtime: str = ""


class Revision(_Part, frozen=True):
    """One model version with its server settings, as they were when the revision was made."""

    revision: str
    model: Model
    image: str
    trust: Trust
    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # empty: the operator's, wherever that is now
    credentials_secret: str = ""
    artifact_secret: str = ""
    resources: dict[str, Any] = {}
    env: tuple[dict[str, Any], ...] = ()
    ready_replicas: int = 0
    edited_by: str = ""  # who else has written the containers of its Deployment


class LiveWeight(_Part, frozen=True):
    """A time in which a weight was live. `since`: when it was proven. `until`: when the next one was written.

    `disturbed`: it ended because somebody else changed the route, so until the next one nothing is known.
    """

    weight: int
    since: datetime
    until: datetime | None = None
    disturbed: bool = False


class RouteWriter(_Part, frozen=True):
    """Somebody else who wrote the route in this run. `manager`: the field manager; empty if no name was left."""

    manager: str
    edits: int
    last_at: datetime
    what: str  # kind and name of the object that was written last


class PhaseStart(_Part, frozen=True):
    """When a run entered a phase."""

    phase: Phase
    since: datetime


class RevisionRef(_Part, frozen=True):
    """A revision that a run compares, by name and by the pinned URI of its model."""

    revision: str
    model: str


class PodCrashes(_Part, frozen=True):
    """How often the model server of one pod failed in a run. `last`: the last time, in words."""

    uid: str
    revision: str
    restarts: int = 0  # ever, as they were counted last
    crashes: int = 0
    last: str = ""


class Answer(StrEnum):
    """What became of a command."""

    ACCEPTED = "Accepted"
    REFUSED = "Refused"


class TakenCommand(_Part, frozen=True):
    """A command that was answered. `by`: the field manager that wrote it, which is what its client calls itself."""

    id: str
    by: str
    at: datetime  # when it was written
    answer: Answer
    message: str


class Pause(_Part, frozen=True):
    """A run that goes no further until `until`, or until a person says so. A failure still takes traffic back."""

    reason: str
    message: str
    since: datetime
    weight: int = 0  # that the canary had
    until: datetime | None = None


class SignatureCheck(_Part, frozen=True):
    """What comparing the signatures of canary and stable showed: a reason for machines, and a sentence for people."""

    reason: str
    message: str = ""


class Run(_Part, frozen=True):
    """One rollout of one revision. Its terms are copies of the spec at its start.

    `default_objectives` are judged too, though the spec does not ask for them. They are frozen like the others, so an
    operator that adds none, or others, judges a run as it began.
    """

    id: str
    started_at: datetime
    traffic: Traffic
    rollout: Rollout
    canary: RevisionRef
    generation: int = 0  # of the spec that these copies are of; 0: not known
    replicas: int = 1  # pods of each revision at full size
    stable: RevisionRef | None = None
    objectives: tuple[Objective, ...] = ()
    default_objectives: tuple[Objective, ...] = ()
    confidence: Confidence = Confidence()
    prometheus: Prometheus | None = None  # that the spec names now: a connection, and no term of the run
    signature: SignatureCheck | None = None  # of the canary, compared with stable's before the first weight
    steps: tuple[Step, ...] = ()  # those of the spec, or automatic ones, chosen when the canary was ready
    latency_thresholds: dict[str, Number] = {}  # seconds, by objective without a limit: stable's quantile
    crashes: tuple[PodCrashes, ...] = ()  # of pods whose model server ended in this run
    on_hold_since: datetime | None = None  # in Starting: the registry, the gateway or the cluster has a problem
    step: int = 0
    step_started_at: datetime | None = None  # when the weight of this step was proven
    traffic_started_at: datetime | None = None  # the first write that could let traffic in
    first_live_at: datetime | None = None  # when the first weight above 0 was proven
    live_weights: tuple[LiveWeight, ...] = ()  # the newest ones, oldest first
    phases: tuple[PhaseStart, ...] = ()  # likewise, up to Stable, in which the run is over
    route_writers: tuple[RouteWriter, ...] = ()  # the newest ones
    promoted_at: datetime | None = None  # when the swap was proven and the watch began
    pause: Pause | None = None
    pause_over: int = -1  # the newest step whose own pause is over
    paused_seconds: int = 0  # of pauses that are over; the deadline comes so much later
    overruled: tuple[str, ...] = ()  # objectives with onFail: Hold that failed, and a person went on
    returning: bool = False  # an undo brings back a revision that served before: no steps, nothing is judged
    commands: tuple[TakenCommand, ...] = ()  # the newest ones
    outcome: Outcome | None = None  # set when the end of the run is decided
    ended_at: datetime | None = None  # likewise
    reason: str = ""
    message: str = ""

    @property
    def strategy(self) -> CanarySteps:
        """The steps and the present one. Only for a run that has steps."""
        return CanarySteps(self.steps, self.step)

    @property
    def deadline_at(self) -> datetime:
        """When the evidence must be complete, if the run does not pause again."""
        return self.started_at + self.rollout.deadline + timedelta(seconds=self.paused_seconds)

    @property
    def judged(self) -> tuple[Objective, ...]:
        """The objectives that are judged by counts. A latency objective without a limit gets this run's threshold."""
        thresholds = self.latency_thresholds
        return tuple(
            objective.with_threshold(thresholds[objective.name]) if objective.name in thresholds else objective
            for objective in (*self.objectives, *self.default_objectives)
            if not objective.decided_by_hold_out and objective.query is None
        )


class Weight(_Part, frozen=True):
    """The percentage of the requests for the canary: `desired` is decided and written, `live` is proven."""

    desired: int
    written_at: datetime
    live: int = 0
    verified_at: datetime | None = None
    verification: Verification | None = None


class Route(_Part, frozen=True):
    """What callers reach the model by: a traffic section of the spec that was granted, and since when it has its host.

    Only this is ever rendered. What the spec asks for instead waits while another object has that host.
    """

    traffic: Traffic
    since: datetime


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
    forecast: str = ""  # how long all steps take for a canary that is as good as stable
    unreachable: str = ""  # why that is longer than the deadline, if it is
    baseline: str = ""  # what is known of stable's bursts, and whether that still holds
    clean: bool = False  # the step has its requests and its time, and no objective fails
    holding: tuple[str, ...] = ()  # objectives with onFail: Hold that fail; a person decides what follows


class Rejection(_Part, frozen=True):
    """A revision that failed. It is remembered so that it is not tried again."""

    revision: str
    model: str
    reason: str
    message: str
    at: datetime
    generation: int = 0  # of the spec that it was rejected under; 0: not known
    objectives_hash: str = ""  # of the objectives that it failed; with other ones it is tried again. Empty: not known


class Abandoned(_Part, frozen=True):
    """A revision whose last run ended without a verdict on it. It is tried again.

    That is at `retry_at`, or when the spec has other terms: steps, deadlines, objectives.
    """

    revision: str
    reason: str
    message: str
    terms_hash: str = ""
    generation: int = 0  # of the spec then; without an edit since, terms that read otherwise are still the same
    retry_at: datetime | None = None


class Retiring(_Part, frozen=True):
    """A revision without traffic whose pods are kept until `until`."""

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
    record: str = ""  # ConfigMap with the run record; empty for a run without traffic
    commands: tuple[TakenCommand, ...] = ()  # that people gave in this run


class Alias(_Part, frozen=True):
    """The alias in the registry that the last promotion moves to `version`. `done`: it points there."""

    name: str
    model: str
    version: str
    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # of the revision's registry
    done: bool = False


class Condition(_Part, frozen=True):
    """A `metav1.Condition` of Kubernetes."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int = 0


class Status(_Part, frozen=True):
    version: int = 0  # of this form of the status; 0 in what operators wrote that did not say
    observed_generation: int = 0
    url: str = ""
    phase: Phase = Phase.PENDING
    phase_started_at: datetime | None = None
    message: str = ""
    replicas: int = 0  # pods of the revision that serves; with `selector`, what the scale subresource shows
    selector: str = ""
    scaled_to: int = 0  # pods that somebody else has scaled stable up to
    stable: Revision | None = None
    canary: Revision | None = None
    previous: Revision | None = None  # that Watching can roll back to
    former: tuple[Revision, ...] = ()  # that were stable before, the newest first: what undo can bring back
    run: Run | None = None
    route: Route | None = None
    weight: Weight | None = None
    verdict: Verdict | None = None
    alias: Alias | None = None
    rejected: tuple[Rejection, ...] = ()
    abandoned: Abandoned | None = None
    retiring: tuple[Retiring, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    last_command: TakenCommand | None = None
    retry_token: str = ""  # of the spec, when a rejection was last forgotten for it
    conditions: tuple[Condition, ...] = ()


def parse(raw: Any) -> Status:
    """Parse `raw`, the `status` mapping as the API server returns it, or None before the first write.

    Raises UnreadableStatusError.
    """
    try:
        parsed = msgspec.convert(raw or {}, Status, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise UnreadableStatusError(f"the status cannot be read: {error}") from error
    if parsed.version > VERSION:
        raise UnreadableStatusError(
            f"a newer operator has written the status: its version is {parsed.version}, this one knows {VERSION}"
        )
    if trouble := _contradiction(parsed):
        raise UnreadableStatusError(f"the status contradicts itself: {trouble}")
    return parsed


_WRITTEN = dict(zip(Status.__struct_fields__, Status.__struct_encode_fields__, strict=True))
_KEPT = ("route", "alias", "rejected", "former", "history", "last_command", "retry_token", "conditions")


def kept(raw: Any) -> Status:
    """What of an unreadable `raw` stands by itself, and holds whatever else is going on."""
    parts = {name: _part(raw, name) for name in _KEPT}
    return Status(**{name: value for name, value in parts.items() if value is not None})


def _part(raw: Any, name: str) -> Any:
    try:
        return getattr(msgspec.convert({_WRITTEN[name]: raw[_WRITTEN[name]]}, Status, dec_hook=decode), name)
    except (msgspec.ValidationError, KeyError, TypeError):
        return None


def _contradiction(status: Status) -> str:
    """Why no rule could follow this status; empty if there is no such reason."""
    needed = {"stable": _WITH_STABLE, "canary": _WITH_CANARY, "run": _WITH_RUN, "weight": _WITH_WEIGHT}
    for name, phases in needed.items():
        if status.phase in phases and getattr(status, name) is None:
            return f"it has no {name} in phase {status.phase}"
    run = status.run
    if run is not None and (status.phase in _WITH_STEPS or run.steps) and not 0 <= run.step < len(run.steps):
        return f"step {run.step} of {len(run.steps)}"
    return ""


def route(raw: Any) -> Route | None:
    """The granted route in a `status` mapping, whatever else is in it; None if there is none that can be read."""
    try:
        return msgspec.convert((raw or {}).get("route"), Route | None, dec_hook=decode)
    except msgspec.ValidationError:
        return None


def dump(status: Status) -> dict[str, Any]:
    """`status` as the mapping that is written. Fields with their default values are left out."""
    plain: dict[str, Any] = msgspec.to_builtins(status, enc_hook=encode)
    return plain
