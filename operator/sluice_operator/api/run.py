"""A run in the status: one rollout of one revision, with the terms that it follows and what has happened in it."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from sluice_operator.api.quantities import Number
from sluice_operator.api.revision import RevisionRef
from sluice_operator.api.rollout_spec import PlannedPause, Rollout, Step
from sluice_operator.api.spec import Confidence, DefaultObjective, Objective, Prometheus
from sluice_operator.api.status_part import StatusPart
from sluice_operator.api.strategy import CanarySteps
from sluice_operator.api.traffic import Traffic


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


AT_REST = (Phase.PENDING, Phase.STABLE)  # no rollout is under way
BEFORE_TRAFFIC = (Phase.INITIALIZING, Phase.STARTING)
JUDGED = (Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.WATCHING)
NO_STEP = -1  # index of a step


class Outcome(StrEnum):
    """How a run ended."""

    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"  # a newer revision took its place
    WITHDRAWN = "Withdrawn"  # the spec went back to the stable revision
    ABANDONED = "Abandoned"  # it could not be judged: no room, no image, not enough evidence in time


class LiveWeight(StatusPart, frozen=True):
    """A time in which a weight was live. `since`: when it was proven. `until`: when the next one was written.

    `disturbed`: it ended because somebody else changed the route, so until the next one nothing is known.
    """

    weight: int
    since: datetime
    until: datetime | None = None
    disturbed: bool = False


class RouteWriter(StatusPart, frozen=True):
    """Somebody else who wrote the route in this run. `manager`: the field manager; empty if no name was left."""

    manager: str
    edits: int
    last_at: datetime
    what: str  # kind and name of the object that was written last


class PhaseStart(StatusPart, frozen=True):
    """When a run entered a phase."""

    phase: Phase
    since: datetime


class PodCrashes(StatusPart, frozen=True):
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


class TakenCommand(StatusPart, frozen=True):
    """A command that was answered. `by`: the field manager that wrote it, which is what its client calls itself."""

    id: str
    by: str
    at: datetime  # when it was written
    answer: Answer
    message: str


class Pause(StatusPart, frozen=True):
    """A run that goes no further until `until`, or until a person says so. A failure still rolls it back."""

    reason: str
    message: str
    since: datetime
    weight: int = 0  # that the canary had
    until: datetime | None = None


class SignatureCheck(StatusPart, frozen=True):
    """What comparing the signatures of canary and stable showed: a reason for machines, and a sentence for people."""

    reason: str
    message: str = ""


class Failure(StatusPart, frozen=True):
    """A verdict Fail: a reason for machines, and a sentence for people."""

    reason: str
    message: str = ""


class Run(StatusPart, frozen=True):
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
    default_objectives: tuple[DefaultObjective, ...] = ()
    confidence: Confidence = Confidence()
    prometheus: Prometheus | None = None  # that the spec names now: a connection, and no term of the run
    signature: SignatureCheck | None = None  # of the canary, compared with stable's before the first weight
    steps: tuple[Step, ...] = ()  # those of the spec, or automatic ones, chosen when the canary was ready
    # Seconds, by objective without a limit: stable's quantile.
    latency_thresholds: dict[str, Number] = msgspec.field(default_factory=dict)
    crashes: tuple[PodCrashes, ...] = ()  # of pods whose model server ended in this run
    awaits_hold_out: bool = False  # a first revision that no caller reaches before its hold-out is known to be good
    looked_at: datetime | None = None  # when the operator has noted last that it looks
    on_hold_since: datetime | None = None  # in Starting: the registry, the gateway or the cluster has a problem
    step: int = 0
    left_step: int = NO_STEP  # the first step that was left without a Pass, by a person or at the deadline
    step_started_at: datetime | None = None  # when the weight of this step was proven
    traffic_started_at: datetime | None = None  # the first write that could let traffic in
    first_live_at: datetime | None = None  # when the first weight above 0 was proven
    live_weights: tuple[LiveWeight, ...] = ()  # the newest ones, oldest first
    phases: tuple[PhaseStart, ...] = ()  # likewise, up to Stable, in which the run is over
    route_writers: tuple[RouteWriter, ...] = ()  # the newest ones
    swapped_at: datetime | None = None  # when the swap was written: from then on requests are meant for the canary
    promoted_at: datetime | None = None  # when the swap was proven and the watch began
    pause: Pause | None = None
    pause_over: int = -1  # the newest step whose own pause is over
    paused_seconds: int = 0  # in pauses that are over, or without an operator: the deadline comes so much later
    overruled: tuple[str, ...] = ()  # objectives with onFail: Hold that failed, and a person went on
    failed: Failure | None = None  # the newest Fail; later verdicts without one, or without metrics, do not lift it
    failover_seconds: int = 0  # for which the canary has taken all requests before, while stable flaps
    stable_ready_since: datetime | None = None  # after a failover: stable's pods are ready without a break
    returning: bool = False  # an undo brings back a revision that served before: no steps, nothing is judged
    commands: tuple[TakenCommand, ...] = ()  # the newest ones
    outcome: Outcome | None = None  # set when the end of the run is decided
    ended_at: datetime | None = None  # likewise
    reason: str = ""
    message: str = ""

    @property
    def strategy(self) -> CanarySteps | None:
        """The steps and the present one. None without steps: of a run without any, and as long as none are chosen."""
        return CanarySteps(self.steps, self.step) if self.steps else None

    @property
    def at_once(self) -> bool:
        """Whether all requests move at once, without steps: blue-green, and an undo."""
        return self.returning or self.rollout.blue_green is not None

    @property
    def pauses(self) -> tuple[PlannedPause, ...]:
        """Those that the spec asks for: of steps, and the one of blue-green."""
        before = self.rollout.blue_green.pause if self.rollout.blue_green else None
        return tuple(pause for pause in (*(step.pause for step in self.steps), before) if pause is not None)

    @property
    def deadline_at(self) -> datetime:
        """When the evidence must be complete, if the run does not pause again."""
        return self.started_at + self.rollout.deadline + timedelta(seconds=self.paused_seconds)

    @property
    def decides(self) -> bool:
        """Whether its end says which revision may serve later. A first revision that fails is not remembered."""
        return self.outcome is Outcome.PROMOTED or (self.outcome is Outcome.REJECTED and self.stable is not None)

    @property
    def judged(self) -> tuple[Objective, ...]:
        """The objectives that are judged by counts. A latency objective without a limit gets this run's threshold."""
        thresholds = self.latency_thresholds
        return tuple(
            objective.with_threshold(thresholds[objective.name]) if objective.name in thresholds else objective
            for objective in (*self.objectives, *self.default_objectives)
            if not objective.decided_by_hold_out and objective.query is None
        )
