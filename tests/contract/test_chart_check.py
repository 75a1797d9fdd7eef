"""What `helm test` runs, as a process with the rights of its pod, beside a real operator and MLflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from dev.audit_log import read, requests
from dev.helm import Helm
from dev.rights import Difference, difference, grants
from tests.contract.chart_values import SMALLEST
from tests.contract.conftest import Kubectl
from tests.contract.test_operator_process import started

RIGHTS = ("ServiceAccount", "Role", "RoleBinding")


def test_each_part_of_an_install_has_its_line(
    kubectl: Kubectl, helm: Helm, mlflow_server: str, silent_url: str, tmp_path: Path
) -> None:
    """What is well, and what is not with the value to correct. One that is not well makes `helm test` fail."""
    manifests = helm.template(SMALLEST, namespace="models")
    [pod] = [each for each in manifests if each["kind"] == "Pod"]
    account = pod["spec"]["serviceAccountName"]
    rights = [each for each in manifests if each["kind"] in RIGHTS and each["metadata"]["name"] == account]
    kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(rights))
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    token = kubectl("create", "token", account, "--namespace=models").strip()
    as_pod = {**config, "users": [{**config["users"][0], "user": {"token": token}}]}
    (tmp_path / "pod.kubeconfig").write_text(yaml.safe_dump(as_pod), encoding="utf-8")
    environment = {
        "KUBECONFIG": str(tmp_path / "pod.kubeconfig"),
        "SLUICE_SERVER_IMAGE": "registry.example/sluice-server:1",
        "SLUICE_TRACKING_URI": mlflow_server,
        "SLUICE_PROMETHEUS_URL": silent_url,
        "SLUICE_GATEWAY_ADDRESS": silent_url,
        "SLUICE_LEASE_NAMESPACE": "models",
    }
    command = [sys.executable, *pod["spec"]["containers"][0]["command"][1:]]
    with started(tmp_path, config, SLUICE_LEASE_NAMESPACE="models"):
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [line[:4].strip() for line in lines] == ["ok", "ok", "FAIL", "FAIL", "FAIL"], done.stdout + done.stderr
    assert "renews the Lease models/sluice-leader" in lines[0]
    assert lines[1].endswith(f"MLflow answers at {mlflow_server}")
    assert f"Is prometheus.url right ({silent_url})?" in lines[2]
    assert "Prometheus gave no answer: Connection refused" in lines[3]
    assert f"the gateway at {silent_url} takes no connection: Connection refused" in lines[4]
    assert done.returncode == 1
    asked = requests(read(kubectl.kubeconfig.parent / "audit.log")).of(f"models/{account}".__eq__)
    assert difference(grants(rights), asked) == Difference(frozenset(), frozenset())
