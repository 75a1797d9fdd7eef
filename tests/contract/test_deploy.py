"""The deploy workflow's script with a real kubectl and API server; the operator's part is played by the test."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from dev.api_server import ROOT
from dev.workflows import deploy
from sluice_operator.api.status import Status, dump
from tests.contract.conftest import Kubectl
from tests.contract.test_command_by_kubectl import program
from tests.unit.sluice_operator.build import FAIL, again, rolling_back, stepping

MANIFEST = ROOT / "manifests" / "examples" / "iris.yaml"
OF_2 = "models:/iris/2"


@pytest.fixture
def cluster(kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """The kubectl on the PATH is that of the API server, which has no ModelDeployment yet."""
    program(tmp_path, "kubectl", kubectl.program, f"--kubeconfig={kubectl.kubeconfig}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    kubectl("delete", "mdep", "--all", "--namespace=models")
    return kubectl


def rejected() -> Status:
    """Version 2 has failed, and version 1 is stable."""
    over = again(rolling_back(), weight=None)
    while over.status.phase != "Stable":
        over = again(over, after=700.0)
    return over.status


def operated(cluster: Kubectl, *statuses: Status) -> None:
    """What the operator writes, one status after the other, once the object is there."""
    cluster.eventually("get", "mdep", "iris", "--namespace=models")
    generation = json.loads(cluster("get", "mdep", "iris", "--namespace=models", "--output=json"))["metadata"][
        "generation"
    ]
    for status in statuses:
        written = json.dumps({"status": dump(replace(status, observed_generation=generation))})
        cluster("patch", "mdep", "iris", "-n=models", "--subresource=status", "--type=merge", f"--patch={written}")


def test_what_is_applied_is_waited_for(cluster: Kubectl, tmp_path: Path) -> None:
    """With another version than the file names. The verdict is the exit code, and the report says it."""
    began = again(stepping(verdict=FAIL)).status
    operator = threading.Thread(target=operated, args=(cluster, began, rejected()))
    operator.start()
    report = tmp_path / "report.md"
    try:
        assert deploy.main([f"--manifest={MANIFEST}", f"--model={OF_2}", f"--report={report}"]) == 1
    finally:
        operator.join()
    spec = json.loads(cluster("get", "mdep", "iris", "--namespace=models", "--output=json"))["spec"]
    assert spec["model"]["uri"] == OF_2
    assert "was rejected" in report.read_text(encoding="utf-8").splitlines()[0]


def test_what_the_api_server_refuses_is_not_waited_for(
    cluster: Kubectl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its sentence is in the log of the workflow."""
    manifest = tmp_path / "iris.yaml"
    manifest.write_text(MANIFEST.read_text(encoding="utf-8").replace("weight: 50", "weight: 5"))
    assert deploy.main([f"--manifest={manifest}", f"--model={OF_2}"]) == 2
    assert "not deployed: kubectl apply: " in capsys.readouterr().err
