"""The `status` of a ModelDeployment as typed values: the whole state of the rollout.

All objects in the cluster follow from spec and status. So whatever must survive a crash between two writes is a field
here, and the operator keeps no other state.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from sluice_operator.api.quantities import decode, encode
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import Outcome, Phase, Run, TakenCommand
from sluice_operator.api.spec import NameKind
from sluice_operator.api.status_part import StatusPart
from sluice_operator.api.traffic import Traffic

LONGEST = 2_000  # characters of a message that others have a part in, such as pods, kubelets and quotas
LONGEST_REASON = 200
VERSION = 1  # of the form of a status; a higher one is for operators that come after this one
METRICS_UNAVAILABLE = "MetricsUnavailable"  # reason of a verdict without samples
SIGNATURE_CHANGED = "SignatureChanged"  # reason of a rejection that the spec can lift
TOLERANCE_CHANGED = "ToleranceChanged"  # likewise: by objectives that compare no accuracies


class UnreadableStatusError(ValueError):
    """The status is not one that this operator can follow."""


_WITH_CANARY = frozenset(Phase) - {Phase.PENDING, Phase.WATCHING, Phase.STABLE}
_WITH_STABLE = frozenset(Phase) - {Phase.PENDING, Phase.INITIALIZING}
_WITH_RUN = frozenset(Phase) - {Phase.PENDING, Phase.STABLE}
_WITH_WEIGHT = frozenset((Phase.STARTING, Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING, Phase.FAILOVER))
_WITH_STEPS = frozenset((Phase.STEPPING, Phase.PROMOTING, Phase.SWAPPING))


class Result(StrEnum):
    """The result of an evaluation. Undecided is a proper result: there is not enough evidence yet."""

    PASS = "Pass"  # noqa: S105 - not a password
    FAIL = "Fail"
    UNDECIDED = "Undecided"


class Verification(StrEnum):
    """How the live weight is known."""

    PROVEN = "Proven"
    ASSUMED = "Assumed"


class Weight(StatusPart, frozen=True):
    """The percentage of the requests for the canary: `desired` is decided and written, `live` is proven."""

    desired: int
    written_at: datetime
    live: int = 0
    verified_at: datetime | None = None
    verification: Verification | None = None


class Route(StatusPart, frozen=True):
    """What callers reach the model by: a traffic section of the spec that was granted, and since when it has its host.

    Only this is ever rendered. What the spec asks for instead waits while another object has that host.
    """

    traffic: Traffic
    since: Annotated[datetime, msgspec.Meta(tz=True)]  # it is compared with those of other objects


class ObjectiveVerdict(StatusPart, frozen=True):
    name: str
    result: Result
    reason: str = ""
    canary: str = ""
    stable: str = ""
    limit: str = ""
    requests: int = 0
    evidence: str = ""
    needs: str = ""


class Verdict(StatusPart, frozen=True):
    result: Result
    reason: str
    message: str
    objectives: tuple[ObjectiveVerdict, ...] = ()
    forecast: str = ""  # how long all steps take for a canary that is as good as stable
    unreachable: str = ""  # why that is longer than the deadline, if it is
    baseline: str = ""  # what is known of stable's bursts, and whether that still holds
    clean: bool = False  # the step has its requests and its time, and no objective fails
    holding: tuple[str, ...] = ()  # objectives with onFail: Hold that fail; a person decides what follows


class Rejection(StatusPart, frozen=True):
    """A revision that failed. It is remembered so that it is not tried again."""

    revision: str
    model: str
    reason: str
    message: str
    at: datetime
    generation: int = 0  # of the spec that it was rejected under; 0: not known
    objectives_hash: str = ""  # of the objectives that it failed; with other ones it is tried again. Empty: not known


class Abandoned(StatusPart, frozen=True):
    """A revision whose last run ended without a verdict on it. It is tried again.

    That is at `retry_at`, or when the spec has other terms: steps, deadlines, objectives.
    """

    revision: str
    reason: str
    message: str
    terms_hash: str = ""
    generation: int = 0  # of the spec then; without an edit since, terms that read otherwise are still the same
    retry_at: datetime | None = None


class Retiring(StatusPart, frozen=True):
    """A revision without traffic whose pods are kept until `until`."""

    revision: Revision
    replicas: int
    until: datetime


class HistoryEntry(StatusPart, frozen=True):
    revision: str
    model: str
    outcome: Outcome
    reason: str
    started_at: datetime
    ended_at: datetime
    record: str = ""  # ConfigMap with the run record; empty for a run without traffic that decided nothing
    commands: tuple[TakenCommand, ...] = ()  # that people gave in this run


class Alias(StatusPart, frozen=True):
    """The alias, or stage, in the registry that the last promotion moves to `version`. `done`: it is there."""

    name: str
    model: str
    version: str
    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # of the revision's registry
    done: bool = False
    kind: NameKind = NameKind.ALIAS


class Condition(StatusPart, frozen=True):
    """A `metav1.Condition` of Kubernetes."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int = 0


class Status(StatusPart, frozen=True):
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
    if run is None or run.at_once:
        return "its run has no steps" if status.phase is Phase.STEPPING else ""
    if (status.phase in _WITH_STEPS or run.steps) and not 0 <= run.step < len(run.steps):
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
