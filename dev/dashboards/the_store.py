"""The store, where there is one: a part of the dashboard of the operator."""

from dev.dashboards.board import Part
from dev.dashboards.panels import About, Lines, Query, within

FAILED = "`failed` is the store's own fault: look at its log, its volume and its database."

STORE = Part(
    "The store, where there is one",
    [
        Lines(
            About(
                "Requests to the store",
                "reqps",
                "From the operator and all model servers, by result.",
                FAILED,
                "store.md#metrics",
            ),
            [Query("sum by (result) (rate(sluice_store_requests_total[$__rate_interval]))", "{{result}}")],
            width=6,
        ),
        Lines(
            About(
                "How long its answers take",
                "s",
                "95 of 100 requests are answered faster, by collection.",
                FAILED,
                "store.md#metrics",
            ),
            [Query(within(0.95, "sluice_store_request_duration_seconds", "collection"), "{{collection}}")],
            width=6,
        ),
        Lines(
            About(
                "Labels",
                "ops",
                "Labels per second: counted, repeated, or too old.",
                "many `expired`: labels come later than SLUICE_STORE_LABEL_MAX_AGE allows.",
                "store.md#labels",
            ),
            [Query("sum by (result) (rate(sluice_store_labels_total[$__rate_interval]))", "{{result}}")],
            width=6,
        ),
        Lines(
            About(
                "What it keeps",
                "bytes",
                "Bytes of each namespace, and the limit of a namespace where there is one.",
                "remove models, keep fewer predictions, or raise the limit.",
                "store.md#fair-shares",
            ),
            [
                Query("max by (collection, namespace) (sluice_store_kept_bytes)", "{{collection}} of {{namespace}}"),
                Query("max by (collection) (sluice_store_kept_limit_bytes)", "limit of {{collection}}", dashed=True),
            ],
            width=6,
        ),
    ],
)
