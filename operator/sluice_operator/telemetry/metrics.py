"""The metrics that count what the operator does. docs/metrics.md describes each; a test holds page and code equal.

They live as long as the process, like counters everywhere. Series about one object are in `object_series`, because they
vanish with it. No label has values from outside except a registered set, so the number of series is bounded.
"""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from sluice_operator.api.run import Outcome

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series, and nothing reads them
REGISTRY = CollectorRegistry()

DEPENDENCIES = ("gateway", "kubernetes", "mlflow", "prometheus", "store")
ERROR_KINDS = (
    *("timeout", "connection", "tls", "cancelled"),  # no answer
    *("refused", "conflict", "throttled", "invalid", "server_error", "unusable"),  # an answer
    "other",
)
LANES = ("at_rest", "rollouts")  # of the work queue
STAGES = ("read", "gateway", "evidence", "decide", "status", "apply", "record")
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_RECONCILE_SECONDS = (0.001, 0.0025, *_REQUEST_SECONDS, 60)
_STEP_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_RUN_SECONDS = (*_STEP_SECONDS[2:], 172800, 604800)

BUILD = Gauge("sluice_build_info", "The version of the operator. Always 1.", ("version",), registry=REGISTRY)
LEADER = Gauge("sluice_leader", "1 in the process that works, 0 in one that stands by.", registry=REGISTRY)

RUNS = Counter("sluice_runs", "Runs whose end was decided.", ("outcome", "reason"), registry=REGISTRY)
RUN_DURATION = Histogram(
    "sluice_run_duration_seconds",
    "From the start of a run until its end was decided.",
    ("outcome",),
    buckets=_RUN_SECONDS,
    registry=REGISTRY,
)
STEP_DURATION = Histogram(
    "sluice_step_duration_seconds",
    "How long a weight was live before the next one was written.",
    buckets=_STEP_SECONDS,
    registry=REGISTRY,
)

QUEUE_WAIT = Histogram(
    "sluice_queue_wait_seconds",
    "How long an object waited until a worker was free.",
    ("lane",),
    buckets=_REQUEST_SECONDS,
    registry=REGISTRY,
)
RECONCILE_DURATION = Histogram(
    "sluice_reconcile_duration_seconds",
    "One reconcile of one object.",
    buckets=_RECONCILE_SECONDS,
    registry=REGISTRY,
)
STAGE_DURATION = Histogram(
    "sluice_reconcile_stage_duration_seconds",
    "The time that one reconcile spent in a stage. A stage that it did not need is not counted.",
    ("stage",),
    buckets=_RECONCILE_SECONDS,
    registry=REGISTRY,
)
RECONCILE_FAILURES = Counter(
    "sluice_reconcile_failures", "Reconciles that ended with an unexpected error.", registry=REGISTRY
)

RECORDS_WAITING = Gauge(
    "sluice_run_records_waiting",
    "Objects whose run records are not known to be in the store yet.",
    registry=REGISTRY,
)

REQUEST_DURATION = Histogram(
    "sluice_request_duration_seconds",
    "Requests of the operator to what it depends on, answered or not.",
    ("dependency", "operation"),
    buckets=_REQUEST_SECONDS,
    registry=REGISTRY,
)
REQUEST_ERRORS = Counter(
    "sluice_request_errors",
    "Requests without an answer, or with one that is an error.",
    ("dependency", "kind"),
    registry=REGISTRY,
)

ProcessCollector(registry=REGISTRY)
BUILD.labels(version("sluice")).set(1)
for _outcome in Outcome:  # from 0 on, so that the first rollback is an increase
    RUN_DURATION.labels(_outcome)
for _dependency in DEPENDENCIES:
    for _kind in ERROR_KINDS:
        REQUEST_ERRORS.labels(_dependency, _kind)
