"""Compose, and the settings for it, before the readers of Docker, Prometheus and PowerShell. Nothing is started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev.api_server import ROOT
from dev.programs import find_program

FOLDER = ROOT / "manifests" / "compose"
COMPOSE = FOLDER / "compose.yaml"
VARIABLE = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """The variables of .env.example, those that are commented out as well."""
    return dict(VARIABLE.findall((ROOT / ".env.example").read_text(encoding="utf-8")))


def project(variables: dict[str, str]) -> dict[str, Any]:
    """The Compose file as Docker's own library reads it."""
    command = [find_program("compose-config"), "-format=json", str(COMPOSE)]
    environment = {"PATH": "/usr/bin:/bin", "PWD": str(FOLDER), **variables}
    done = subprocess.run(command, env=environment, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_compose_is_the_same_without_env_and_with_the_example(settings: dict[str, str]) -> None:
    """So the example shows the defaults, and no variable of it is without effect or forgotten."""
    assert project({}) == project(settings)
    used = set(re.findall(r"\$\{([A-Z_]+):-", COMPOSE.read_text(encoding="utf-8")))
    of_programs = {name for name in settings if name.startswith(("MLFLOW_TRACKING", "MLFLOW_MODEL", "MLFLOW_EXP"))}
    of_programs |= {name for name in settings if name.startswith("OTEL_")}
    assert used == set(settings) - of_programs


def test_ports_are_those_of_this_machine_alone() -> None:
    """Neither MLflow nor Grafana asks strangers who they are."""
    services = project({})["services"]
    assert set(services) == {"mlflow", "server", "prometheus", "grafana"}
    assert {port["host_ip"] for service in services.values() for port in service["ports"]} == {"127.0.0.1"}


def test_each_file_that_is_mounted_is_there() -> None:
    """Docker would make an empty folder in its place."""
    volumes = [volume for service in project({})["services"].values() for volume in service.get("volumes", ())]
    sources = [Path(volume["source"]) for volume in volumes if volume["type"] == "bind"]
    assert len(sources) == 5
    assert [source for source in sources if not source.exists()] == []


def test_prometheus_takes_its_configuration_and_the_rules(tmp_path: Path) -> None:
    """At the places where Compose puts them."""
    shutil.copy(FOLDER / "prometheus.yaml", tmp_path / "prometheus.yml")
    (tmp_path / "rules").symlink_to(ROOT / "manifests" / "alerts")
    command = [find_program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS: 2 rule files found" in done.stdout
