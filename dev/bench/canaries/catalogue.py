"""The canaries that are tried: identical ones that must stay, bad ones that must be found, and what is asked of both.

Each is one server setting of the same ModelDeployment; the number in its environment makes it a revision of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.demo.models import Version

WATCH = 300.0  # seconds of canary traffic, after which a canary that was not rolled back is withdrawn
STEPS = ((20, 150), (50, 3600))  # percent, and the least seconds; the last step outlasts the watch: nothing is promoted
ERROR_LIMIT = 0.01
LATENCY_QUANTILE = 0.95
FLAGS = {
    "good": ["--trees", "20"],  # right on 148 of all 150 rows
    "inaccurate": ["--trees", "20", "--label-noise", "0.13"],  # 132: 10.7 points less
}
HANGS_AFTER = 30  # predictions
CRASHES_ON = "7.9, 3.8, 6.4, 2.0"  # one of the 150 rows
IMAGE = "registry.local/sluice-faulty:dev"
OBJECTIVES = (
    {"name": "errors", "errorRate": {"max": f"{ERROR_LIMIT:.0%}", "maxRatio": "2"}},
    {"name": "latency", "latency": {"quantile": f"{LATENCY_QUANTILE}", "max": "250ms", "maxRatio": "1.5"}},
    {"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "0.05"}},
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a canary is: its model, by role in FLAGS, and what is wrong with its server."""

    name: str
    model: str = "good"
    faults: Mapping[str, str] = field(default_factory=dict)

    def server(self, number: int) -> dict[str, Any]:
        """Fields of `spec.server` that make this canary, as a merge patch."""
        variables = {"CANARY": str(number), **self.faults}
        return {
            "image": IMAGE if self.faults else None,
            "env": [{"name": name, "value": value} for name, value in variables.items()],
        }


IDENTICAL = Kind("identical")
ERRORS = Kind("5 % errors", faults={"FAULT_ERRORS": "0.05"})
# Without a delay it is no slower than stable at first: a pod with a fifth of the requests is the faster one.
SLOWER = Kind("p95 +50 %", faults={"FAULT_SLOWER": "0.5", "FAULT_DELAY": "0.005"})
INACCURATE = Kind("accuracy -10 points", model="inaccurate")
HANGS = Kind("hangs", faults={"FAULT_HANG_AFTER": str(HANGS_AFTER)})
CRASHES = Kind("crashes on one input", faults={"FAULT_CRASH_ON": CRASHES_ON})
BAD = (ERRORS, SLOWER, INACCURATE, HANGS, CRASHES)


def queue(identical: int, of_each_bad: int) -> list[Kind]:
    """All canaries in the order in which they are tried, evenly mixed, so that a part of them tells of both."""
    groups = [IDENTICAL] * identical, [*BAD] * of_each_bad
    places = [((place + 0.5) / len(group), kind) for group in groups for place, kind in enumerate(group)]
    return [kind for _, kind in sorted(places, key=lambda placed: placed[0])]


def deployment(name: str, namespace: str, host: str, good: Version) -> dict[str, Any]:
    """The ModelDeployment that serves the good version on one small pod, and tries canaries by STEPS."""
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"uri": good.uri, "pollInterval": "2s", "trust": "TrustedTypes"},
            "server": {"replicas": 1, "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}},
            "traffic": {"ingress": {"host": host}},
            "rollout": {
                "canary": {"steps": [{"weight": weight, "minDuration": f"{seconds}s"} for weight, seconds in STEPS]},
                "progressDeadline": "5m",
                "scaleDownDelay": "1s",
            },
            "objectives": list(OBJECTIVES),
        },
    }
