"""The operator at work: does one process lead, does it keep up, and do those that it asks answer?"""

from dev.dashboards import alert_rules, the_store
from dev.dashboards.board import Board, Part
from dev.dashboards.panels import About, Limits, Lines, Numbers, Query, above, below, within

BEHIND, DEPENDENCY = "runbooks.md#sluiceoperatorbehind", "runbooks.md#sluicedependencyunreachable"
NOBODY, SEVERAL = "runbooks.md#sluicenobodyworks", "install.md#several-operators-in-one-cluster"
SLOW = (
    "the slow stage points at what it asks: evidence at Prometheus, gateway at the gateway, others at the API server."
)
LOOK = "the table of the runbook says what does not go on, and where to look."
MORE = "near the limit of its container, raise the limit; for a very large fleet, use several operators."
OURS = "and on (job, instance) sluice_build_info"  # series of the operator's own process
FAILED = "timeout|connection|tls|refused|server_error|unusable"  # as the alert has it
UNANSWERED = f'sum by (dependency) (rate(sluice_request_errors_total{{kind=~"{FAILED}"}}[$__rate_interval]))'
ASKED = "sum by (dependency) (rate(sluice_request_duration_seconds_count[$__rate_interval]))"


NOW = Part(
    "Now",
    [
        Numbers(
            About(
                "Processes that work",
                "none",
                "How many processes hold the Lease: one for each operator, and the others stand by.",
                "with zero, nothing is rolled out and nothing is rolled back; look at the pods.",
                NOBODY,
            ),
            [Query("sum(sluice_leader) or vector(0)", "")],
            width=6,
            limits=below(red=1),
        ),
        Numbers(
            About(
                "Version",
                "none",
                "The versions that run, and how many processes of each.",
                "two versions for longer than an upgrade takes: a pod does not become ready.",
                "install.md",
            ),
            [Query("count by (version) (sluice_build_info)", "{{version}}")],
            width=6,
        ),
        Numbers(
            About(
                "ModelDeployments",
                "none",
                "How many objects the operator looks after.",
                "zero although there are objects: no process works, or it watches other namespaces.",
                "settings.md",
            ),
            [Query("sum(sluice_model_deployments)", "")],
            width=6,
        ),
        Numbers(
            About(
                "Unexpected errors in 15 minutes",
                "none",
                "Reconciles that ended with an error that nobody expected.",
                "the log of the operator has the traceback and the object.",
                "runbooks.md#sluicereconcilefails",
            ),
            [Query("sum(increase(sluice_reconcile_failures_total[15m]))", "")],
            width=6,
            limits=above(red=alert_rules.limit("SluiceReconcileFails")),
        ),
    ],
)

QUEUE = Part(
    "Does it keep up?",
    [
        Lines(
            About(
                "Who leads",
                "none",
                "1 for the process that works, 0 for one that stands by.",
                "a line that goes up and down: the process restarts, or loses its Lease.",
                NOBODY,
            ),
            [Query("max by (pod) (sluice_leader)", "{{pod}}")],
            width=8,
            top=1,
        ),
        Lines(
            About(
                "Objects that wait",
                "none",
                "How many objects wait for a worker: rollouts, and objects at rest.",
                "a queue that does not empty: the operator needs more CPU, or a stage below is slow.",
                BEHIND,
            ),
            [Query("max by (lane) (sluice_queue_depth)", "{{lane}}")],
            width=8,
        ),
        Lines(
            About(
                "How long the first of them has waited",
                "s",
                "The age of the object that waits longest. The line is where the alert begins, for rollouts.",
                "rollouts that wait keep a bad canary for longer: more CPU, or look at the stages below.",
                BEHIND,
            ),
            [Query("max by (lane) (sluice_queue_oldest_age_seconds)", "{{lane}}")],
            width=8,
            limits=above(red=alert_rules.limit("SluiceOperatorBehind")),
        ),
    ],
)

RECONCILES = Part(
    "Reconciles",
    [
        Lines(
            About("Reconciles", "ops", "How many there are per second.", "none at all: no process works.", NOBODY),
            [Query("sum(rate(sluice_reconcile_duration_seconds_count[$__rate_interval]))", "reconciles")],
            width=6,
        ),
        Lines(
            About(
                "How long a reconcile takes",
                "s",
                "One reconcile of one object: half of them are faster, and 99 of 100.",
                SLOW,
                BEHIND,
            ),
            [
                Query(within(q, "sluice_reconcile_duration_seconds"), name)
                for q, name in ((0.5, "half"), (0.99, "99 of 100"))
            ],
            width=6,
        ),
        Lines(
            About(
                "How long each stage takes",
                "s",
                "95 of 100 are faster. A stage that was not needed is not counted.",
                SLOW,
                BEHIND,
            ),
            [Query(within(0.95, "sluice_reconcile_stage_duration_seconds", "stage"), "{{stage}}")],
            width=6,
        ),
        Lines(
            About(
                "How long objects wait for a worker",
                "s",
                "95 of 100 wait for less.",
                "more CPU; for a very large fleet, several operators.",
                BEHIND,
            ),
            [Query(within(0.95, "sluice_queue_wait_seconds", "lane"), "{{lane}}")],
            width=6,
        ),
    ],
)

DEPENDENCIES = Part(
    "What it asks",
    [
        Lines(
            About("Requests", "reqps", "Requests of the operator, by what was asked.", LOOK, DEPENDENCY),
            [Query(ASKED, "{{dependency}}")],
            width=6,
        ),
        Lines(
            About(
                "Requests that failed",
                "percentunit",
                "The share without an answer, or with an error. The line is where the alert begins.",
                LOOK,
                DEPENDENCY,
            ),
            [Query(f"{UNANSWERED} / ({ASKED} > 0)", "{{dependency}}")],
            width=6,
            top=1,
            limits=above(red=alert_rules.limit("SluiceDependencyUnreachable")),
        ),
        Lines(
            About(
                "How requests failed",
                "reqps",
                "Errors per second, by kind. `conflict` is harmless: somebody else was faster.",
                "the kind tells the cause: `refused` is credentials, `tls` certificates, `timeout` and "
                "`connection` the network.",
                DEPENDENCY,
            ),
            [
                Query(
                    "sum by (dependency, kind) (rate(sluice_request_errors_total[$__rate_interval])) > 0",
                    "{{dependency}}: {{kind}}",
                )
            ],
            width=6,
        ),
        Lines(
            About(
                "How long answers take",
                "s",
                "95 of 100 requests are answered faster, by what was asked.",
                "a slow answer holds up one stage of a reconcile, and no rollback by hand.",
                DEPENDENCY,
            ),
            [Query(within(0.95, "sluice_request_duration_seconds", "dependency"), "{{dependency}}")],
            width=6,
        ),
    ],
)

PROCESS = Part(
    "The process",
    [
        Lines(
            About("CPU in use", "none", "Cores that each process uses.", MORE, SEVERAL),
            [Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {OURS}", "{{pod}}")],
            width=6,
        ),
        Lines(
            About("Memory in use", "bytes", "Resident memory of each process.", MORE, SEVERAL),
            [Query(f"process_resident_memory_bytes {OURS}", "{{pod}}")],
            width=6,
        ),
        Lines(
            About(
                "Runs since",
                "s",
                "How long each process has run.",
                "a saw tooth is a process that restarts: `kubectl describe` and its log say why.",
                NOBODY,
            ),
            [Query(f"time() - process_start_time_seconds {OURS}", "{{pod}}")],
            width=6,
        ),
        Lines(
            About(
                "Run records that wait for the store",
                "none",
                "Objects whose run records are not known to be in the store yet. Always 0 without a store.",
                "no decision waits for them; bring the store back within ten runs of an object.",
                "runbooks.md#sluicerecordsnotstored",
            ),
            [Query("max(sluice_run_records_waiting)", "objects")],
            width=6,
            limits=Limits([("green", None), ("orange", 1)]),
        ),
    ],
)

BOARD = Board(
    "sluice-operator",
    "Sluice: the operator",
    "The processes of the operator, what they wait for, and how those that they ask answer.",
    [NOW, QUEUE, RECONCILES, DEPENDENCIES, PROCESS, the_store.STORE],
)
