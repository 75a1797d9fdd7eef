"""The `spec` of a ModelDeployment as typed values. It is parsed once, where it is read.

The names are those of the YAML. The API server fills in the defaults of the CRD. Those here are for
specs that it has not seen.
"""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from sluice_operator.api.quantities import Duration, Number, Ratio, Share, decode
from sluice_operator.api.rollout_spec import Rollout
from sluice_operator.api.section import Section
from sluice_operator.api.traffic import Traffic


class Source(StrEnum):
    """Where labels, the true answers to predictions, come from."""

    FEEDBACK = "Feedback"  # callers send them during the run
    TRAINING = "Training"  # they are in the hold-out of the model's MLflow run


class WhenNoLabels(StrEnum):
    """What an accuracy objective does while the canary has no label at all."""

    WAIT = "Wait"
    SKIP = "Skip"


class UnreadableSpecError(ValueError):
    """The spec is not one that this operator knows: the CRD is of another version."""


class Trust(StrEnum):
    """Which kinds of model files may be loaded."""

    DATA = "Data"
    TRUSTED_TYPES = "TrustedTypes"
    CODE = "Code"


class Judge(StrEnum):
    """When a Pass of an objective is needed. A Fail ends the run at any time."""

    EVERY_STEP = "EveryStep"
    BEFORE_PROMOTION = "BeforePromotion"
    AFTER_PROMOTION = "AfterPromotion"


class OnFail(StrEnum):
    """What the Fail of an objective does. Hold: the rollout pauses, and a person decides."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"


class Registry(Section, frozen=True):
    """How the registry is reached: connections, which are not part of what a revision is. Secrets are named only."""

    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # empty: the operator's
    credentials_secret: str = ""
    artifact_secret: str = ""


class NameKind(StrEnum):
    """What in the registry names one version of a model, and another one later."""

    ALIAS = "Alias"
    STAGE = "Stage"


class OnPromote(Section, frozen=True):
    """What names a version that was promoted. At most one of the two is set."""

    set_alias: str = ""
    set_stage: str = ""

    @property
    def kind(self) -> NameKind:
        return NameKind.STAGE if self.set_stage else NameKind.ALIAS

    @property
    def name(self) -> str:
        """Of the alias or the stage; empty if nothing is to be moved."""
        return self.set_stage or self.set_alias


class ModelSpec(Section, frozen=True):
    uri: str
    poll_interval: Duration
    trust: Trust
    allow_signature_change: bool = False
    registry: Registry = Registry()
    on_promote: OnPromote = OnPromote()


class ServerSpec(Section, frozen=True):
    """The pods. What is typed as Any has the form that it has in a pod; `api.pod_template` puts it together."""

    replicas: int
    image: str = ""
    resources: dict[str, Any] = msgspec.field(default_factory=dict)
    env: tuple[dict[str, Any], ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    image_pull_secrets: tuple[dict[str, Any], ...] = ()
    service_account_name: str = ""
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] = msgspec.field(default_factory=dict)
    topology_spread_constraints: tuple[dict[str, Any], ...] = ()
    pod_labels: dict[str, str] = msgspec.field(default_factory=dict)
    pod_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    security_context: dict[str, Any] | None = None  # None: the user and group of the image
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    pod_template: dict[str, Any] = msgspec.field(default_factory=dict)
    pod_disruption_budget: bool = True  # for each revision with several pods


class ErrorRate(Section, frozen=True):
    """A limit, a comparison with stable, or both."""

    max: Share | None = None
    max_ratio: Ratio | None = None


class Refusals(Section, frozen=True):
    """A comparison with stable. There is no limit, because callers alone decide how many bad requests they send."""

    max_ratio: Ratio


class Latency(Section, frozen=True):
    """A limit for the share of slow requests, a comparison of that share with stable's, or both."""

    quantile: Share
    max: Duration | None = None
    max_ratio: Ratio | None = None


class LatencyAt(Latency, frozen=True, kw_only=True):
    """A latency objective without a limit, in a run: requests that take longer than `threshold` seconds are slow."""

    threshold: Number


class Accuracy(Section, frozen=True):
    """A limit, a comparison with stable, or both."""

    source: Source
    min: Share | None = None
    max_drop: Share | None = None


class Query(Section, frozen=True):
    """A PromQL query of the user. More than `failure_limit` measurements over the limit fail the run."""

    expr: str
    interval: Duration
    failure_limit: int
    min: Number | None = None
    max: Number | None = None


class Confidence(Section, frozen=True):
    """The error budget: which share of all runs may end wrongly, by kind of error."""

    false_rollback: Share = Share.parse("5%")
    bad_promotion: Share = Share.parse("5%")


class Objective(Section, frozen=True):
    """One thing that is judged. Exactly one of the five kinds is set; the CRD makes sure of that."""

    name: str
    error_rate: ErrorRate | None = None
    refusals: Refusals | None = None
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    query: Query | None = None
    dry_run: bool = False  # it is shown and decides nothing
    on_fail: OnFail = OnFail.ROLLBACK
    judge: Judge | None = None
    when_no_labels: WhenNoLabels = WhenNoLabels.WAIT

    @property
    def by_default(self) -> bool:
        """Whether it is judged although no spec asks for it."""
        return False

    def does(self, on_fail: OnFail) -> bool:
        """Whether a failure of it does this."""
        return self.on_fail is on_fail and not self.dry_run

    def with_threshold(self, seconds: Number) -> "Objective":
        """This latency objective as a run judges it: requests that take longer than `seconds` are slow."""
        assert self.latency is not None
        return replace(self, latency=LatencyAt(self.latency.quantile, None, self.latency.max_ratio, threshold=seconds))

    @property
    def decided_by_hold_out(self) -> bool:
        """Whether the model's hold-out decides it, before the canary gets any traffic."""
        return self.accuracy is not None and self.accuracy.source is Source.TRAINING

    @property
    def needed(self) -> Judge:
        """When a Pass is needed. Without `judge`: labels come late, so accuracy is needed only before the promotion."""
        return self.judge or (Judge.BEFORE_PROMOTION if self.accuracy else Judge.EVERY_STEP)


class DefaultObjective(Objective, frozen=True):
    """One that each run has, beside those of its spec."""

    @property
    def by_default(self) -> bool:
        return True


class Prometheus(Section, frozen=True):
    """The Prometheus server that an object names, and the Secret in its namespace with the credentials."""

    url: str
    credentials_secret: str = ""  # name; empty for no credentials


class Spec(Section, frozen=True):
    model: ModelSpec
    server: ServerSpec
    traffic: Traffic
    rollout: Rollout
    objectives: tuple[Objective, ...] = ()
    confidence: Confidence = Confidence()
    prometheus: Prometheus | None = None  # None: the operator's
    suspend: bool = False  # no run starts, and the one under way pauses


def parse(raw: Any) -> Spec:
    """Parse `raw`, the `spec` mapping as the API server returns it. Raises UnreadableSpecError that names the field."""
    try:
        return msgspec.convert(raw, Spec, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise UnreadableSpecError(str(error)) from error
