"""The operator as a process, with a real API server and nothing else: what it hears, and what it does then.

There are no controllers, so pods are never ready and nothing rolls out. The model registry does not answer, so that
what is in status stays.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.processes import free_ports, running
from sluice_operator.api import names, status
from tests.contract.conftest import Kubectl
from tests.unit.sluice_operator.build import stable_on

DEADLINE = 60.0  # seconds


class Proxy:
    """TCP between the operator and the API server. It can fall silent on all connections that are open."""

    def __init__(self, server_port: int) -> None:
        (self.port,) = free_ports(1)
        self._server_port = server_port
        self._silent = 0  # connections up to this number pass nothing on
        self._opened = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True).start()

    def silence(self) -> None:
        """Pass nothing on any more, for all connections that are open now. New ones work."""
        self._silent = self._opened

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._opened += 1
        number = self._opened
        upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        await asyncio.gather(self._pass(reader, upstream[1], number), self._pass(upstream[0], writer, number))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while data := await reader.read(65_536):
                if number > self._silent:
                    writer.write(data)
            writer.close()
        except OSError:
            writer.close()


@pytest.fixture(scope="module")
def proxy(api_server: Kubectl) -> Proxy:
    config = yaml.safe_load(api_server.kubeconfig.read_text())
    return Proxy(int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2]))


@pytest.fixture(scope="module")
def operator(kubectl: Kubectl, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The log of an operator that reaches the API server through the proxy and holds the Lease."""
    folder = tmp_path_factory.mktemp("operator")
    remove_claims(kubectl)
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    with started(folder, config, SLUICE_LEASE_NAMESPACE="models") as log:
        yield log


def remove_claims(kubectl: Kubectl) -> None:
    """Those of operators of other tests, which have ended: nobody has to wait until they have not answered."""
    labels = ",".join(f"{key}={value}" for key, value in names.CLAIM_LABELS.items())
    kubectl("delete", "configmap", "--all-namespaces", f"--selector={labels}")


@contextmanager
def started(folder: Path, kubeconfig: dict[str, Any], **changes: str) -> Iterator[Path]:
    """An operator that holds the Lease, and its log. Registry, Prometheus and gateway refuse connections."""
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    health, metrics, nobody = free_ports(3)
    settings = {
        "KUBECONFIG": str(folder / "kubeconfig"),
        "SLUICE_SERVER_IMAGE": "registry.example/sluice-server:1",
        "SLUICE_TRACKING_URI": f"http://127.0.0.1:{nobody}",
        "SLUICE_PROMETHEUS_URL": f"http://127.0.0.1:{nobody}",
        "SLUICE_GATEWAY_ADDRESS": f"http://127.0.0.1:{nobody}",
        "SLUICE_HEALTH_PORT": str(health),
        "SLUICE_METRICS_PORT": str(metrics),
        **changes,
    }
    with running([sys.executable, "-m", "sluice_operator"], folder / "log", os.environ | settings) as process:
        eventually("holds the Lease", lambda: " holds the Lease " in (folder / "log").read_text(), process)
        yield folder / "log"


def eventually(
    what: str, is_so: Callable[[], object], process: subprocess.Popen[bytes] | None = None, seconds: float = DEADLINE
) -> float:
    """How many seconds passed until it was so. Fails after `seconds`."""
    began = time.monotonic()
    while not is_so():
        assert process is None or process.poll() is None, "the operator has ended"
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def stable(operator: Path, kubectl: Kubectl) -> Kubectl:
    """kubectl for a server with the ModelDeployment iris, whose version 1 serves according to its status."""
    kubectl("apply", f"--filename={Path(__file__).parents[2]}/manifests/examples/iris.yaml")
    current = json.dumps({"status": status.dump(stable_on(1).status)})
    patch = ("patch", "mdep", "iris", "--namespace=models", "--type=merge")
    kubectl(*patch, "--subresource=status", f"--patch={current}")
    eventually("Service iris is there", lambda: exists(kubectl, "service/iris"))
    return kubectl


def exists(kubectl: Kubectl, name: str) -> bool:
    return kubectl.run("get", name, "--namespace=models").returncode == 0


def generations(kubectl: Kubectl) -> tuple[Any, Any]:
    """The generation of iris, and the one that the operator has observed."""
    iris = json.loads(kubectl("get", "mdep", "iris", "--namespace=models", "--output=json"))
    return iris["metadata"]["generation"], iris["status"].get("observedGeneration")


@pytest.mark.parametrize("name", ["service/iris", "service/iris-metrics", "ingress/iris"])
def test_a_deleted_object_is_written_again(stable: Kubectl, name: str) -> None:
    """The watch tells it; the next look that nothing caused would come in an hour."""
    stable("delete", name, "--namespace=models")
    eventually(f"{name} is there again", lambda: exists(stable, name), seconds=20)


def test_an_edit_is_heard_though_the_watch_has_died_silently(stable: Kubectl, proxy: Proxy) -> None:
    """All connections fall silent, as behind a firewall that forgets them; nobody closes them."""
    proxy.silence()
    stable("patch", "mdep", "iris", "--namespace=models", "--type=merge", '--patch={"spec":{"server":{"replicas":3}}}')

    def observed() -> bool:
        newest, seen = generations(stable)
        return bool(newest == seen)

    eventually("the edit is observed", observed, seconds=DEADLINE)
    stable("delete", "service/iris", "--namespace=models")
    eventually("the Service is there again", lambda: exists(stable, "service/iris"), seconds=DEADLINE)


@pytest.mark.parametrize("unknown", ["[" * 5_000 + "]" * 5_000, "[" + "{}," * 400_000 + "{}]"], ids=["deep", "large"])
def test_an_object_that_cannot_be_read_as_a_whole_is_refused(
    stable: Kubectl, iris: dict[str, Any], unknown: str
) -> None:
    """The API server takes both, in a field that it does not know. They ended the operator of all namespaces."""
    iris["metadata"]["name"] = "unreadable"
    iris["spec"]["traffic"]["ingress"]["host"] = "unreadable.example.com"
    iris["spec"]["server"]["podTemplate"] = {"spec": {"unknown": "@"}}
    stable("create", "--filename=-", stdin=json.dumps(iris).replace('"@"', unknown))
    reason = '--output=jsonpath={.status.conditions[?(@.type=="Stalled")].reason}'
    try:
        eventually(
            "it is refused", lambda: "PodTemplateInvalid" in stable("get", "mdep", "unreadable", "-n=models", reason)
        )
        generation = stable("get", "mdep", "unreadable", "-n=models", "--output=jsonpath={.metadata.generation}")
        assert generation == "1", "what was left out is still in the spec"
        stable("delete", "service/iris", "--namespace=models")
        eventually("the operator works for others", lambda: exists(stable, "service/iris"))
    finally:
        stable("delete", "mdep", "unreadable", "--namespace=models")
