"""`spec.rollout` as typed values: how a new revision gets its requests, and when a run ends."""

from enum import StrEnum

from sluice_operator.api.quantities import Duration
from sluice_operator.api.section import Section


class OnDeadline(StrEnum):
    """What happens to a run whose evidence is not complete at its deadline."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"
    PROMOTE_IF_CLEAN = "PromoteIfClean"


class PlannedPause(Section, frozen=True):
    """A pause before a run goes on: for `duration`, or until a person resumes."""

    duration: Duration | None = None


class Step(Section, frozen=True):
    weight: int
    min_requests: int
    min_duration: Duration
    pause: PlannedPause | None = None


class Canary(Section, frozen=True):
    """Without `steps`, a run has automatic steps: they follow from how many requests there are when it begins."""

    steps: tuple[Step, ...] = ()


class BlueGreen(Section, frozen=True):
    """All requests move at once, to a revision at full size that answers. `pause`: before they do."""

    pause: PlannedPause | None = None


class Rollout(Section, frozen=True):
    progress_deadline: Duration
    deadline: Duration
    on_deadline: OnDeadline
    watch_after_promotion: Duration
    scale_down_delay: Duration
    stable_dead_deadline: Duration = Duration.parse("5m")
    canary: Canary = Canary()
    blue_green: BlueGreen | None = None  # None: a canary
    retry_token: str = ""  # another value forgets that the revision which the spec names was rejected or abandoned
