"""A real Prometheus for the tests, started from the program that the local cluster uses too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from dev.processes import free_ports, running
from dev.programs import find_program
from tests.contract.conftest import eventually

_IS_READY = "Server is ready to receive web requests"  # before that it answers 503 with plain text


@contextmanager
def prometheus_in(folder: Path, configuration: Mapping[str, Any], *options: str) -> Iterator[str]:
    """The URL of a Prometheus that answers queries; its data, its log and its configuration are in `folder`."""
    (port,), log = free_ports(1), folder / "prometheus.log"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
    command = [
        *(find_program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", *options),
    ]
    with running(command, log) as process:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()[-2000:]
            return _IS_READY in log.read_text()

        eventually(is_ready, "Prometheus")
        yield f"http://127.0.0.1:{port}"
