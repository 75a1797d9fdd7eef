"""The chart while a model serves.

It is installed in the place of the plain manifests, upgraded and rolled back in the middle of runs, and taken away.
Each of these is done once; the tests check what was seen.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from dev.demo import cluster as clusters
from dev.demo import promises
from dev.demo.cluster import Addresses, CommandError, Kubectl
from dev.demo.models import Versions
from dev.demo.status import Status
from dev.demo.tally import answered_by
from dev.demo.traffic import Stream
from dev.helm import NAMESPACE as SYSTEM
from dev.helm import Helm
from dev.processes import free_ports, running
from dev.programs import find_program
from tests.e2e.rollouts import NAMESPACE, Place, deployed, eventually, manifest

pytestmark = pytest.mark.anyio

VALUES: dict[str, Any] = {
    "images": {
        "operator": "registry.local/sluice-operator:dev",
        "server": "registry.local/sluice-server:dev",
        "serverPyfunc": "registry.local/sluice-server-pyfunc:dev",
    },
    "mlflow": {"url": "http://mlflow.mlflow.svc:5000"},
    "prometheus": {"url": "http://prometheus.monitoring.svc:9090", "scrapeInterval": "2s"},
    "gateway": {"address": "http://traefik.traefik.svc"},
    "settings": {"SLUICE_EVALUATION_INTERVAL": "2s"},
    "web": {"enabled": True},
    "userRoles": {"enabled": True},
}
IN_PLACE_OF_THE_PLAIN_MANIFESTS = ("--take-ownership", "--force-conflicts", "--set=checks.otherInstalls=false")
WAIT = ("--wait", "--timeout=3m")
VIEWER, STRANGER, NOBODY = "page-viewer", "page-stranger", "nobody"


@dataclass(frozen=True)
class Story:
    """What was seen from the install until after the operator was taken away."""

    tested: str  # what `helm test` printed
    pages: dict[str, httpx.Response]  # of the web page, by who asked
    promoted: Status
    rejected: Status
    operators: list[str]  # the holder of the Lease after the install, the upgrade and the rollback
    without_operator: int  # requests that were answered when there was none
    stream: Stream


class Chart:
    """The release on the cluster."""

    def __init__(self, helm: Helm, kubectl: Kubectl) -> None:
        self._helm, self._kubectl = helm, kubectl

    async def helm(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        return await asyncio.to_thread(self._helm, *arguments, f"--namespace={SYSTEM}", values=values)

    async def working(self) -> str:
        """The operator that works: the holder of the Lease. The one that ended has given it back."""

        async def held() -> str | None:
            lease = ("get", "lease", "sluice-leader", "-n", SYSTEM, "-o", "jsonpath={.spec.holderIdentity}")
            pods = await self._kubectl.items("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=sluice-operator")
            holder = await self._kubectl.text(*lease)
            staying = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            return next((name for name in staying if name in holder), None)

        return await eventually("an operator has the Lease", held)


class WebPage:
    """The page in the cluster, and two accounts: one may view the namespace of the tests, the other may see nothing."""

    def __init__(self, cluster: Addresses, kubectl: Kubectl, folder: Path) -> None:
        self._cluster, self._kubectl, self._log = cluster, kubectl, folder / "port-forward.log"

    async def seen(self, model: str) -> dict[str, httpx.Response]:
        """The answer for one model, by who asks: each account, and somebody without a token."""
        for account in (VIEWER, STRANGER):
            await self._kubectl.text("create", "serviceaccount", account, "-n", NAMESPACE)
        bound = ("--clusterrole=view", f"--serviceaccount={NAMESPACE}:{VIEWER}")
        await self._kubectl.text("create", "rolebinding", VIEWER, "-n", NAMESPACE, *bound)
        path, found = f"/namespaces/{NAMESPACE}/models/{model}", {}
        with self._forwarded() as url:
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                await eventually("the page answers", lambda: answer(client))
                await eventually("the role is part of `view`", self._may_be_viewed)
                for account in (VIEWER, STRANGER):
                    token = (await self._kubectl.text("create", "token", account, "-n", NAMESPACE)).strip()
                    found[account] = await client.get(path, headers={"Authorization": f"Bearer {token}"})
                found[NOBODY] = await client.get(path)
        return found

    async def _may_be_viewed(self) -> bool | None:
        """A controller adds `sluice-view` to `view` a moment after the install."""
        account = f"system:serviceaccount:{NAMESPACE}:{VIEWER}"
        asked = ("auth", "can-i", "get", "modeldeployments.sluice.dev", "-n", NAMESPACE, f"--as={account}")
        try:
            return (await self._kubectl.text(*asked)).strip() == "yes" or None
        except CommandError:  # which says no
            return None

    @contextmanager
    def _forwarded(self) -> Iterator[str]:
        """Its address on this machine, by `kubectl port-forward`."""
        (port,) = free_ports(1)
        what = ("port-forward", "-n", SYSTEM, "service/sluice-web", f"{port}:80")
        with running([self._cluster.kubectl, f"--kubeconfig={self._cluster.kubeconfig}", *what], self._log):
            yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def web_page(cluster: Addresses, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> WebPage:
    return WebPage(cluster, kubectl, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
async def chart(cluster: Addresses, kubectl: Kubectl) -> AsyncIterator[Chart]:
    """Not installed yet. In the end there is the install of the cluster again."""
    chart = Chart(Helm(find_program("helm"), Path(cluster.kubeconfig)), kubectl)
    try:
        yield chart
    finally:
        if "sluice" in await chart.helm("list", "--short"):
            await chart.helm("uninstall", "sluice", "--wait")
        await kubectl.text("delete", "pod", "sluice-test", "-n", SYSTEM, "--ignore-not-found")
        clusters.run_part("install")


@pytest.fixture(scope="module")
async def story(chart: Chart, place: Place, versions: Versions, web_page: WebPage) -> Story:
    async with deployed(place, manifest("iris-chart"), versions.first) as iris:
        await iris.until_ready()
        async with Stream(place.gateway, iris.host) as stream:
            await chart.helm("install", "sluice", *IN_PLACE_OF_THE_PLAIN_MANIFESTS, *WAIT, values=VALUES)
            operators = [await chart.working()]
            tested = await chart.helm("test", "sluice", "--logs")

            await iris.follow(versions.better)
            await iris.until_live(versions.better, weight=10)
            changed = {**VALUES, "settings": {**VALUES["settings"], "SLUICE_WORKERS": 4}}
            await chart.helm("upgrade", "sluice", *WAIT, values=changed)
            operators.append(await chart.working())
            pages = await web_page.seen(iris.name)
            promoted = await iris.until_ended(versions.better, runs=2)

            await iris.follow(versions.bad)
            await iris.until_live(versions.bad, weight=10)
            await chart.helm("rollback", "sluice", *WAIT)
            operators.append(await chart.working())
            rejected = await iris.until_ended(versions.bad, runs=3)

            await chart.helm("uninstall", "sluice", "--wait")
            without_operator = await answers(stream)
    return Story(tested, pages, promoted, rejected, operators, without_operator, stream)


async def answer(client: httpx.AsyncClient) -> httpx.Response | None:
    try:
        return await client.get("/healthz")
    except httpx.TransportError:
        return None


async def answers(stream: Stream, count: int = 100) -> int:
    """Wait for `count` predictions that are asked for from now on."""
    since = stream.now

    async def answered() -> int | None:
        total = answered_by(stream.requests, since).total()
        return total if total >= count else None

    return await eventually(f"{count} more predictions", answered)


async def test_no_request_fails(story: Story) -> None:
    """From before the install until after the operator was taken away, through a promotion and a rollback."""
    checked = promises.none_failed(story.stream.requests)
    assert checked.kept, checked.found
    assert story.without_operator >= 100


async def test_the_install_is_well(story: Story) -> None:
    """Its own test asks everything that the operator asks."""
    assert re.search(r"Phase:\s+Succeeded", story.tested), story.tested


async def test_a_run_outlives_an_upgrade_and_a_rollback_of_the_operator(story: Story) -> None:
    """Each is another pod, and each goes on with the run that it finds."""
    assert len(set(story.operators)) == 3
    assert [entry.outcome for entry in story.promoted.history] == ["Promoted", "Promoted"]
    assert [entry.outcome for entry in story.rejected.history] == ["Rejected", "Promoted", "Promoted"]


async def test_the_page_shows_a_model_to_those_who_may_see_it(story: Story) -> None:
    """It runs in the cluster without rights of its own."""
    seen = story.pages[VIEWER]
    assert seen.status_code == 200
    assert "iris-chart" in seen.text
    assert "Stepping" in seen.text or "Promoting" in seen.text
    assert story.pages[STRANGER].status_code == 403
    assert story.pages[NOBODY].status_code == 401


@pytest.mark.usefixtures("story")
async def test_models_and_their_kind_stay(kubectl: Kubectl) -> None:
    """`helm uninstall` takes the operator and its rights away, and nothing of a team."""
    assert await kubectl.text("get", "crd", "modeldeployments.sluice.dev")
    assert not await kubectl.items("deployments", "-n", SYSTEM, "-l", "app.kubernetes.io/instance=sluice")
