"""Series about objects: how many are in which phase, which are stalled or paused, and where each run under way is.

An object at rest costs one number in a count and no series of its own, so thousands of them cost nothing. Series are
made when Prometheus asks, from what was last seen; those of an object that is gone are not made any more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sluice_operator.api.owner import Key, Owner
from sluice_operator.api.run import AT_REST, Phase, Run
from sluice_operator.api.status import Status, Verdict, Weight
from sluice_operator.telemetry import outcomes

_OBJECT = ("namespace", "name")
_OBJECTIVE = (*_OBJECT, "objective", "claim")
FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sluice_model_deployments": ("ModelDeployments in each phase.", ("phase",)),
    "sluice_model_deployment_stalled": ("ModelDeployments that wait for a person. Always 1.", (*_OBJECT, "reason")),
    "sluice_model_deployment_paused": (
        "ModelDeployments that a person, a step, an objective or spec.suspend holds. Always 1.",
        (*_OBJECT, "reason"),
    ),
    "sluice_run_info": ("Runs under way. Always 1.", (*_OBJECT, "phase", "canary", "stable")),
    "sluice_run_started_timestamp_seconds": ("When the run started.", _OBJECT),
    "sluice_run_step": ("The present step of the run, from 1.", _OBJECT),
    "sluice_run_steps": ("How many steps the run has.", _OBJECT),
    "sluice_run_weight_desired_ratio": ("The share of requests that was decided for the canary.", _OBJECT),
    "sluice_run_weight_live_ratio": ("The share of requests that was last proven in the gateway.", _OBJECT),
    "sluice_run_verdict": ("The newest verdict on the run. Always 1.", (*_OBJECT, "result", "reason")),
    "sluice_run_evidence_log": ("The logarithm of the e-value of a claim about the canary.", _OBJECTIVE),
    "sluice_run_evidence_threshold_log": ("What that logarithm must reach to decide.", _OBJECTIVE),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """How far the evidence for one claim about the canary has come, as logarithms. `claim`: worse or not_worse."""

    objective: str
    claim: str
    log_evalue: float
    threshold: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is shown of one object. `run`, `weight` and `verdict` are kept only while a run is under way."""

    phase: Phase
    stalled: str  # reason; empty if it is not
    paused: str  # the same
    run: Run | None = None
    weight: Weight | None = None
    verdict: Verdict | None = None


class Rollouts(Collector):
    """What was last seen of each object, as metrics."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}
        self._evidence: dict[Key, tuple[Evidence, ...]] = {}

    def saw(self, owner: Owner, before: Status, after: Status, now: datetime) -> None:
        """The status of an object has become `after`. What has ended since `before` is counted."""
        outcomes.count(before, after)
        key = owner.namespace, owner.name
        shown = self._seen.get(key)
        if shown is None or shown.run is None or after.run is None or shown.run.id != after.run.id:
            self._evidence.pop(key, None)  # of another run
        stalled, paused = _reason(after, "Stalled"), _reason(after, "Paused")
        if after.phase in AT_REST or after.run is None:
            self._seen[key] = _Seen(after.phase, stalled, paused)
        else:
            self._seen[key] = _Seen(after.phase, stalled, paused, after.run, after.weight, after.verdict)

    def weighed(self, namespace: str, name: str, evidence: Iterable[Evidence]) -> None:
        """The newest evaluation of the object's run has this evidence."""
        self._evidence[namespace, name] = tuple(evidence)

    def forget(self, namespace: str, name: str) -> None:
        """The object is gone."""
        self._seen.pop((namespace, name), None)
        self._evidence.pop((namespace, name), None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in FAMILIES.items()}
        phases = Counter(seen.phase for seen in self._seen.values())
        for phase in Phase:
            families["sluice_model_deployments"].add_metric((phase,), phases[phase])
        for key, seen in self._seen.items():
            if seen.stalled:
                families["sluice_model_deployment_stalled"].add_metric((*key, seen.stalled), 1)
            if seen.paused:
                families["sluice_model_deployment_paused"].add_metric((*key, seen.paused), 1)
            if seen.run is not None:
                _add_run(families, key, seen, seen.run)
                _add_evidence(families, key, self._evidence.get(key, ()))
        yield from families.values()


def _reason(status: Status, kind: str) -> str:
    """Why the condition of this type is True; empty if it is not."""
    true = (entry.reason for entry in status.conditions if entry.type == kind and entry.status == "True")
    return next(true, "")


def _add_run(families: Mapping[str, GaugeMetricFamily], key: Key, seen: _Seen, run: Run) -> None:
    stable = run.stable.revision if run.stable else ""
    families["sluice_run_info"].add_metric((*key, seen.phase, run.canary.revision, stable), 1)
    families["sluice_run_started_timestamp_seconds"].add_metric(key, run.started_at.timestamp())
    if run.steps:
        families["sluice_run_step"].add_metric(key, run.step + 1)
        families["sluice_run_steps"].add_metric(key, len(run.steps))
    if seen.weight is not None:
        families["sluice_run_weight_desired_ratio"].add_metric(key, seen.weight.desired / 100)
        families["sluice_run_weight_live_ratio"].add_metric(key, seen.weight.live / 100)
    if seen.verdict is not None:
        families["sluice_run_verdict"].add_metric((*key, seen.verdict.result, seen.verdict.reason), 1)


def _add_evidence(families: Mapping[str, GaugeMetricFamily], key: Key, evidence: Iterable[Evidence]) -> None:
    for entry in evidence:
        labels = (*key, entry.objective, entry.claim)
        if isfinite(entry.log_evalue):  # else nothing was counted yet
            families["sluice_run_evidence_log"].add_metric(labels, entry.log_evalue)
        families["sluice_run_evidence_threshold_log"].add_metric(labels, entry.threshold)
