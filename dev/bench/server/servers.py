"""What is measured: a server as a command with its environment, and the process that runs it on one core."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from dev import processes
from dev.api_server import ROOT
from dev.bench.server import usage
from dev.bench.server.models import Model, environment

_PATIENCE = 120.0  # seconds until a server answers
_KEY = b"bench" * 8
ALL_ON = "all on"
_PORTS = ("PORT", "OTHER", "THIRD")


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server (`PORT`, `OTHER` and `THIRD` are free ports), and what it is asked."""

    name: str
    model: str
    command: tuple[str, ...]
    path: str
    bodies: Mapping[int, bytes]  # by the number of rows
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its process, where to ask it, and the seconds that it took to answer."""

    server: Server
    process: int
    url: str
    ready: float


def floor(bodies: Mapping[int, bytes]) -> Server:
    """The constant reply."""
    command = (sys.executable, "-m", "dev.bench.server.floor", "PORT")
    return Server("constant reply", "", command, "/predict", bodies, {"PYTHONPATH": str(ROOT)})


def ours(model: Model, rows: tuple[int, ...], folder: Path, collector: str, without: str = "") -> Server:
    """Sluice's model server with everything on, or without one thing: see `VARIANTS`."""
    (folder / "key").write_bytes(_KEY)
    settings = {
        "SLUICE_MODEL_NAME": "iris",
        "SLUICE_MODEL_VERSION": "3",
        "SLUICE_REVISION": "abcdefghij",
        "SLUICE_MODEL_DIR": str(model.folder),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": "OTHER",
        "SLUICE_GATEWAY_PORT": "PORT",
        "SLUICE_DRAIN_DELAY": "0",
        "SLUICE_FEEDBACK_KEY_FILE": str(folder / "key"),
        "SLUICE_PREDICTION_LOG_SAMPLE": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    } | dict(VARIANTS[without])
    bodies = {count: model.plain(count) for count in rows}
    name = f"Sluice, {f'without {without}' if without else ALL_ON}"
    return Server(
        name,
        model.name,
        (sys.executable, "-m", "sluice_server", "serve"),
        "/predict",
        bodies,
        settings,
        _headers(without),
    )


# What is different without one thing. Probes of the operator have no metrics, no ids and no log.
_PROBES = "metrics, ids and log"
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "": {},
    "prediction log": {"SLUICE_PREDICTION_LOG_SAMPLE": "0"},
    "prediction ids": {"SLUICE_FEEDBACK_KEY_FILE": "/nowhere"},
    "traces": {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    _PROBES: {},
}


def _headers(without: str) -> Mapping[str, str]:
    return {"x-sluice-probe": "1"} if without == _PROBES else {}


def mlflow(model: Model, rows: tuple[int, ...], folder: Path) -> Server:
    """`mlflow models serve`, with one worker."""
    command = (
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", model.uri),
        *("-p", "PORT", "--env-manager", "local", "-w", "1"),
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    bodies = {count: model.scoring(count) for count in rows}
    return Server(
        "mlflow models serve", model.name, command, "/invocations", bodies, environment(folder) | {"PATH": path}
    )


@contextmanager
def running(server: Server, core: int, folder: Path) -> Iterator[Running]:
    """The server on one core, from its first answer to the end of the block."""
    ports = dict(zip(_PORTS, map(str, processes.free_ports(len(_PORTS))), strict=True))

    def filled(text: str) -> str:
        return ports.get(text, text)

    command = ["taskset", "-c", str(core), *map(filled, server.command)]
    settings = {name: filled(value) for name, value in server.environment.items()}
    log = folder / "server.log"
    began = time.monotonic()
    with _whole(command, log, os.environ | settings) as process:
        url = f"http://127.0.0.1:{ports['PORT']}{server.path}"
        while not _answers(url, server):
            if process.poll() is not None or time.monotonic() > began + _PATIENCE:
                raise RuntimeError(f"{server.name} does not answer: {log.read_text()[-1000:]}")
            time.sleep(0.02)
        yield Running(server, process.pid, url, time.monotonic() - began)


@contextmanager
def _whole(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block, and with it whatever it has started and does not end itself."""
    tree: dict[int, str] = {}
    try:
        with processes.running(command, log, environment) as process:
            try:
                yield process
            finally:
                tree = usage.processes(process.pid)
    finally:
        usage.end(tree)


def _answers(url: str, server: Server) -> bool:
    body, headers = server.bodies[min(server.bodies)], {"content-type": "application/json"}
    try:
        return httpx.post(url, content=body, headers=headers, timeout=10).is_success
    except httpx.TransportError:
        return False
