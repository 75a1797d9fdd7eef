"""Load on one URL for some seconds, by wrk on a core of its own."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.bench.server import usage

_SCRIPT = """
wrk.method = "POST"
%s
wrk.body = [==[%s]==]
function done(summary, latency, requests)
  local failed = summary.errors
  print("FOUND " .. summary.requests .. " " .. summary.duration .. " " .. latency:percentile(50) .. " "
    .. latency:percentile(99) .. " "
    .. (failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
"""

_PATIENCE = "--timeout=30s"  # a late answer counts with its time


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did under load: requests per second, seconds per request at two quantiles, CPU s per request."""

    rate: float
    p50: float
    p99: float
    cpu: float


def check() -> None:
    """Exits with a sentence if the benchmark cannot run here."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            raise SystemExit(f"error: {program} is needed; on Debian: apt-get install {package}")


def load(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    connections: int,
    seconds: int,
    core: int,
    server: int,
    folder: Path,
) -> Load:
    """One measurement. `server` is the process that answers. Raises RuntimeError if a request failed."""
    script = folder / "wrk.lua"
    given = {"content-type": "application/json", **headers}
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in given.items())
    script.write_text(_SCRIPT % (lines, body.decode()))
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", _PATIENCE]
    before = usage.cpu_seconds(server)
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True, timeout=60 + 2 * seconds
    )
    return parse(done.stdout, usage.cpu_seconds(server) - before)


def parse(text: str, cpu_seconds: float) -> Load:
    """What wrk has printed; its times are microseconds."""
    line = next((line for line in text.splitlines() if line.startswith("FOUND ")), None)
    if line is None:
        raise RuntimeError(f"wrk gave no result: {text[-500:]}")
    requests, duration, p50, p99, failed = map(float, line.split()[1:])
    if not requests and not failed:
        raise RuntimeError(f"no request was answered within {duration / 1e6:.1f} s: measure for longer (--seconds)")
    if failed:
        raise RuntimeError(f"{failed:.0f} requests failed, {requests:.0f} were answered")
    return Load(requests / duration * 1e6, p50 / 1e6, p99 / 1e6, cpu_seconds / requests)
