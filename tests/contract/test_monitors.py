"""A real Prometheus, configured by the real Prometheus Operator out of the chart's monitors, has what runs are read by.

Pods have addresses of a cluster that is not there: the Prometheus of the test scrapes them through a proxy on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import generate_latest

from dev.helm import MONITORS, Helm
from dev.processes import free_ports, running
from dev.programs import find_program
from sluice_operator.api import names
from sluice_operator.api.owner import Owner
from sluice_operator.counting.counters import Counters
from sluice_operator.manifests import builders
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Reader
from sluice_operator.prometheus.selection import Selection
from sluice_server.http.dialects import CODES
from sluice_server.inference.metrics import Metrics
from sluice_server.model.identity import Identity
from tests.contract.chart_values import chosen
from tests.contract.conftest import Kubectl, api_server_in, eventually
from tests.contract.listening import listening
from tests.contract.prometheus_server import prometheus_in

KINDS = ("podmonitors", "probes", "prometheuses", "prometheusrules", "scrapeconfigs", "servicemonitors")
JOBS = {
    "podMonitor/sluice-system/sluice-operator/0",
    "serviceMonitor/sluice-system/sluice-models/0",
    "serviceMonitor/sluice-system/sluice-store/0",
}
REVISION = "abcdefghij"
MODEL, OPERATOR = "10.1.2.3", "10.1.2.4"  # addresses of pods
TEXTS = {
    f"http://{MODEL}:8081/metrics": generate_latest(Metrics(Identity("iris", "3", REVISION), CODES).registry),
    f"http://{OPERATOR}:9000/metrics": b'sluice_weight{namespace="models",name="iris"} 20\n',
}


def pod(name: str, namespace: str, labels: dict[str, str], port: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example/image:1", "ports": [port]}
    spec = {"nodeName": "node-1", "automountServiceAccountToken": False, "containers": [container]}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def behind(service: dict[str, Any], uid: str) -> list[dict[str, Any]]:
    """What the controllers of a cluster make for a Service with one pod: nothing in the test does it."""
    metadata, [port] = service["metadata"], service["spec"]["ports"]
    target = {"kind": "Pod", "name": "iris-1", "namespace": metadata["namespace"], "uid": uid}
    ports = [{"name": port["name"], "port": 8081, "protocol": "TCP"}]
    place = {name: metadata[name] for name in ("namespace", "labels")}
    labels = metadata["labels"] | {"kubernetes.io/service-name": metadata["name"]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": place | {"name": metadata["name"]},
            "subsets": [{"addresses": [{"ip": MODEL, "targetRef": target, "nodeName": "node-1"}], "ports": ports}],
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": place | {"name": f"{metadata['name']}-x", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [MODEL], "conditions": {"ready": True}, "targetRef": target}],
            "ports": ports,
        },
    ]


@dataclass(frozen=True)
class Cluster:
    """An API server with the Prometheus Operator at work, and in it a model server and an operator of ours."""

    kubectl: Kubectl
    uid: str  # of the model server's pod

    def configured(self, role: str) -> dict[str, Any]:
        """The configuration that the Prometheus Operator has written for its Prometheus with this discovery."""

        def written() -> dict[str, Any] | None:
            done = self.kubectl.run("get", "secret", f"prometheus-{role.lower()}", "--namespace=watch", "-o=json")
            if done.returncode != 0:
                return None
            packed = base64.b64decode(json.loads(done.stdout)["data"]["prometheus.yaml.gz"])
            text = gzip.decompress(packed).replace(b"$(SHARD)", b"0")  # as the reloader in its pod does
            found: dict[str, Any] = yaml.safe_load(text)
            return found if {job["job_name"] for job in found.get("scrape_configs") or ()} == JOBS else None

        return eventually(written, "the configuration of Prometheus")


@pytest.fixture(scope="module")
def cluster(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    program, (port,) = Path(find_program("prometheus-operator")), free_ports(1)
    with api_server_in(folder) as kubectl:
        crds = [f"--filename={program.parent}/crds/monitoring.coreos.com_{kind}.yaml" for kind in KINDS]
        kubectl("create", *crds)
        for namespace in ("models", "sluice-system", "watch"):
            kubectl("create", "namespace", namespace)
            kubectl("create", "serviceaccount", "default", f"--namespace={namespace}")
        uid = populate(kubectl, helm)
        command = [str(program), f"--web.listen-address=127.0.0.1:{port}", "--web.enable-http2=false"]
        with running(command, folder / "operator.log", {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)}):
            yield Cluster(kubectl, uid)


def populate(kubectl: Kubectl, helm: Helm) -> str:
    """Creates the objects of a cluster with Sluice; gives the UID of the model server's pod."""
    manifests = helm.template(chosen("service monitors"), *MONITORS)
    named = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "Deployment"}
    of_operator = named["sluice-operator"]["spec"]["template"]["metadata"]["labels"]
    metrics = {"name": "metrics", "containerPort": 9000}
    served = {names.LABEL_OWNER: "iris"}
    service = builders.metrics_service(Owner("models", "iris", "uid"))
    del service["metadata"]["ownerReferences"]
    create(
        kubectl,
        *(each for each in manifests if each["kind"].endswith("Monitor")),
        pod("iris-1", "models", served, {"name": "http", "containerPort": 8081}),
        pod("sluice-operator-1", "sluice-system", of_operator, metrics),
        service,
        *(prometheus(role) for role in ("Endpoints", "EndpointSlice")),
    )
    for name, namespace, address in (("iris-1", "models", MODEL), ("sluice-operator-1", "sluice-system", OPERATOR)):
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        patch = json.dumps({"status": status})
        kubectl("patch", "pod", name, f"--namespace={namespace}", "--subresource=status", f"--patch={patch}")
    uid = kubectl("get", "pod", "iris-1", "--namespace=models", "-o=jsonpath={.metadata.uid}")
    create(kubectl, *behind(service, uid))
    return uid


def create(kubectl: Kubectl, *manifests: dict[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    eventually(lambda: kubectl.run("apply", "--filename=-", stdin=text).returncode == 0, "the objects")


def prometheus(role: str) -> dict[str, Any]:
    """A Prometheus of the Prometheus Operator that takes all monitors."""
    selectors = [f"{kind}Monitor{what}Selector" for kind in ("service", "pod") for what in ("", "Namespace")]
    everything = {selector: dict[str, str]() for selector in selectors}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": role.lower(), "namespace": "watch"},
        "spec": {"serviceDiscoveryRole": role, **everything},
    }


@contextmanager
def pods() -> Iterator[str]:
    """The address of a proxy behind which the pods answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = TEXTS.get(self.path)
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text or b"")

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


@pytest.fixture(scope="module", params=["Endpoints", "EndpointSlice"])
def url(request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with the operator's jobs; only who is asked, through what and how often is that of the test."""
    jobs = cluster.configured(request.param)["scrape_configs"]
    with pods() as proxy:
        for job in jobs:
            job |= {"proxy_url": proxy, "scrape_interval": "1s", "scrape_timeout": "1s"}
            for discovery in job["kubernetes_sd_configs"]:
                discovery["kubeconfig_file"] = str(cluster.kubectl.kubeconfig)
        with prometheus_in(tmp_path_factory.mktemp("prometheus"), {"scrape_configs": jobs}) as url:
            yield url


def series(url: str, query: str) -> list[dict[str, str]] | None:
    """The labels that Prometheus has; None while it has nothing."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query})
    return [each["metric"] for each in answer.json()["data"]["result"]] or None


def test_the_model_servers_have_the_labels_that_runs_are_read_by(url: str, cluster: Cluster) -> None:
    """Namespace, pod, UID and ModelDeployment, and the server's own labels keep their names."""
    labels, *others = eventually(lambda: series(url, 'ml_requests_started_total{entry="gateway"}'), "the series")
    assert not others
    expected = {
        "namespace": "models",
        "pod": "iris-1",
        "pod_uid": cluster.uid,
        "model_deployment": "iris",
        "revision": REVISION,
    }
    assert labels.items() >= expected.items()
    assert not [name for name in labels if name.startswith("exported_")]


def test_the_reader_finds_the_counters_of_a_run(url: str, cluster: Cluster) -> None:
    """They are countable: each names its pod."""
    eventually(lambda: series(url, "ml_requests_started_total"), "the series")
    at = time.time()
    answer = asyncio.run(Reader(connect(url)).raw(Selection((("models", "iris"),), (REVISION,)), at - 60, at))
    counters = Counters()
    counters.add(answer)
    assert (list(counters.pods), counters.without_pod) == ([cluster.uid], False)


def test_the_operator_s_labels_are_those_of_the_objects(url: str, cluster: Cluster) -> None:
    """And not those of its own pod."""
    [labels] = eventually(lambda: series(url, "sluice_weight"), "the series")
    assert (labels["namespace"], labels["name"], labels["pod"]) == ("models", "iris", "sluice-operator-1")
