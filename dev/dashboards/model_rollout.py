"""The rollout of one ModelDeployment: where it is, and the evidence; and the marks at which rollouts ended."""

from dev.dashboards.board import Mark, Part
from dev.dashboards.panels import About, Limits, Lines, Numbers, Query, Times

RUN = 'namespace="$namespace",name="$model_deployment"'
RECENT = "max by (namespace, name, canary) (last_over_time(sluice_run_info{{{of}}}[5m]))"
TOOK_OVER = RECENT.format(of=f'{RUN},phase=~"Swapping|Watching"')
TAKEN_BACK = RECENT.format(of=f'{RUN},phase="RollingBack"')
OVER = f"({RECENT.format(of=RUN)} unless on (namespace, name) sluice_run_info)"
# A run has no series while no operator works, so this asks for one that has worked for a minute.
IS_SEEN = "on () (sluice_leader == 1 and on (job, instance) time() - process_start_time_seconds > 60)"
WITHDRAWN = f"({OVER} unless on (namespace, name, canary) {TOOK_OVER}) and {IS_SEEN}"


def evidence(claim: str) -> list[Query]:
    """The evidence for a claim, and what it must reach."""
    of = f'{{{RUN},claim="{claim}"}}'
    return [
        Query(f"max by (objective) (sluice_run_evidence_log{of})", "{{objective}}"),
        Query(f"max by (objective) (sluice_run_evidence_threshold_log{of})", "{{objective}} decides", dashed=True),
    ]


ROLLOUT = Part(
    "The rollout",
    [
        Numbers(
            About(
                "Phase",
                "none",
                "The phase of the rollout that is under way, and its canary.",
                "a phase that lasts for long: `kubectl sluice status NAME -n NS` says what it waits for.",
                "conditions.md",
            ),
            [Query(f"max by (phase, canary) (sluice_run_info{{{RUN}}})", "{{phase}}: {{canary}}")],
            width=6,
            names=True,
            none="no rollout",
        ),
        Numbers(
            About(
                "Step",
                "none",
                "The present step, and how many there are.",
                "a step ends with a verdict, which needs requests.",
                "concepts.md",
            ),
            [
                Query(f"max(sluice_run_step{{{RUN}}})", "step"),
                Query(f"max(sluice_run_steps{{{RUN}}})", "of"),
            ],
            width=4,
            none="no rollout",
        ),
        Numbers(
            About(
                "Verdict",
                "none",
                "The newest verdict on the canary, with its reason.",
                "Fail rolls back by itself. MetricsUnavailable: Prometheus has no samples, and nothing is decided.",
                "runbooks.md#sluicerunwithoutmetrics",
            ),
            [Query(f"max by (result, reason) (sluice_run_verdict{{{RUN}}})", "{{result}}: {{reason}}")],
            width=6,
            names=True,
            none="no rollout",
        ),
        Numbers(
            About(
                "Under way for",
                "s",
                "How long ago the rollout began.",
                "the weight below shows where it holds.",
                "runbooks.md#sluicerolloutwaitsforaperson",
            ),
            [Query(f"time() - max(sluice_run_started_timestamp_seconds{{{RUN}}})", "")],
            width=4,
            none="no rollout",
        ),
        Numbers(
            About(
                "Waits for a person",
                "none",
                "Whether it is stalled or paused, with the reason.",
                "the page of conditions says for each reason what to do.",
                "runbooks.md#sluicestalled",
            ),
            [
                Query(f"max by (reason) (sluice_model_deployment_stalled{{{RUN}}})", "stalled: {{reason}}"),
                Query(f"max by (reason) (sluice_model_deployment_paused{{{RUN}}})", "paused: {{reason}}"),
            ],
            width=4,
            limits=Limits([("green", None), ("orange", 1)]),
            names=True,
            none="no",
        ),
        Lines(
            About(
                "Weight",
                "percentunit",
                "The share of requests for the canary: what was decided, and what was proven in the gateway.",
                "lines that stay apart: the gateway does not do what it is told, or cannot be probed.",
                "runbooks.md#sluicedependencyunreachable",
            ),
            [
                Query(f"max(sluice_run_weight_live_ratio{{{RUN}}})", "proven"),
                Query(f"max(sluice_run_weight_desired_ratio{{{RUN}}})", "decided", dashed=True),
            ],
            width=8,
            top=1,
        ),
        Lines(
            About(
                "Evidence against the canary",
                "none",
                "For each objective the logarithm of its e-value: how sure it is that the canary is worse. "
                "At the dashed line, the canary is rolled back.",
                "look at this objective for both versions below; `kubectl sluice abort` is faster than the verdict.",
                "objectives-and-verdicts.md",
            ),
            evidence("worse"),
            width=8,
        ),
        Lines(
            About(
                "Evidence for the canary",
                "none",
                "For each objective the logarithm of its e-value: how sure it is that the canary is not "
                "worse than allowed. "
                "At the dashed line, this objective has passed.",
                "a line that stays low needs more requests, or more labels; `kubectl sluice forecast` says how many.",
                "objectives-and-verdicts.md",
            ),
            evidence("not_worse"),
            width=8,
        ),
        Times(
            About(
                "Phases and verdicts",
                "none",
                "From when to when a rollout was in a phase, and had a verdict.",
                "`kubectl sluice history NAME -n NS` has the same with numbers, for the newest ten.",
                "concepts.md",
            ),
            [
                Query(f"max by (phase) (sluice_run_info{{{RUN}}})", "{{phase}}"),
                Query(f"max by (result) (sluice_run_verdict{{{RUN}}})", "verdict {{result}}"),
            ],
        ),
    ],
)
MARKS = [
    Mark("Takes over", "green", TOOK_OVER, "Revision {{canary}} serves all requests."),
    Mark("Rolled back or withdrawn", "red", f"{TAKEN_BACK} or ({WITHDRAWN})", "Revision {{canary}} gets no requests."),
]
