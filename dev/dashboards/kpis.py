"""The success metrics: a row for each model, a column for each metric with its target, and trends over weeks."""

from dev.dashboards.board import Board, Part, Variable
from dev.dashboards.labels import per_label
from dev.dashboards.panels import About, Column, Limits, Lines, Numbers, Query, Rows, above, below

OF = '{namespace=~"$namespace"}'
MODEL = "{{namespace}}/{{model_deployment}}"
BY = "sum by (namespace, model_deployment)"
EVERY = "6h"  # between two points of a trend

LATENCY_MS = above(red=150, orange=100)
ACCURACY = below(red=0.90, orange=0.95)
AVAILABILITY = below(red=0.99, orange=0.999)
QUALITY = below(red=0.85, orange=0.95)
DRIFT = above(red=0.3, orange=0.1)
TRAINING = above(red=2 * 3600, orange=3600)
WON = below(red=0.5, orange=0.8)

P99 = (
    "1000 * histogram_quantile(0.99, "
    f"avg_over_time(model_deployment_le:ml_request_duration_seconds_bucket:rate5m{OF}[7d]))"
)
RIGHT = per_label("ml_feedback_correct_total", BY, OF, "7d")
ERROR = per_label("ml_feedback_absolute_error_total", BY, OF, "7d")
ANSWERED = (
    f'1 - {BY} (increase(ml_requests_total{{namespace=~"$namespace",code=~"5.."}}[7d])) '
    f"/ ({BY} (increase(ml_requests_total{OF}[7d])) > 0)"
)
KNOWN = (
    f'1 - {BY} (increase(ml_feature_bin_total{{namespace=~"$namespace",bin=~"missing|unseen"}}[7d])) '
    f"/ ({BY} (increase(ml_feature_bin_total{OF}[7d])) > 0)"
)
DRIFTED = (
    "max by (namespace, model_deployment) ("
    f"max by (namespace, model_deployment, model, version, revision) (ml_model_info{OF}) "
    "* on (namespace, model, version, revision) group_left () "
    f"max by (namespace, model, version, revision) (model_drift_score{OF}))"
)
TRAINED = f"max by (namespace, model_deployment) (ml_model_training_seconds{OF})"
WINNERS = (
    'sum(increase(sluice_run_duration_seconds_count{outcome="Promoted"}[7d])) '
    '/ (sum(increase(sluice_run_duration_seconds_count{outcome=~"Promoted|Rejected"}[7d])) > 0)'
)
TOOK = 'histogram_quantile(0.5, sum by (le) (increase(sluice_run_duration_seconds_bucket{outcome="Promoted"}[7d])))'

ABOUT_LATENCY = (
    "99 of 100 predictions of the 7 days before were faster. Target: 100 ms.",
    "more replicas or CPU, or a smaller model.",
    "runbooks.md#predictionlatencyhigh",
)
ABOUT_ACCURACY = (
    "The share of predictions of the 7 days before that were right, of those with a label. Target: 95 %.",
    "train with recent data; the rollout compares the new version with this one.",
    "runbooks.md#modelaccuracydrop",
)
ABOUT_AVAILABILITY = (
    "The share of requests of the 7 days before that did not end with a 5xx. Target: 99.9 %.",
    "look at the codes on the dashboard of the model.",
    "runbooks.md#errorbudgetburns",
)
ABOUT_QUALITY = (
    "The share of values of the 7 days before that were neither missing nor unknown to the training. "
    "Target: 95 %. For models with reference bins.",
    "look at who sends requests; or train with recent data.",
    "runbooks.md#datadriftdetected",
)
ABOUT_DRIFT = (
    "The population stability index of the last day of the feature that has drifted most. Target: 0.1. At "
    "0.3 is the alert.",
    "the dashboard of the model shows which bins have moved.",
    "runbooks.md#datadriftdetected",
)
ABOUT_WON = (
    "Of the rollouts of the 7 days before that were promoted or rejected: promoted. Target: 80 %.",
    "`kubectl sluice history NAME -n NS` says what the rejected ones failed by.",
    "runbooks.md#sluiceversionrejected",
)
ABOUT_TOOK = (
    "Half of the promotions of the 7 days before took less, from the start of the rollout to its end. The training is "
    "not in it; the table has its duration.",
    "more requests or fewer objectives decide faster: `kubectl sluice forecast`.",
    "objectives-and-verdicts.md",
)

TABLE = Part(
    "The last 7 days",
    [
        Rows(
            About(
                "Success metrics by model",
                "none",
                "Each metric with the colour of its target: green has reached it.",
                "the trends below show since when; the dashboard of the model shows why.",
                "metrics.md#dashboards",
            ),
            [P99, RIGHT, ANSWERED, KNOWN, DRIFTED, TRAINED, ERROR],
            {
                "namespace": Column("namespace"),
                "model_deployment": Column("model"),
                "Value #A": Column("latency p99, target 100 ms", "ms", LATENCY_MS),
                "Value #B": Column("accuracy, target 95 %", "percentunit", ACCURACY),
                "Value #C": Column("availability, target 99.9 %", "percentunit", AVAILABILITY),
                "Value #D": Column("data quality, target 95 %", "percentunit", QUALITY),
                "Value #E": Column("worst drift, target 0.1", "none", DRIFT),
                "Value #F": Column("training, target 1 h", "s", TRAINING),
                "Value #G": Column("mean error of numbers"),
            },
            width=18,
            none="no requests",
            to_model=True,
        ),
        Numbers(About("New versions that won", "percentunit", *ABOUT_WON), [Query(WINNERS, "")], width=3, limits=WON),
        Numbers(
            About("Time of a promotion", "s", *ABOUT_TOOK), [Query(TOOK, "")], width=3, limits=Limits([("text", None)])
        ),
    ],
)
TRENDS = Part(
    "Trends: each point is about the 7 days before it, of drift about the day",
    [
        Lines(About("Latency p99", "ms", *ABOUT_LATENCY), [Query(P99, MODEL)], 8, LATENCY_MS, every=EVERY),
        Lines(
            About("Accuracy", "percentunit", *ABOUT_ACCURACY), [Query(RIGHT, MODEL)], 8, ACCURACY, top=1, every=EVERY
        ),
        Lines(
            About("Availability", "percentunit", *ABOUT_AVAILABILITY),
            [Query(ANSWERED, MODEL)],
            8,
            AVAILABILITY,
            every=EVERY,
        ),
        Lines(
            About("Data quality", "percentunit", *ABOUT_QUALITY), [Query(KNOWN, MODEL)], 8, QUALITY, top=1, every=EVERY
        ),
        Lines(About("Worst drift", "none", *ABOUT_DRIFT), [Query(DRIFTED, MODEL)], 8, DRIFT, every=EVERY),
        Lines(
            About("New versions that won, over time", "percentunit", *ABOUT_WON),
            [Query(WINNERS, "promoted")],
            8,
            WON,
            top=1,
            every=EVERY,
        ),
    ],
)
BOARD = Board(
    "sluice-kpis",
    "Sluice: success metrics",
    "The success metrics of all models with their targets, and how they went over the weeks.",
    [TABLE, TRENDS],
    [Variable("namespace", "Namespace", "label_values(ml_requests_total, namespace)", several=True)],
    since="now-28d",
    refresh="15m",
)
