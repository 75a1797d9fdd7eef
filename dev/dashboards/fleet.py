"""All ModelDeployments: what is rolled out now, what waits for a person, and how the models answer."""

from dev.dashboards import alert_rules
from dev.dashboards.board import Board, Mark, Part, Variable
from dev.dashboards.panels import About, Column, Limits, Lines, Numbers, Query, Rows, above, below

OF = '{namespace=~"$namespace"}'
MODEL = "{{namespace}}/{{model_deployment}}"
FIRING = f'ALERTS{{alertstate="firing",alertname=~"{"|".join(alert_rules.names())}"}}'
ENDED = 'sum(increase(sluice_run_duration_seconds_count{{outcome="{outcome}"}}[5m])) > 0'
WAITING = (
    'label_replace(max by (namespace, name, reason) (sluice_model_deployment_{series}{{namespace=~"$namespace"}}), '
    '"condition", "{condition}", "", "")'
)
VERDICTS = {"Pass": "green", "Fail": "red", "Undecided": "blue"}
SEVERITIES = {"critical": "red", "warning": "orange", "info": "blue"}

NOW = Part(
    "Now",
    [
        Numbers(
            About(
                "Models by phase",
                "none",
                "How many ModelDeployments are in each phase, in all namespaces. Stable: no rollout is under way.",
                "a phase that never empties has rollouts that do not go on; the tables below name them.",
                "conditions.md",
            ),
            [Query("sum by (phase) (sluice_model_deployments) > 0", "{{phase}}")],
            width=9,
        ),
        Numbers(
            About(
                "Rollouts under way",
                "none",
                "How many versions are being tried now.",
                "nothing is bad about this number; zero means that everything is at rest.",
                "concepts.md",
            ),
            [Query(f"count(sluice_run_info{OF}) or vector(0)", "")],
            width=5,
        ),
        Numbers(
            About(
                "Waiting for a person",
                "none",
                "Objects that are stalled, or paused by a command, a step, an objective or spec.suspend.",
                "the table below says which ones, and why.",
                "runbooks.md#sluicestalled",
            ),
            [
                Query(
                    f"count(sluice_model_deployment_stalled{OF} or sluice_model_deployment_paused{OF}) or vector(0)",
                    "",
                )
            ],
            width=5,
            limits=Limits([("green", None), ("orange", 1)]),
        ),
        Numbers(
            About(
                "Alerts firing",
                "none",
                "How many alerts of manifests/alerts fire now, in all namespaces.",
                "the table below names them; each has its runbook.",
                "runbooks.md",
            ),
            [Query(f"count({FIRING}) or vector(0)", "")],
            width=5,
            limits=above(red=1),
        ),
        Rows(
            About(
                "Alerts that fire",
                "none",
                "Each alert that fires now, with what it is about.",
                "its runbook has the name of the alert as a heading.",
                "runbooks.md",
            ),
            [
                "max by (alertname, severity, namespace, name, model_deployment, model, feature, dependency, reason)"
                f" ({FIRING})"
            ],
            {
                "severity": Column("severity", colours=SEVERITIES),
                "alertname": Column("alert"),
                "namespace": Column("namespace"),
                "name": Column("object"),
                "model_deployment": Column("model"),
                "model": Column("registered model"),
                "feature": Column("feature"),
                "dependency": Column("dependency"),
                "reason": Column("reason"),
                "Value": Column(),
            },
            width=12,
            none="no alert fires",
        ),
        Rows(
            About(
                "What waits for a person",
                "none",
                "Objects that are stalled or paused, with the reason.",
                "the page of conditions says for each reason what to do; pauses end with `kubectl sluice resume`, "
                "`promote` or `abort`.",
                "runbooks.md#sluicestalled",
            ),
            [" or ".join(WAITING.format(condition=name, series=name.lower()) for name in ("Stalled", "Paused"))],
            {
                "condition": Column("condition", colours={"Stalled": "orange", "Paused": "blue"}),
                "namespace": Column("namespace"),
                "name": Column("name"),
                "reason": Column("reason"),
                "Value": Column(),
            },
            width=12,
            none="nothing waits",
            to_model=True,
        ),
    ],
)

ROLLOUTS = Part(
    "Rollouts",
    [
        Rows(
            About(
                "Rollouts under way, one by one",
                "none",
                "Phase, step, weight and verdict of each run. The weight is the share of requests for the canary: "
                "decided, and proven in the gateway.",
                "weights that stay apart are not proven; a verdict that stays Undecided needs requests or labels. "
                "`kubectl sluice status NAME -n NS` says what it waits for.",
                "runbooks.md#sluicerunwithoutmetrics",
            ),
            [
                f"max by (namespace, name, phase, canary, stable) (sluice_run_info{OF})",
                f"max by (namespace, name) (sluice_run_step{OF})",
                f"max by (namespace, name) (sluice_run_steps{OF})",
                f"max by (namespace, name) (sluice_run_weight_desired_ratio{OF})",
                f"max by (namespace, name) (sluice_run_weight_live_ratio{OF})",
                f"max by (namespace, name, result, reason) (sluice_run_verdict{OF})",
                f"time() - max by (namespace, name) (sluice_run_started_timestamp_seconds{OF})",
            ],
            {
                "namespace": Column("namespace"),
                "name": Column("name"),
                "phase": Column("phase"),
                "Value #B": Column("step"),
                "Value #C": Column("of"),
                "Value #D": Column("weight decided", "percentunit"),
                "Value #E": Column("weight proven", "percentunit"),
                "result": Column("verdict", colours=VERDICTS),
                "reason": Column("reason"),
                "Value #G": Column("for", unit="s"),
                "canary": Column("canary"),
                "stable": Column("stable"),
                "Value #A": Column(),
                "Value #F": Column(),
            },
            none="no rollout is under way",
            to_model=True,
        ),
        Lines(
            About(
                "Share of requests for canaries",
                "percentunit",
                "The weight of each rollout that was last proven in the gateway.",
                "a line that stays level for long is a rollout that holds.",
                "runbooks.md#sluicerolloutwaitsforaperson",
            ),
            [Query(f"max by (namespace, name) (sluice_run_weight_live_ratio{OF})", "{{namespace}}/{{name}}")],
            top=1,
            width=8,
        ),
        Lines(
            About(
                "Rollouts that ended, by outcome",
                "none",
                "How many ended in the hour before each point, in all namespaces.",
                "many Rejected: look at what is registered. Many Abandoned: rollouts get too few requests, or no room.",
                "runbooks.md#sluiceversionrejected",
            ),
            [Query("sum by (outcome) (increase(sluice_run_duration_seconds_count[1h]))", "{{outcome}}")],
            width=8,
        ),
        Rows(
            About(
                "Why rollouts ended",
                "none",
                "Rollouts that ended since the operator started, by outcome and reason, in all namespaces.",
                "`kubectl sluice history NAME -n NS` has the numbers behind a reason.",
                "objectives-and-verdicts.md",
            ),
            ["sum by (outcome, reason) (sluice_runs_total)"],
            {"outcome": Column("outcome"), "reason": Column("reason"), "Value": Column("rollouts")},
            width=8,
            none="none has ended",
        ),
    ],
)

MODELS = Part(
    "Models",
    [
        Lines(
            About(
                "Requests",
                "reqps",
                "Predictions that were asked for, per second.",
                "a line that ends: nobody asks, or Prometheus does not see the pods any more.",
                "prometheus.md#when-metrics-are-wrong",
            ),
            [Query(f"model_deployment:ml_requests:rate5m{OF}", MODEL)],
            to_model=True,
        ),
        Lines(
            About(
                "Requests that ended with an error",
                "percentunit",
                "The share of requests that ended with a 5xx, over 5 minutes. At the lines, alerts begin.",
                "a canary with errors is rolled back by itself; otherwise `kubectl sluice undo`, or more replicas.",
                "runbooks.md#errorbudgetburns",
            ),
            [Query(f"model_deployment:ml_request_errors:ratio_rate5m{OF}", MODEL)],
            to_model=True,
            limits=above(
                red=alert_rules.limit("ErrorBudgetBurnsFast"), orange=alert_rules.limit("ErrorBudgetBurnsSlowly")
            ),
        ),
        Lines(
            About(
                "Latency: 99 of 100 predictions are faster",
                "ms",
                "The 99th percentile of the latency, over 5 minutes. The line is where the alert begins.",
                "abort the rollout if the canary is the slow one; else more replicas or CPU.",
                "runbooks.md#predictionlatencyhigh",
            ),
            [Query('prediction_latency_ms{namespace=~"$namespace",quantile="0.99"}', MODEL)],
            to_model=True,
            limits=above(red=alert_rules.limit("PredictionLatencyHigh")),
        ),
        Lines(
            About(
                "Predictions that were right",
                "percent",
                "Of the predictions with a label in the last hour, by 100 labels or more.",
                "if it began with a promotion, `kubectl sluice undo`; else look at the drift of the model.",
                "runbooks.md#modelaccuracydrop",
            ),
            [Query(f"prediction_accuracy_percent{OF}", MODEL)],
            to_model=True,
            limits=below(red=alert_rules.limit("ModelAccuracyDrop")),
            top=100,
        ),
    ],
)

BOARD = Board(
    "sluice-fleet",
    "Sluice: all models",
    "Every ModelDeployment: rollouts under way, what waits for a person, and how the models answer.",
    [NOW, ROLLOUTS, MODELS],
    [Variable("namespace", "Namespace", "label_values(ml_requests_total, namespace)", several=True)],
    [
        Mark("Promoted", "green", ENDED.format(outcome="Promoted"), "A version was promoted."),
        Mark("Rejected", "red", ENDED.format(outcome="Rejected"), "See docs/runbooks.md#sluiceversionrejected."),
    ],
)
