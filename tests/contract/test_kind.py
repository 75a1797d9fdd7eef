"""The cluster in kind, as far as it can be known without a container engine: what is asked of docker and kind.

docker and kind are programs that write their arguments down. Whether the cluster then works, only kind itself can tell.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.api_server import ROOT
from dev.programs import find_program
from tests.contract import gateway_crds, json_schemas
from tests.contract.conftest import Kubectl, api_server_in, wait_for

CLUSTER = ROOT / "dev" / "cluster"
PEERS = ("traefik", "prometheus", "mlflow")
GATEWAY_KINDS = "gatewayclasses", "gateways"
MANIFESTS = """
set -euo pipefail
. {cluster}/config.sh
. {cluster}/kind.sh
kubectl() {{ {kubectl} "$@"; }}
for peer in {peers}; do echo ---; peer_manifest $peer; done
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With docker and kind that only write down what they are called with, and a cache of its own."""
    folder = tmp_path_factory.mktemp("engine")
    for name in ("docker", "kind"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/calls\n')
        program.chmod(0o755)
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(folder), "SLUICE_LOCKED": "1"}
    return {**os.environ, **variables, "SLUICE_ENGINE": "kind", "FOLDER": str(folder)}


def called(environment: dict[str, str], *command: str) -> list[str]:
    """What docker and kind were called with by a command."""
    calls = Path(environment["FOLDER"]) / "calls"
    calls.unlink(missing_ok=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return calls.read_text().splitlines()


@pytest.fixture(scope="module")
def images(environment: dict[str, str]) -> list[str]:
    return called(environment, str(CLUSTER / "cluster.sh"), "images")


@pytest.fixture(scope="module")
def manifests(environment: dict[str, str]) -> list[dict[str, Any]]:
    """What is applied for gateway, Prometheus and MLflow."""
    script = MANIFESTS.format(cluster=CLUSTER, kubectl=find_program("kubectl"), peers=" ".join(PEERS))
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pod_specs(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in manifests:
        if each["kind"] == "Deployment":
            yield each["spec"]["template"]["spec"]


def test_each_image_is_built_from_a_dockerfile_and_a_target_that_exist(images: list[str]) -> None:
    """And one that is pulled gets the name of the manifests."""
    builds = [call.split() for call in images if call.startswith("docker build")]
    assert len(builds) == 5
    for build in builds:
        dockerfile = Path(build[build.index("-f") + 1]).read_text(encoding="utf-8")
        if "--target" in build:
            assert re.search(rf"^FROM .* AS {build[build.index('--target') + 1]}$", dockerfile, re.MULTILINE)
    assert sum(call.startswith("docker pull") for call in images) == 2


def test_the_pods_use_the_images_that_were_made(images: list[str], manifests: list[dict[str, Any]]) -> None:
    """And never ask for them elsewhere: `registry.local` does not exist."""
    made = {word for call in images for word in call.split() if word.startswith("registry.local/")}
    containers = [container for spec in pod_specs(manifests) for container in spec["containers"]]
    assert {container["image"] for container in containers} <= made
    assert len(containers) == len(PEERS)
    for container in containers:
        tag = container["image"].rpartition(":")[2]
        assert container.get("imagePullPolicy", "Always" if tag == "latest" else "IfNotPresent") != "Always"


def test_the_ports_of_this_machine_lead_to_the_services(
    environment: dict[str, str], manifests: list[dict[str, Any]]
) -> None:
    """kind maps each node port of the manifests to loopback, and nothing else."""
    script = f". {CLUSTER}/config.sh; . {CLUSTER}/kind.sh; kind_settings"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    settings = yaml.safe_load(done.stdout)
    [node] = settings["nodes"]
    mapped = {mapping["containerPort"] for mapping in node["extraPortMappings"]}
    services = [each for each in manifests if each["kind"] == "Service"]
    ports = {port["nodePort"] for service in services for port in service["spec"]["ports"] if "nodePort" in port}
    assert (settings["kind"], settings["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    assert mapped == ports
    assert {(mapping["hostPort"], mapping["listenAddress"]) for mapping in node["extraPortMappings"]} == {
        (port, "127.0.0.1") for port in ports
    }


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A folder with a schema for each kind that an API server with Gateway API knows."""
    with api_server_in(tmp_path) as cluster:
        cluster("apply", "--server-side", *gateway_crds.files(GATEWAY_KINDS))
        wait_for(lambda: described(cluster), "the description of Gateway API")
        (tmp_path / "schemas").mkdir()
        json_schemas.write(json.loads(cluster("get", "--raw=/openapi/v2")), tmp_path / "schemas")
    return tmp_path / "schemas"


def described(cluster: Kubectl) -> subprocess.CompletedProcess[str]:
    """Succeeds when the server describes the CRDs, which is some time after it has them."""
    done = cluster.run("get", "--raw=/openapi/v2")
    missing = [name for name in GATEWAY_KINDS if f"/v1/{name}" not in done.stdout]
    return subprocess.CompletedProcess(done.args, done.returncode or len(missing), done.stdout, f"without {missing}")


def test_kubeconform_finds_nothing_in_the_manifests(schemas: Path, manifests: list[dict[str, Any]]) -> None:
    """With `-strict`, and a schema for each kind."""
    where = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [find_program("kubeconform"), "-strict", "-schema-location", where, "-"]
    done = subprocess.run(command, input=yaml.safe_dump_all(manifests), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
