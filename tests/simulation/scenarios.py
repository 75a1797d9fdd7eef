"""The canaries and their surroundings: the rows of the tables in docs/simulation.md, by name."""

from dataclasses import replace

from tests.simulation.world import CALM, OFTEN, RARE, SHARED, Clumps, Quality, World

RATES = (1, 10, 100, 1000)  # requests per second

USUAL = World(rate=100)
OVER_LIMITS = Quality(errors=0.003, slowness=1.8, accuracy=0.68)
NINE_PODS = replace(USUAL, bursts=OFTEN, pods=(9, 1), record_hours=1.0)


def equal(errors: float) -> World:
    """Both revisions have this share of errors."""
    return replace(USUAL, stable=Quality(errors=errors), canary=Quality(errors=errors))


HEALTHY = {
    "calm, no errors": equal(0.0),
    "calm, errors 0.001 %": equal(1e-5),
    "calm, errors 0.01 %": equal(1e-4),
    "calm, errors 0.1 %": USUAL,
    "stable over its limits (errors 0.3 %, p95 216 ms, accuracy 0.68)": replace(
        USUAL, stable=OVER_LIMITS, canary=OVER_LIMITS
    ),
    "bursts that both revisions share": replace(USUAL, bursts=SHARED),
    "bursts of one revision at a time, one an hour": replace(USUAL, bursts=RARE),
    "bursts of one revision at a time, one in ten minutes": replace(USUAL, bursts=OFTEN),
    "one burst in ten minutes per pod, nine stable pods and one canary pod": NINE_PODS,
    "one burst in ten minutes per pod, nine pods of each revision": replace(NINE_PODS, pods=(9, 9)),
    "one burst an hour per pod, nine stable pods and one canary pod": replace(NINE_PODS, bursts=RARE),
    "labels two minutes late": replace(USUAL, label_delay=24),
    "a better canary": replace(USUAL, canary=Quality(errors=0.0005, slowness=0.95, accuracy=0.96)),
    "a calm baseline, then bursts of one revision at a time from the start": replace(USUAL, bursts=OFTEN, before=CALM),
}

WORSE = {
    "errors 0.1 → 0.2 %": Quality(errors=0.002),
    "errors 0.1 → 0.5 %": Quality(errors=0.005),
    "errors 0.1 → 1 %": Quality(errors=0.01),
    "errors 0.1 → 5 %": Quality(errors=0.05),
    "p95 +10 %": Quality(slowness=1.1),
    "p95 +50 %": Quality(slowness=1.5),
    "p95 +100 %": Quality(slowness=2.0),
    "accuracy 0.95 → 0.93": Quality(accuracy=0.93),
    "accuracy 0.95 → 0.90": Quality(accuracy=0.90),
    "accuracy 0.95 → 0.80": Quality(accuracy=0.80),
}
REGRESSIONS = {name: replace(USUAL, canary=quality) for name, quality in WORSE.items()}

SILENT = {"finishes no request": replace(USUAL, canary=Quality(answered=0.0))}
TURNING = {
    "errors 5 % from minute 10 on": replace(USUAL, later=Quality(errors=0.05)),
    "p95 +50 % from minute 10 on": replace(USUAL, later=Quality(slowness=1.5)),
    "accuracy 0.80 from minute 10 on": replace(USUAL, later=Quality(accuracy=0.80)),
}

_BROKEN = Quality(errors=0.03, slowness=2.0, accuracy=0.65)
_BOTH = replace(USUAL, later=_BROKEN, stable_later=_BROKEN)
BOTH_BREAK = {
    "both revisions over all limits from the first tick": replace(_BOTH, turns=0.0),
    "both revisions over all limits from minute 10 on": _BOTH,
}

PROMOTED_AT = 600.0  # seconds after the start of a run with a watch
_OUTAGE = replace(USUAL, later=Quality(errors=0.05, slowness=1.5), turns=PROMOTED_AT + 300)
WATCHED_GOOD = tuple(
    name for name in HEALTHY if name.startswith(("calm, errors 0.1", "stable over", "bursts of one revision"))
)
WATCHED_BAD = {
    f"{regression} {when}": replace(USUAL, later=quality, turns=PROMOTED_AT + after)
    for regression, quality in {
        "errors 5 %": Quality(errors=0.05),
        "p95 +50 %": Quality(slowness=1.5),
        "p95 +100 %": Quality(slowness=2.0),
        "accuracy 0.80": Quality(accuracy=0.80),
    }.items()
    for when, after in {"from its promotion on": 0.0, "five minutes after its promotion": 300.0}.items()
}
OUTAGES = {
    f"an outage of {name}": replace(_OUTAGE, ends=_OUTAGE.turns + seconds)
    for name, seconds in {"15 seconds": 15.0, "a minute": 60.0, "five minutes": 300.0}.items()
}

HIDDEN = {
    f"{name}, {how_often}": replace(USUAL, canary=WORSE[name], bursts=bursts)
    for how_often, bursts in {"one burst an hour": RARE, "one burst in ten minutes": OFTEN}.items()
    for name in ("errors 0.1 → 1 %", "errors 0.1 → 5 %", "p95 +50 %", "accuracy 0.95 → 0.90", "accuracy 0.95 → 0.80")
}

_TWICE, _LOWER = Quality(errors=0.002), Quality(accuracy=0.93)
AT_MARGIN = {
    f"{margin}, {how_often}": replace(USUAL, canary=quality, bursts=bursts)
    for margin, quality in {"errors exactly twice stable's": _TWICE, "accuracy exactly 0.02 lower": _LOWER}.items()
    for how_often, bursts in {"calm": CALM, "one burst an hour": RARE, "one burst in ten minutes": OFTEN}.items()
}

_FIVE = Clumps(errors=5, slow=5, wrong=5)
IN_FIVES = replace(USUAL, clumps=_FIVE)
UNKNOWN_CLUMPS = "all in clumps of 5, but not in the baseline"
CLUMPED = {
    **{
        f"{what} in clumps of {size}": replace(USUAL, clumps=clumps)
        for size in (2, 5, 20)
        for what, clumps in {
            "errors and labels": Clumps(errors=size, wrong=size),
            "slow requests": Clumps(slow=size),
            "all bad requests, each time exactly,": Clumps(errors=size, slow=size, wrong=size, fixed=True),
        }.items()
    },
    **{
        f"all {rows} rows of a request right or wrong": replace(USUAL, clumps=Clumps(wrong=rows, fixed=True))
        for rows in (8, 64)
    },
    "five retries of each error, by either revision": replace(USUAL, clumps=Clumps(errors=5, retried=True)),
    "all in clumps of 5, and one burst an hour": replace(IN_FIVES, bursts=RARE),
    "all in clumps of 5, and one burst in ten minutes": replace(IN_FIVES, bursts=OFTEN),
    "all in clumps of 5 in the baseline, but not in the run": replace(USUAL, clumps_before=_FIVE),
    UNKNOWN_CLUMPS: replace(IN_FIVES, clumps_before=Clumps()),
}
CLUMPED_WORSE = {f"{name}, all in clumps of 5": replace(IN_FIVES, canary=quality) for name, quality in WORSE.items()}
CLUMPED_AT_MARGIN = {
    f"{margin}, in clumps of {size}": replace(USUAL, canary=quality, clumps=Clumps(errors=size, wrong=size))
    for margin, quality in {"errors exactly twice stable's": _TWICE, "accuracy exactly 0.02 lower": _LOWER}.items()
    for size in (5, 20)
}

SCENARIOS = (
    HEALTHY
    | REGRESSIONS
    | SILENT
    | TURNING
    | HIDDEN
    | AT_MARGIN
    | BOTH_BREAK
    | WATCHED_BAD
    | OUTAGES
    | CLUMPED
    | CLUMPED_WORSE
    | CLUMPED_AT_MARGIN
)

# The seed of a row follows from its name. These rows were renamed after the page was measured. They keep the seeds of
# their first names, and so their numbers.
FIRST_NAMES = {
    "bursts that both revisions share": "bursts that both arms share",
    "bursts of one revision at a time, one an hour": "one-arm bursts, one an hour",
    "bursts of one revision at a time, one in ten minutes": "one-arm bursts, one in ten minutes",
    "one burst in ten minutes per pod, nine stable pods and one canary pod": (
        "the same per pod, nine stable pods and one canary pod"
    ),
    "one burst in ten minutes per pod, nine pods of each revision": "the same per pod, nine pods in each arm",
    "a calm baseline, then bursts of one revision at a time from the start": (
        "a calm record, then one-arm bursts from the start"
    ),
    "both revisions over all limits from the first tick": "both arms beyond all limits from the first tick",
    "both revisions over all limits from minute 10 on": "both arms beyond all limits from minute 10 on",
}


def world(name: str, rate: float) -> World:
    return replace(SCENARIOS[name], rate=rate)
