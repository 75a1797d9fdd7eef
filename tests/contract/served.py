"""The serving process on loopback, as the contract tests start it, and what it counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PATIENCE = 60.0


@dataclass(frozen=True)
class Served:
    """A running process and the addresses of its two ports."""

    process: subprocess.Popen[bytes]
    cluster: str
    gateway: str
    log: Path


def wait_until(what: str, check: object, log: Path) -> None:
    """Polls until `check()` is true; fails with the log when it does not come."""
    assert callable(check)
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"no {what}; log:\n{log.read_text()}"
        time.sleep(0.02)


@contextmanager
def serving(model_dir: Path, tmp_path: Path, **variables: str) -> Iterator[Served]:
    """A process that is ready; `variables` are more of its environment."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    log = tmp_path / "log"
    env = {
        "SLUICE_MODEL_NAME": "iris",
        "SLUICE_MODEL_VERSION": "3",
        "SLUICE_REVISION": "abcdefghij",
        "SLUICE_MODEL_DIR": str(model_dir),
        "SLUICE_FEEDBACK_KEY_FILE": str(tmp_path / "key"),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": "0",
        "SLUICE_GATEWAY_PORT": "0",
        "SLUICE_DRAIN_DELAY": "15",  # long enough for forty requests on a busy machine
        **variables,
    }
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "sluice_server", "serve"], env=os.environ | env, stderr=stderr
        )

    def address(entry: str) -> str:
        found = re.search(rf"{entry} traffic on port (\d+)", log.read_text())
        return f"http://127.0.0.1:{found[1]}" if found else ""

    def ready() -> bool:
        try:
            return httpx.get(f"{address('cluster')}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until("port", lambda: address("gateway"), log)
        wait_until("readiness", ready, log)
        yield Served(process, address("cluster"), address("gateway"), log)
    finally:
        process.kill()
        process.wait()


def sample(served: Served, name: str, labels: str) -> float:
    """The value of a metric whose labels contain the given ones, each written `name="value"`."""
    text = httpx.get(f"{served.cluster}/metrics").text
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and all(label in line for label in labels.split()):
            return float(line.split()[-1])
    raise AssertionError(f"no {name} with {labels} in:\n{text}")
