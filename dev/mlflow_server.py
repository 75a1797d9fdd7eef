"""A real MLflow server on loopback, with SQLite, and with artefacts through its proxy."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from dev import processes

_PATIENCE = 120.0  # seconds; a small and busy machine needs about ten
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def running(folder: Path, options: Sequence[str] = (), prefix: str = "", **variables: str) -> Iterator[str]:
    """Its URL; everything that it writes is in `folder`.

    `options`: more of `mlflow server`. `prefix`: the path that one of them puts it behind. `variables`: of its
    environment.
    """
    (port,) = processes.free_ports(1)
    url = f"http://127.0.0.1:{port}{prefix}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
        *(f"--backend-store-uri=sqlite:///{folder}/registry.db", f"--artifacts-destination={folder}/artifacts"),
        *options,
    ]
    with processes.running(command, folder / "mlflow.log", os.environ | _QUIET | variables) as process:
        deadline = time.monotonic() + _PATIENCE
        while not _healthy(url):
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, f"MLflow does not answer: {(folder / 'mlflow.log').read_text()[-2000:]}"
            time.sleep(0.1)
        yield url


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
