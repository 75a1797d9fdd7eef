"""`kubectl sluice doctor` on the cluster: all is well, and what is broken is named with what to do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dev.demo.cluster import Addresses, Kubectl
from dev.demo.models import Versions
from tests.e2e.rollouts import Place, deployed, manifest

pytestmark = pytest.mark.anyio
CHECKS = 9


async def doctor(cluster: Addresses, *options: str) -> tuple[int | None, list[str]]:
    """Exit code and lines."""
    kubectl = Path(cluster.kubectl)
    environment = os.environ | {"KUBECONFIG": cluster.kubeconfig, "PATH": f"{kubectl.parent}:{os.environ['PATH']}"}
    command = (sys.executable, "-m", "sluice_operator.cli", "doctor", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    out, _ = await process.communicate()
    return process.returncode, out.decode().splitlines()


@pytest.fixture(scope="module")
async def served(place: Place, versions: Versions) -> AsyncIterator[None]:
    """A model, so that its metrics are looked at."""
    async with deployed(place, manifest("iris-doctor"), versions.first) as iris:
        await iris.until_ready()
        yield


@pytest.mark.usefixtures("served")
async def test_a_healthy_installation_is_all_ok(cluster: Addresses) -> None:
    """The gateway really divides requests."""
    code, lines = await doctor(cluster)
    assert (code, len(lines)) == (0, CHECKS), lines
    assert any("divides requests by header and by weight" in line for line in lines), lines


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("SLUICE_SCRAPE_INTERVAL", "60s", "SLUICE_SCRAPE_INTERVAL says 60 s"),
        ("SLUICE_PROMETHEUS_URL", "http://prometheus.nowhere.svc:9090", "Prometheus gave no answer"),
        ("SLUICE_TRACKING_URI", "http://mlflow.nowhere.svc:5000", "MLflow at http://mlflow.nowhere.svc:5000"),
        ("SLUICE_GATEWAY_ADDRESS", "http://gateway.nowhere.svc", "the gateway at http://gateway.nowhere.svc"),
    ],
)
async def test_a_wrong_setting_is_named(kubectl: Kubectl, setting: str, value: str, says: str) -> None:
    """As the operator's pod sees it: the check runs there with another value."""
    check = f"{setting}={value} python -m sluice_operator.installation.check || true"
    where = ("exec", "-n", "sluice-system", "deployment/sluice-operator", "--", "sh", "-c", check)
    lines = (await kubectl.text(*where)).splitlines()
    failed = [line for line in lines if line.startswith("FAIL")]
    assert any(says in line for line in failed), lines
