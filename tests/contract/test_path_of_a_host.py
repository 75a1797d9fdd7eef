"""Two models below two paths of one host, behind the real gateway of the local cluster, on a real API server.

There are no pods: each Service names a server of this process. The Ingresses are those that the operator writes, and
the weight is proven by its own probes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dev.processes import free_ports, running
from dev.programs import find_program
from sluice_operator.api import names
from sluice_operator.api.owner import Owner
from sluice_operator.api.place import Place
from sluice_operator.api.status import Weight
from sluice_operator.api.traffic import Ingress
from sluice_operator.routing import probes
from sluice_operator.routing.canary_share import CanaryShare, probe_header
from sluice_operator.routing.gateway import Access, Gateway
from sluice_operator.routing.nginx import NginxIngress
from tests.contract.listening import listening
from tests.unit.sluice_operator.build import NOW

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

NAMESPACE, CLASS, HOST = "paths", "paths", "models.example.com"
PATIENCE = 60.0


@contextmanager
def a_server(revision: str) -> Iterator[int]:
    """The port of one that says which revision it is and which path it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.path.encode()
            self.send_response(200)
            self.send_header(names.HEADER_REVISION, revision)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with listening(server):
        yield server.server_port


@pytest.fixture(scope="module")
def traefik(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway that obeys this API server."""
    a_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    }
    kubectl("create", "namespace", NAMESPACE)
    kubectl("create", "--filename=-", stdin=json.dumps(a_class))
    [port] = free_ports(1)
    folder = tmp_path_factory.mktemp("traefik")
    command = [
        find_program("traefik"),
        f"--entrypoints.web.address=127.0.0.1:{port}",
        "--providers.kubernetesingressnginx=true",
        "--providers.providersThrottleDuration=100ms",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    with running(command, folder / "log", {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}):
        yield f"http://127.0.0.1:{port}"


def a_service(name: str, port: int) -> dict[str, Any]:
    """One without pods, which leads to a port of this machine."""
    ports = [{"name": "gateway", "port": names.PORT_GATEWAY, "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1", "ports": ports},
    }


def below(path: str) -> NginxIngress:
    return NginxIngress(Ingress(CLASS, HOST, path))


def apply(kubectl: Kubectl, *manifests: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(listed))


def ask(traefik: str, path: str) -> tuple[int, str, str]:
    """The status, who answers, and which path the model server was asked for."""
    reply = httpx.get(f"{traefik}{path}", headers={"Host": HOST})
    return reply.status_code, reply.headers.get(names.HEADER_REVISION, ""), reply.text


def proven(traefik: str, weight: Weight) -> None:
    """Waits until the operator's probes say that this weight is live below /iris."""
    gateway = Gateway(Access(traefik), Place(HOST, "/iris"))
    split = probes.Split(probe_header(weight), "stable", "canary", weight.desired)
    deadline = time.monotonic() + PATIENCE
    while not (proof := asyncio.run(probes.weight(gateway, split, random.Random(1)))).live:
        assert time.monotonic() < deadline, proof.detail
        time.sleep(0.05)


@pytest.fixture(scope="module")
def routes(kubectl: Kubectl, traefik: str) -> Iterator[str]:
    """Model `iris` with stable and canary, at weight 50 below /iris, and model `rose` below /iris-2/rose."""
    iris, rose = (Owner(NAMESPACE, name, "uid") for name in ("iris", "rose"))
    weight = Weight(50, written_at=NOW)
    with ExitStack() as stack:
        ports = {revision: stack.enter_context(a_server(revision)) for revision in ("stable", "canary", "other")}
        manifests = (
            a_service("iris", ports["stable"]),
            a_service("iris-canary", ports["canary"]),
            a_service("rose", ports["other"]),
            *below("/iris").routes(iris, CanaryShare("canary", weight)),
            *below("/iris-2/rose").routes(rose, None),
        )
        for manifest in manifests:
            manifest["metadata"].pop("ownerReferences", None)
        apply(kubectl, *manifests)
        proven(traefik, weight)
        yield traefik


@pytest.mark.parametrize(
    ("asked", "gets"),
    [
        ("/iris/predict", "/predict"),
        ("/iris/v2/models/iris?a=1", "/v2/models/iris?a=1"),
        ("/iris/", "/"),
        ("/iris", "/"),
    ],
)
def test_the_model_server_does_not_see_the_path(routes: str, asked: str, gets: str) -> None:
    """So a path can change without new pods."""
    status, revision, seen = ask(routes, asked)
    assert (status, seen) == (200, gets)
    assert revision in ("stable", "canary")


def test_models_share_a_host(routes: str) -> None:
    """A path that only begins with the same letters is another one, and what is nobody's is not found."""
    assert ask(routes, "/iris-2/rose/metadata") == (200, "other", "/metadata")
    assert [ask(routes, path)[0] for path in ("/", "/predict", "/iris2/predict", "/iris-2/predict")] == [404] * 4
    assert {ask(routes, "/iris/metadata")[1] for _ in range(50)} == {"stable", "canary"}
    assert {ask(routes, "/iris-2/rose/metadata")[1] for _ in range(20)} == {"other"}


def test_a_new_weight_below_a_path_is_proven(kubectl: Kubectl, routes: str) -> None:
    """By its new probe header: at 0 the header still leads to the canary, and no caller does."""
    iris, weight = Owner(NAMESPACE, "iris", "uid"), Weight(0, written_at=NOW)
    _, ingress = below("/iris").routes(iris, CanaryShare("canary", weight))
    ingress["metadata"].pop("ownerReferences", None)
    apply(kubectl, ingress)
    proven(routes, weight)
    assert {ask(routes, "/iris/metadata")[1] for _ in range(30)} == {"stable"}
