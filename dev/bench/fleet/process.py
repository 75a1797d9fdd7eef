"""The operator as a process of its own, and what it costs: memory, CPU time, and requests to the API server."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dev.processes import running

USER = "operator"  # of the API server, so that the audit log tells its requests from those of the benchmark
_TICKS = os.sysconf("SC_CLK_TCK")
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}],
}


@dataclass(frozen=True, slots=True)
class Operator:
    """A running operator. `audit`: the audit log of the API server."""

    process: subprocess.Popen[bytes]
    audit: Path

    def resident_bytes(self) -> int:
        """The memory that it uses now."""
        return _status(self.process.pid, "VmRSS")

    def cpu_seconds(self) -> float:
        """CPU seconds since its start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def check(self) -> None:
        if self.process.poll() is not None:
            raise SystemExit(f"error: the operator ended with {self.process.returncode}; see its log")

    def requests(self, since: float, until: float) -> Counter[str]:
        """Its requests to the API server between two moments (unix seconds), by verb and resource."""
        counted: Counter[str] = Counter()
        with self.audit.open() as lines:
            for line in lines:
                entry = json.loads(line)
                if since <= datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp() < until:
                    counted[f"{entry['verb']} {entry['objectRef']['resource'] if 'objectRef' in entry else '-'}"] += 1
        return counted


@contextmanager
def operating(tree: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[Operator]:
    """Run the operator of the source tree `tree`. Its log is in `folder`. It ends with the block."""
    paths = os.pathsep.join(str(tree / part) for part in ("operator", "server"))
    settings = {**os.environ, **environment, "PYTHONPATH": paths}
    with running([sys.executable, "-m", "sluice_operator"], folder / "operator.log", settings) as process:
        yield Operator(process, folder / "audit.log")


def _status(pid: int, field: str) -> int:
    """Bytes of a field of /proc/PID/status."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
