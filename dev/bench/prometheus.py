"""The Prometheus program of the cluster without the cluster: on a loopback port, empty, and scraping the exporter."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

import httpx
import yaml

from dev.bench.exporter import SCRAPE_SECONDS
from dev.programs import find_program

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30.0
_SENT = 'prometheus_http_response_size_bytes_sum{handler="/api/v1/query"}'
_TICKS = os.sysconf("SC_CLK_TCK")


class Prometheus:
    """A running Prometheus without targets."""

    def __init__(self, url: str, pid: int, config: Path, exporter: str) -> None:
        self.url = url
        self._pid, self._config, self._exporter = pid, config, exporter

    def scrape(self, runs: Iterable[str]) -> None:
        """Scrape these runs from now on, and no others."""
        self._config.write_text(_config(self._exporter, runs))
        httpx.post(f"{self.url}/-/reload").raise_for_status()

    def cpu_seconds(self) -> float:
        """CPU seconds since its start."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def bytes_sent(self) -> float:
        """Bytes of all answers to queries, as they went over the network."""
        text = httpx.get(f"{self.url}/metrics").text
        sizes = [line for line in text.splitlines() if line.startswith(_SENT)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in sizes)


@contextmanager
def started(began: float) -> Iterator[Prometheus]:
    """Start Prometheus and the exporter, whose run `past` began at `began` (unix seconds). Both end with the block."""
    exporter, port = _free_port(), _free_port()
    with ExitStack() as ending:
        folder = Path(ending.enter_context(TemporaryDirectory(prefix="sluice-bench-")))
        config = folder / "prometheus.yml"
        config.write_text(_config(f"127.0.0.1:{exporter}", ()))
        ending.enter_context(_process(sys.executable, "-m", "dev.bench.exporter", str(exporter), str(began)))
        process = ending.enter_context(
            _process(
                _program(),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.min-block-duration=1d",  # a younger head takes samples of the last 12 hours
                "--storage.tsdb.max-block-duration=1d",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
                "--log.level=error",
            )
        )
        prometheus = Prometheus(f"http://127.0.0.1:{port}", process.pid, config, f"127.0.0.1:{exporter}")
        _wait_until_ready(prometheus.url)
        yield prometheus


def _program() -> str:
    try:
        return find_program("prometheus")
    except FileNotFoundError:
        raise SystemExit("error: Prometheus is not built yet\n  mend it with: dev/cluster/cluster.sh build") from None


def _config(exporter: str, runs: Iterable[str]) -> str:
    interval = f"{SCRAPE_SECONDS}s"
    jobs = [
        {
            "job_name": run,
            "honor_labels": True,
            "metrics_path": f"/{run}",
            "relabel_configs": [{"target_label": "job", "replacement": "sluice"}],
            "static_configs": [{"targets": [exporter]}],
        }
        for run in runs
    ]
    return yaml.safe_dump({"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": jobs})


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=_ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"error: Prometheus was not ready after {_START_SECONDS:.0f} s")
