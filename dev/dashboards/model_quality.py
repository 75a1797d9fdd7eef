"""How right one ModelDeployment is: accuracy, labels, classes, and the drift of its inputs."""

from dev.dashboards import alert_rules
from dev.dashboards.board import Part
from dev.dashboards.labels import per_label
from dev.dashboards.panels import About, Column, Limits, Lines, Query, Rows, above, below

PODS = 'namespace="$namespace",model_deployment="$model_deployment"'
REFERENCE = "namespace, model, version, revision, feature, bin"
SERVED = f"and on (namespace, model, version, revision) ml_model_info{{{PODS}}}"

QUALITY = Part(
    "How right it is",
    [
        Lines(
            About(
                "Predictions that were right",
                "percentunit",
                "Of the predictions with a label in the last hour, by the revision that predicted. "
                "Dashed: what the training "
                "has measured. The line is where the alert begins.",
                "if it began with a promotion, `kubectl sluice undo`; else look at the drift beside it.",
                "runbooks.md#modelaccuracydrop",
            ),
            [
                Query(
                    per_label("ml_feedback_correct_total", "sum by (revision)", f"{{{PODS}}}", "1h"),
                    "{{revision}}",
                ),
                Query(f"max by (revision) (ml_model_accuracy{{{PODS}}})", "{{revision}} in training", dashed=True),
            ],
            width=8,
            top=1,
            limits=below(red=alert_rules.limit("ModelAccuracyDrop") / 100),
        ),
        Lines(
            About(
                "Mean error of numbers",
                "none",
                "How far predicted numbers were from their labels in the last hour, in their own unit, by the revision "
                "that predicted. Empty for classes, and without a tolerance.",
                "if it began with a promotion, `kubectl sluice undo`; else look at the drift beside it.",
                "server.md#labels-for-numbers",
            ),
            [
                Query(
                    per_label("ml_feedback_absolute_error_total", "sum by (revision)", f"{{{PODS}}}", "1h"),
                    "{{revision}}",
                )
            ],
            width=8,
        ),
        Lines(
            About(
                "Labels",
                "ops",
                "Labels per second that were counted, came again, or were refused by the store.",
                "without labels an accuracy objective stays Undecided. Refused ones are lost: the log of "
                "the pod says why.",
                "store.md#labels",
            ),
            [
                Query(f"sum(rate(ml_feedback_total{{{PODS}}}[$__rate_interval]))", "counted"),
                Query(f"sum(rate(ml_feedback_repeats_total{{{PODS}}}[$__rate_interval]))", "came again"),
                Query(f"sum(rate(ml_feedback_refused_total{{{PODS}}}[$__rate_interval]))", "refused"),
            ],
            width=8,
        ),
        Lines(
            About(
                "Labels that wait for the store",
                "none",
                "They are counted when the store answers again; a pod that ends loses its own. Always 0 "
                "without a store.",
                "bring the store back, and do not restart the pods until then.",
                "runbooks.md#labelsnotstored",
            ),
            [Query(f"sum(ml_feedback_pending{{{PODS}}})", "labels")],
            width=8,
            limits=Limits([("green", None), ("orange", 1)]),
        ),
        Lines(
            About(
                "Predictions by class",
                "ops",
                "Predicted rows per second, by class, of all versions.",
                "a class that appears or vanishes with a promotion: compare the versions. Without one: "
                "the inputs have changed.",
                "runbooks.md#predictiondriftdetected",
            ),
            [Query(f"sum by (class) (rate(ml_predictions_total{{{PODS}}}[$__rate_interval]))", "{{class}}")],
            width=8,
            stacked=True,
        ),
        Lines(
            About(
                "Drift of predictions",
                "none",
                "The population stability index of the classes of the last day, compared with the week before, of all "
                "versions. The line is where the alert begins. Nothing for fewer than 1,000 rows a day.",
                "if it began with a promotion, compare the versions; else look at the drift of the inputs below.",
                "runbooks.md#predictiondriftdetected",
            ),
            [Query(f"prediction_drift_score{{{PODS}}}", "score")],
            width=8,
            limits=above(red=alert_rules.limit("PredictionDriftDetected")),
        ),
        Lines(
            About(
                "Drift by feature",
                "none",
                "The population stability index of the last day, of the revision that is served. Below "
                "0.1 there is hardly any. "
                "The line is where the alert begins. Nothing for fewer than 1,000 rows a day.",
                "the table beside it shows which bins have moved: `missing` or `unseen` is mostly a "
                "client that has changed.",
                "runbooks.md#datadriftdetected",
            ),
            [
                Query(
                    f'max by (feature, revision) (model_drift_score{{namespace="$namespace"}} {SERVED})',
                    "{{feature}} ({{revision}})",
                )
            ],
            width=12,
            limits=above(red=alert_rules.limit("DataDriftDetected")),
        ),
        Rows(
            About(
                "Bins that have moved most",
                "percentunit",
                "The share of rows of the last day in a bin, minus the share of the training rows in it: "
                "the ten that differ most.",
                "mend the client that sends other values, or train with recent data.",
                "runbooks.md#datadriftdetected",
            ),
            [
                f'topk(10, abs(model:ml_feature_bin:ratio1d{{namespace="$namespace"}} - on ({REFERENCE}) '
                f"max by ({REFERENCE}) (ml_feature_reference_ratio{{{PODS}}})))"
            ],
            {
                "feature": Column("feature"),
                "bin": Column("bin"),
                "version": Column("version"),
                "revision": Column("revision"),
                "Value": Column("difference", "percentunit"),
                "namespace": Column(),
                "model": Column(),
            },
            width=12,
            none="no reference bins, or fewer than 1,000 rows a day",
        ),
    ],
)
