"""The canaries of the benchmark (identical ones must stay, bad ones must be found), and the policy that judges them.

Each is one server setting of the same ModelDeployment. The number in its environment makes it a new revision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.demo.models import Version

WATCH = 300.0  # seconds of canary traffic, after which a canary that was not rolled back is withdrawn
# Weight in percent, and minDuration in seconds. The last step is longer than WATCH, so nothing is promoted.
STEPS = ((20, 150), (50, 3600))
ERROR_LIMIT = 0.01
LATENCY_QUANTILE = 0.95
FLAGS = {
    "good": ["--trees", "20"],  # right on 148 of all 150 rows
    "inaccurate": ["--trees", "20", "--label-noise", "0.13"],  # 132: 10.7 points less
}
HANGS_AFTER = 30  # predictions
CRASHES_ON = "7.9, 3.8, 6.4, 2.0"  # one of the 150 rows
IMAGE = "registry.local/sluice-faulty:dev"
NO_FAULTS: Mapping[str, str] = {}
STALLS: Mapping[str, str] = {"FAULT_STALL": "0.1", "FAULT_STALL_EVERY": "4"}  # seconds; requests are slow in clumps
OBJECTIVES = (
    {"name": "errors", "errorRate": {"max": f"{ERROR_LIMIT:.0%}", "maxRatio": "2"}},
    {"name": "latency", "latency": {"quantile": f"{LATENCY_QUANTILE}", "max": "250ms", "maxRatio": "1.5"}},
    {"name": "accuracy", "accuracy": {"source": "Feedback", "maxDrop": "0.05"}},
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a canary is. `model`: its role in FLAGS. `faults`: environment variables that make its server faulty."""

    name: str
    model: str = "good"
    faults: Mapping[str, str] = field(default_factory=dict)

    def server(self, number: int, everywhere: Mapping[str, str] = NO_FAULTS) -> dict[str, Any]:
        """A merge patch of `spec.server` that makes this canary. `everywhere`: faults that stable has as well."""
        faults = {**everywhere, **self.faults}
        return _server(faults, {"CANARY": str(number)})


def stable_server(everywhere: Mapping[str, str] = NO_FAULTS) -> dict[str, Any]:
    """A merge patch of `spec.server` that makes the servers of stable again."""
    return _server(everywhere, {})


def _server(faults: Mapping[str, str], more: Mapping[str, str]) -> dict[str, Any]:
    variables = [{"name": name, "value": value} for name, value in {**more, **faults}.items()]
    return {"image": IMAGE if faults else None, "env": variables or None}


IDENTICAL = Kind("identical")
ERRORS = Kind("5 % errors", faults={"FAULT_ERRORS": "0.05"})
# Without the delay it is not slower than stable at first, because a pod with a fifth of the requests is faster; and no
# latency below 5 ms is compared.
SLOWER = Kind("p95 +50 %", faults={"FAULT_SLOWER": "0.5", "FAULT_DELAY": "0.01"})
INACCURATE = Kind("accuracy -10 points", model="inaccurate")
HANGS = Kind("hangs", faults={"FAULT_HANG_AFTER": str(HANGS_AFTER)})
CRASHES = Kind("crashes on one input", faults={"FAULT_CRASH_ON": CRASHES_ON})
BAD = (ERRORS, SLOWER, INACCURATE, HANGS, CRASHES)


def queue(identical: int, of_each_bad: int) -> list[Kind]:
    """All canaries in the order in which they are tried. Kinds are evenly mixed, so the first half has half of each."""
    groups = [IDENTICAL] * identical, [*BAD] * of_each_bad
    positions = [((index + 0.5) / len(group), kind) for group in groups for index, kind in enumerate(group)]
    return [kind for _, kind in sorted(positions, key=lambda position: position[0])]


def deployment(
    name: str, namespace: str, host: str, good: Version, everywhere: Mapping[str, str] = NO_FAULTS
) -> dict[str, Any]:
    """A ModelDeployment that serves the good version on one small pod, with STEPS and OBJECTIVES for its canaries."""
    server = {name: value for name, value in stable_server(everywhere).items() if value is not None}
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"uri": good.uri, "pollInterval": "2s", "trust": "TrustedTypes"},
            "server": {"replicas": 1, "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}, **server},
            "traffic": {"ingress": {"host": host}},
            "rollout": {
                "canary": {"steps": [{"weight": weight, "minDuration": f"{seconds}s"} for weight, seconds in STEPS]},
                "progressDeadline": "5m",
                "scaleDownDelay": "1s",
            },
            "objectives": list(OBJECTIVES),
        },
    }
