"""What `observe` found: plain values, the only input of `decide`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Model, Revision, Status, Verdict


@dataclass(frozen=True, slots=True)
class Resolved:
    """The URI names this model version now."""

    model: Model


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The registry answered, or did not need to be asked: there is no such model, version or alias, or no such form."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The registry gave no usable answer. Says nothing about the model."""

    message: str


Resolution = Resolved | Unresolved | Unreachable


@dataclass(frozen=True, slots=True)
class Refusal:
    """The preflight in a pod's `fetch` container refused the model, for good."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Workload:
    """The pods of one revision."""

    ready: int = 0
    restarts: int = 0
    digest: str = ""
    runtime: str = ""
    refusal: Refusal | None = None
    trouble: str = ""  # why pods are not ready, in words
    registry_lost: bool = False  # a pod waits for a registry that does not answer: not the model's fault


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of which hold-out a model got right: a bit for each, the first row highest."""

    digest: str
    right: int = field(repr=False)  # a number of thousands of digits


@dataclass(frozen=True, slots=True)
class HoldOut:
    """How the model's own run judged it: examples that it got right, of how many, and which, where the run tells."""

    model: str  # name/version, for people
    correct: int
    total: int
    rows: Rows | Unresolved


@dataclass(frozen=True, slots=True)
class HoldOuts:
    """What the runs that made the models say of their hold-outs; stable's where the canary is compared with it."""

    canary: HoldOut | Unresolved | Unreachable
    stable: HoldOut | Unresolved | Unreachable | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the gateway does what was written, and what it did instead."""

    live: bool
    detail: str = ""
    by_canary: bool = False  # the canary itself gave the wrong answer: nothing between it and us is to blame


@dataclass(frozen=True, slots=True)
class Defaults:
    """The operator's own settings that go into a new revision."""

    image: str
    tracking_uri: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One snapshot. A field that is None was not looked at, because the phase does not need it."""

    now: datetime
    name: str
    generation: int
    spec: Spec
    status: Status
    defaults: Defaults
    resolution: Resolution
    desired: Revision | None = None  # that the spec asks for now, where the URI resolves; `decide` fills it in
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()  # objects that bear our names and belong to somebody else
    host_taken: str = ""  # namespace/name of an older ModelDeployment with the same host
    refused: str = ""  # what the API server said to the last writes, when it did not do them
    weight: Proof | None = None
    swap: Proof | None = None
    smoke: Proof | None = None
    hold_outs: HoldOuts | None = None
    rate: float | None = None  # requests per second that stable answers
    # By latency objective without a limit: stable's quantile, in seconds. None while Prometheus does not say.
    latency_thresholds: Mapping[str, Number] | None = field(default_factory=dict)
    metrics_refusal: Refusal | None = None  # why the Prometheus that the run names is not asked
    verdict: Verdict | None = None
    alias_version: str | None = None  # where the alias of the last promotion points

    def workload(self, revision: Revision | None) -> Workload:
        """The pods of `revision`; an empty one if it has none."""
        return self.workloads.get(revision.revision, Workload()) if revision else Workload()
