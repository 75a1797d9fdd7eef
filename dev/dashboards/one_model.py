"""One ModelDeployment: its rollout with the evidence, its requests, how right it is, and what has been served when."""

from dev.dashboards import alert_rules
from dev.dashboards.board import Board, Part, Variable
from dev.dashboards.model_quality import PODS, QUALITY
from dev.dashboards.model_rollout import MARKS, ROLLOUT
from dev.dashboards.panels import About, Column, Lines, Query, Rows, above

VERSION = "version {{version}} ({{revision}})"


def share(good: str, all_of: str) -> str:
    """The query for a share by version of the last `$__rate_interval`."""
    by = "sum by (version, revision)"
    return f"{by} (rate({good}[$__rate_interval])) / ({by} (rate({all_of}[$__rate_interval])) > 0)"


REQUESTS = Part(
    "Requests",
    [
        Lines(
            About(
                "Requests by version",
                "reqps",
                "Predictions that were answered per second, by version and revision.",
                "a version that gets nothing although it has a weight: look at the gateway, then at its pods.",
                "prometheus.md#when-metrics-are-wrong",
            ),
            [Query(f"sum by (version, revision) (rate(ml_requests_total{{{PODS}}}[$__rate_interval]))", VERSION)],
            stacked=True,
        ),
        Lines(
            About(
                "Errors by version",
                "percentunit",
                "The share of requests that ended with a 5xx. The lines are where the two alerts begin.",
                "a canary with errors is rolled back by itself; a promoted version needs `kubectl sluice undo`.",
                "runbooks.md#errorbudgetburns",
            ),
            [Query(share(f'ml_requests_total{{{PODS},code=~"5.."}}', f"ml_requests_total{{{PODS}}}"), VERSION)],
            limits=above(
                red=alert_rules.limit("ErrorBudgetBurnsFast"), orange=alert_rules.limit("ErrorBudgetBurnsSlowly")
            ),
        ),
        Lines(
            About(
                "Answers other than 200",
                "reqps",
                "By code: 4xx is what callers sent, 499 who went away, 500 the model, 503 a full queue or "
                "a model that is not ready.",
                "500: the log of the pod has the exception. 503: more replicas.",
                "server.md#predict",
            ),
            [
                Query(
                    f'sum by (code) (rate(ml_requests_total{{{PODS},code!="200"}}[$__rate_interval])) > 0', "{{code}}"
                ),
                Query(f"sum(rate(ml_requests_limited_total{{{PODS}}}[$__rate_interval])) > 0", "429, over the limit"),
            ],
            width=8,
        ),
        Lines(
            About(
                "Latency",
                "ms",
                "Half of the predictions are faster, 95 of 100, and 99 of 100; over 5 minutes. The line "
                "is where the alert begins.",
                "abort the rollout if the canary is the slow one; else more replicas or CPU.",
                "runbooks.md#predictionlatencyhigh",
            ),
            [Query(f"max by (quantile) (prediction_latency_ms{{{PODS}}})", "{{quantile}}")],
            width=8,
            limits=above(red=alert_rules.limit("PredictionLatencyHigh")),
        ),
        Lines(
            About(
                "Latency by version",
                "s",
                "99 of 100 predictions of a version are faster.",
                "a canary above stable: its verdict on latency follows; `kubectl sluice abort` is faster.",
                "runbooks.md#predictionlatencyhigh",
            ),
            [
                Query(
                    "histogram_quantile(0.99, sum by (version, revision, le) "
                    f"(rate(ml_request_duration_seconds_bucket{{{PODS}}}[$__rate_interval])))",
                    VERSION,
                )
            ],
            width=8,
        ),
    ],
)
VERSIONS = Part(
    "Versions and pods",
    [
        Lines(
            About(
                "Pods by version",
                "none",
                "How many pods answer for each version.",
                "a version with fewer pods than `server.replicas`: `kubectl get pods -l "
                "sluice.dev/model-deployment=NAME`.",
                "conditions.md",
            ),
            [Query(f"count by (version, revision) (ml_model_info{{{PODS}}})", VERSION)],
            width=8,
            stacked=True,
        ),
        Rows(
            About(
                "What is served",
                "none",
                "Each version that has pods, where it comes from, and how many pods it has.",
                "the run leads to the training in MLflow.",
                "server.md#metadata",
            ),
            [f"count by (version, revision, uri, run_id, flavor, runtime) (ml_model_info{{{PODS}}})"],
            {
                "version": Column("version"),
                "revision": Column("revision"),
                "uri": Column("model"),
                "run_id": Column("run of the training"),
                "flavor": Column("flavor"),
                "runtime": Column("runtime"),
                "Value": Column("pods"),
            },
            width=16,
            none="no pods",
        ),
        Lines(
            About(
                "CPU in use",
                "none",
                "Cores that each pod uses.",
                "at the limit of its container, requests wait: more CPU or more replicas.",
                "runbooks.md#predictionlatencyhigh",
            ),
            [Query(f"rate(process_cpu_seconds_total{{{PODS}}}[$__rate_interval])", "{{pod}}")],
            width=8,
        ),
        Lines(
            About(
                "Memory in use",
                "bytes",
                "Resident memory of each pod.",
                "a pod near its limit is killed: raise `server.resources`.",
                "conditions.md",
            ),
            [Query(f"process_resident_memory_bytes{{{PODS}}}", "{{pod}}")],
            width=8,
        ),
        Lines(
            About(
                "Rows kept for retraining",
                "ops",
                "Rows per second that were sent to the store, or dropped.",
                "dropped: the store is down, or does not take them.",
                "store.md#predictions-for-retraining",
            ),
            [Query(f"sum by (result) (rate(ml_kept_rows_total{{{PODS}}}[$__rate_interval]))", "{{result}}")],
            width=8,
        ),
    ],
)
BOARD = Board(
    "sluice-model",
    "Sluice: one model",
    "One ModelDeployment: its rollout with the evidence, its requests, how right it is, and what has been served when.",
    [ROLLOUT, REQUESTS, QUALITY, VERSIONS],
    [
        Variable("namespace", "Namespace", "label_values(ml_requests_total, namespace)"),
        Variable(
            "model_deployment",
            "ModelDeployment",
            'label_values(ml_requests_total{namespace="$namespace"}, model_deployment)',
        ),
    ],
    MARKS,
)
