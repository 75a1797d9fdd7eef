"""Loki and Jaeger as processes on loopback, and Promtail as users set it up, with the logs of a node in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from dev.api_server import ROOT
from dev.processes import free_ports, running
from dev.programs import find_program
from tests.contract.conftest import Kubectl

SETUP = ROOT / "manifests" / "logs-and-traces"
_NODE, _NAMESPACE = "node-1", "--namespace=models"
_LOGS_OF_PODS, _STATE = "/var/log/pods", "/run/promtail"  # as the file of users has them
_ENDS_AT_ONCE = {"graceful_shutdown_timeout": "100ms"}  # however many connections are open


@contextmanager
def loki(folder: Path) -> Iterator[str]:
    """The address of a Loki that keeps its logs in `folder`."""
    http, grpc = free_ports(2)
    schema = {"from": "2020-10-24", "store": "boltdb-shipper", "object_store": "filesystem", "schema": "v11"}
    lifecycler = {"address": "127.0.0.1", "ring": {"kvstore": {"store": "inmemory"}, "replication_factor": 1}}
    at_once = {"join_after": "0s", "min_ready_duration": "0s", "final_sleep": "0s"}
    here = {"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1", **_ENDS_AT_ONCE}
    configuration = {
        "auth_enabled": False,
        "server": {**here, "http_listen_port": http, "grpc_listen_port": grpc},
        "ingester": {"lifecycler": {**lifecycler, **at_once}, "max_transfer_retries": 0},
        "schema_config": {"configs": [{**schema, "index": {"prefix": "index_", "period": "24h"}}]},
        "storage_config": {
            "boltdb_shipper": {
                "active_index_directory": "index",
                "cache_location": "cache",
                "shared_store": "filesystem",
            },
            "filesystem": {"directory": "chunks"},
        },
        "compactor": {"working_directory": "compactor", "shared_store": "filesystem"},
    }
    (folder / "loki.yaml").write_text(yaml.safe_dump(configuration))
    with running([find_program("loki"), "-config.file=loki.yaml"], folder / "loki.log"):
        yield f"http://127.0.0.1:{http}"


@dataclass(frozen=True)
class Jaeger:
    """Where it takes spans by OTLP over HTTP, and where it is asked."""

    otlp_port: int
    url: str


@contextmanager
def jaeger(folder: Path) -> Iterator[Jaeger]:
    """A Jaeger that keeps its traces in memory."""
    otlp, http, grpc = free_ports(3)
    configuration = {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "enable_tracing": False,  # of its own requests: nobody takes these, and it waits for that when it ends
                "http": {"endpoint": f"127.0.0.1:{http}"},
                "grpc": {"endpoint": f"127.0.0.1:{grpc}"},
            },
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }
    (folder / "jaeger.yaml").write_text(yaml.safe_dump(configuration))
    with running([find_program("jaeger"), "--config=jaeger.yaml"], folder / "jaeger.log"):
        yield Jaeger(otlp, f"http://127.0.0.1:{http}")


@dataclass(frozen=True)
class Node:
    """A node without a kubelet: pods that the API server knows, and the files that a container runtime writes."""

    kubectl: Kubectl
    logs: Path

    @contextmanager
    def pod(self, name: str, template: Mapping[str, Any], container: str, printed: str) -> Iterator[None]:
        """A pod of this template in the namespace `models`, one container of which has printed something."""
        metadata = {"name": name, "labels": template["metadata"]["labels"]}
        spec = {**template["spec"], "nodeName": _NODE, "serviceAccountName": "default"}
        status = {"status": {"phase": "Running", "podIP": "127.0.0.1"}}
        pod, of = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, ("pod", name, _NAMESPACE)
        self.kubectl("create", "--filename=-", _NAMESPACE, stdin=json.dumps(pod))
        self.kubectl("patch", *of, "--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")
        uid = self.kubectl("get", *of, "--output=jsonpath={.metadata.uid}")
        folder = self.logs / f"models_{name}_{uid}" / container
        folder.mkdir(parents=True)
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        (folder / "0.log").write_text("".join(f"{now} stderr F {line}\n" for line in printed.splitlines()))
        try:
            yield
        finally:
            self.kubectl("delete", *of, "--grace-period=0", "--force")


@contextmanager
def promtail(node: Node, loki_url: str, folder: Path) -> Iterator[None]:
    """Promtail with the file of manifests/logs-and-traces. Only addresses and folders are those of this test."""
    values = yaml.safe_load((SETUP / "promtail-values.yaml").read_text(encoding="utf-8"))
    text = values["config"]["file"].replace(_LOGS_OF_PODS, str(node.logs)).replace(_STATE, str(folder))
    configuration = yaml.safe_load(text)
    (port,) = free_ports(1)
    here = {"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1", "grpc_listen_port": 0}
    configuration["server"] = {**here, "http_listen_port": port, **_ENDS_AT_ONCE}
    configuration["clients"][0]["url"] = f"{loki_url}/loki/api/v1/push"
    configuration["scrape_configs"][0]["kubernetes_sd_configs"][0] |= _access(node.kubectl.kubeconfig)
    configuration["target_config"] = {"sync_period": "1s"}
    (folder / "promtail.yaml").write_text(yaml.safe_dump(configuration, width=10_000))
    command, environment = [find_program("promtail"), "-config.file=promtail.yaml"], {**os.environ, "HOSTNAME": _NODE}
    with running(command, folder / "promtail.log", environment):
        yield


def _access(kubeconfig: Path) -> dict[str, Any]:
    """How the API server is reached from outside of a cluster."""
    written = yaml.safe_load(kubeconfig.read_text())
    cluster, user = written["clusters"][0]["cluster"], written["users"][0]["user"]
    return {
        "api_server": cluster["server"],
        "bearer_token": user["token"],
        "tls_config": {"ca_file": cluster["certificate-authority"]},
    }


def lines(loki_url: str, query: str) -> list[str]:
    """What Loki finds by LogQL among the logs of the last hour."""
    answer = httpx.get(f"{loki_url}/loki/api/v1/query_range", params={"query": query}, trust_env=False)
    assert answer.status_code in {200, 503}, f"{query}: {answer.text}"
    streams = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return [line for stream in streams for _, line in stream["values"]]
