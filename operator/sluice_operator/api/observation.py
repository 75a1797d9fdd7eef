"""What was observed of one ModelDeployment, as plain values: the only input of `decide`.

Nothing here can read or write; `controller/observation/observe.py` fills these values in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice_operator.api.command import Asked
from sluice_operator.api.quantities import Number
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.signature import Signature
from sluice_operator.api.spec import Spec, Trust
from sluice_operator.api.status import Status, Verdict


@dataclass(frozen=True, slots=True)
class Resolved:
    """The URI names this model version now."""

    model: Model


@dataclass(frozen=True, slots=True)
class Unresolved:
    """There is no such model, version or alias, or the URI is malformed. The registry is fine, the spec must change."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The registry gave no usable answer. Nothing is known about the model."""

    message: str


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """The registry was asked a moment ago, and its answer is not there yet."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The registry may not be asked, or refuses the login. Nothing is known about the model, and a person must act."""

    reason: str
    message: str


Resolution = Resolved | Unresolved | Unreachable | Denied | NotAnswered


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something will not work until a person changes it: `reason` for machines, `message` for people.

    Of a model: the preflight in a container `prepare` or `fetch` refused it. Of metrics: a Prometheus may not be asked.
    Of a route: the namespace may not have it, or a gateway does not take it.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServerEnd:
    """How the container `server` of one pod ended before its last restart."""

    pod: str
    uid: str
    pod_created: datetime | None
    restarts: int  # of this container, ever
    at: datetime | None
    failure: str  # such as "exit code 137 (OOMKilled)"; empty if its node went down


@dataclass(frozen=True, slots=True)
class Crashes:
    """How many more times the canary's model servers failed than stable's in a run, and the last of them in words."""

    more: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A summary of the pods of one revision: numbers and reasons, not the pods themselves.

    `kubernetes/pods.py` makes it; of a revision whose model is being prepared, `kubernetes/preparation.py`. The objects
    themselves are in `Children`, where `apply` needs them.
    """

    ready: int = 0  # pods
    pods: int = 0  # ready or not
    scaled_to: int = 0  # replicas of its Deployment, if somebody else than Sluice has set them last
    edited_by: str = ""  # who else has written the containers of its Deployment
    ends: tuple[ServerEnd, ...] = ()  # one for each pod whose model server was started again
    digest: str = ""  # of the model's files, once a pod has prepared or fetched them
    runtime: str = ""  # that loads the model, likewise
    from_store: bool | None = None  # whether its Deployment fetches the model from the store; None: it has none
    refusal: Refusal | None = None
    trouble: str = ""  # why a pod is not ready, as a sentence for people
    under_way: str = ""  # what a pod does that is not ready and has no trouble, likewise
    obstacle: Refusal | None = None  # what keeps pods from running that is not the model's: a quota, no room, no image
    unavailable: str = ""  # why a pod waits for the registry or the store, one word: the model is not to blame
    with_model: int = 0  # pods that have fetched the model, ready or not
    leaving: int = 0  # likewise, of those that are being deleted and do not count otherwise
    again: "Workload | None" = None  # the Job that prepares the model once more, while the store has lost it


NO_DEPLOYMENT = Workload(obstacle=Refusal("PodsNotCreated", "its Deployment does not exist yet"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a hold-out a model predicted right: one bit per row, the first row in the highest bit."""

    digest: str  # of the hold-out: equal digests, equal rows
    right: int = field(repr=False)  # its text would have thousands of digits


@dataclass(frozen=True, slots=True)
class HoldOut:
    """The result of a model on its hold-out, as its MLflow run has it: how many rows were right, and which of them."""

    model: str  # name/version, for people
    correct: int
    total: int
    rows: Rows | Unresolved  # Unresolved: the run has the counts, but not which rows were right


HoldOutAnswer = HoldOut | Unresolved | Unreachable | Denied


@dataclass(frozen=True, slots=True)
class HoldOuts:
    """The hold-outs that a run needs: the canary's, and stable's if an objective compares the two."""

    canary: HoldOutAnswer
    stable: HoldOutAnswer | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the gateway does what was written."""

    live: bool
    detail: str = ""  # what it does instead
    by_canary: bool = False  # the canary itself gave the wrong answer, or was too slow: the gateway is not to blame
    no_endpoints: bool = False  # stable has no ready pod, and all that is wrong is that nobody answers in its place
    strangers: bool = False  # somebody who belongs to neither side answered requests as callers send them


@dataclass(frozen=True, slots=True)
class RouteEdit:
    """Somebody else has written, or deleted, a part of the canary's route; it is not repaired yet."""

    what: str  # kind and name of the object
    manager: str = ""  # as managedFields names the writer; empty if no name was left, as after a deletion
    since: datetime | None = None  # from when on the route may not have been live, if that is known


@dataclass(frozen=True, slots=True)
class HostTrouble:
    """Callers do not reach the revisions that should answer them, as requests without a probe header showed."""

    reason: str
    message: str
    since: datetime | None = None  # when all of them were last answered as they should be, if that is known
    by_another: bool = False  # somebody else answers


@dataclass(frozen=True, slots=True)
class Signatures:
    """What stable and the canary take and answer; None for a model server that does not say."""

    stable: Signature | None
    canary: Signature | None


@dataclass(frozen=True, slots=True)
class Defaults:
    """The operator's settings that go into a new revision where the spec leaves them out.

    `code_image`: the image that can run code of a model, for `trust: Code`; that of the others if it is empty.
    """

    image: str
    code_image: str = ""
    from_store: bool = False

    def image_for(self, trust: Trust) -> str:
        """The image of the model server where the spec names none."""
        return (self.code_image if trust is Trust.CODE else "") or self.image


@dataclass(frozen=True, slots=True)
class Observation:
    """All that `decide` needs to know at one moment, and nothing that it could write with.

    A field that is None, empty or at its default was not read, because the phase does not need it. `Snapshot` (in
    `controller/observation/observe.py`) is this value together with the objects as they were read, which `apply` needs.
    """

    now: datetime
    namespace: str
    name: str
    generation: int
    spec: Spec
    status: Status
    defaults: Defaults
    resolution: Resolution
    desired: Revision | None = None  # that the spec asks for, if the URI resolves; `decide` fills it in
    workloads: Mapping[str, Workload] = field(default_factory=dict)  # by revision
    selected: str = ""  # revision that Service NAME selects now, whatever status says
    answered: bool = False  # by ready pods of that revision, even if their Deployment is gone
    adopted: bool = False  # the status was lost, and this one is made from what the cluster shows
    foreign: tuple[str, ...] = ()  # "kind name" of objects that have a name of ours and another owner
    host_taken: str = ""  # namespace/name of another ModelDeployment that has the host of the spec
    route_taken: str = ""  # likewise the host of the present route
    route_refusal: Refusal | None = None  # why the namespace may not have the route of the spec
    granted_at: datetime | None = None  # since when the host is its own, by an older operator that noted no route
    route_edits: tuple[RouteEdit, ...] = ()
    host_trouble: HostTrouble | None = None
    gateway_refusal: Refusal | None = None  # why a gateway does not take the route, as it says itself
    refused: str = ""  # why the API server refused the last writes, if it did
    unreadable: str = ""  # what the API server does not let the operator read, and why; nothing waits for it
    rival: str = ""  # the Lease of another operator that watches the namespace, too, and stands back
    weight: Proof | None = None  # that the gateway uses the desired weight
    swap: Proof | None = None  # that Service NAME and the gateway lead to the revision that should serve
    smoke: Proof | None = None  # that the canary answers the smoke request
    signatures: Signatures | None = None
    hold_outs: HoldOuts | None = None
    rate: float | None = None  # requests per second that stable answers
    # By name of a latency objective without a limit: stable's quantile, in seconds. None: Prometheus does not answer.
    latency_thresholds: Mapping[str, Number] | None = field(default_factory=dict)
    metrics_refusal: Refusal | None = None  # why the Prometheus that the run names may not be asked
    verdict: Verdict | None = None
    alias_version: str | None = None  # that the alias of the last promotion points to
    alias_trouble: str = ""  # why the registry has not moved it
    command: Asked | None = None  # the newest one, taken or not

    def command_line(self, command: str) -> str:
        """What a person types for a command about this object, such as `undo`, whatever namespace the shell is in."""
        return f"kubectl sluice {command} {self.name} -n {self.namespace}"

    def obstacle(self, revision: Revision | None) -> Refusal | None:
        """What keeps the pods of `revision` from running and says nothing about its model; None if one is ready."""
        pods = self.workload(revision)
        if pods.ready > 0 or pods.refusal is not None:
            return None
        return pods.obstacle or (Refusal("WriteRefused", self.refused) if self.refused else None)

    def workload(self, revision: Revision | None) -> Workload:
        """The pods of `revision`; one without pods if its Deployment does not exist."""
        return self.workloads.get(revision.revision, NO_DEPLOYMENT) if revision else NO_DEPLOYMENT
