"""The objectives that docs/objectives.md offers to users of other servers do what their comments say.

Each is evaluated by a real Prometheus, through the operator's reader, over scrapes that were recorded of that server:
five minutes in which the canary does well and the other revision badly, five the other way round, five without any
request.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sluice_operator.analysis import queries
from sluice_operator.api import names
from sluice_operator.api.spec import Objective, parse
from sluice_operator.api.status import Result
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Reader
from tests.contract import replayed

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "objectives.md"
EXAMPLES = {path.stem: path for path in sorted((ROOT / "manifests" / "examples" / "objectives").glob("*.yaml"))}
RECORDED = Path(__file__).parent / "recorded"
NAMESPACE, NAME = "models", "iris"  # in the recordings
REVISIONS = {"canary": "k3v5q7ahxm", "stable": "b2mzu4wy6t", "broken": "zo6c3fn2da"}


def objectives(server: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(EXAMPLES[server].read_text())["spec"]["objectives"]
    return found


OFFERED = [f"{server} {one['name']}" for server in EXAMPLES for one in objectives(server)]
OF_PODS = [one for one in OFFERED if (RECORDED / one.split()[0] / "stable").exists()]
OF_FAILURES = [one for one in OF_PODS if one.split()[1] in {"unfinished", "errors", "failed-inferences", "failures"}]


def discovered(revision: str) -> replayed.Labels:
    """What Prometheus knows of a pod before it relabels."""
    pod = f"{NAME}-{REVISIONS[revision]}-6d5f7c9b8-x2x8p"
    labels = {**names.labels(NAME), names.LABEL_REVISION: REVISIONS[revision]}
    of_pod = {f"label_{re.sub('[^a-zA-Z0-9]', '_', key)}": value for key, value in labels.items()}
    of_pod |= {"name": pod, "uid": f"uid-of-{pod}", "ip": "127.0.0.1", "container_port_name": "http"}
    return {"__meta_kubernetes_namespace": NAMESPACE} | {f"__meta_kubernetes_pod_{k}": v for k, v in of_pod.items()}


def documented_relabelling() -> list[dict[str, Any]]:
    """That of the page's scrape job, but for the line that chooses a port: here all servers are at one."""
    (block,) = re.findall(r"^```yaml\n(scrape_configs:.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    rules: list[dict[str, Any]] = yaml.safe_load(block)["scrape_configs"][0]["relabel_configs"]
    kept = [rule for rule in rules if rule.get("target_label") != "__address__"]
    assert len(kept) == len(rules) - 1
    return kept


def target(recording: Path) -> replayed.Target:
    """A pod is found by the page's scrape job; a gateway by whatever the cluster has, which names the gateway's pod."""
    if recording.name in REVISIONS:
        return replayed.Target(recording, discovered(recording.name), documented_relabelling())
    return replayed.Target(recording, {"namespace": "gateways", "pod": "gateway-7d4b9c6f5-x2x8p"})


@dataclass(frozen=True)
class Measured:
    """Prometheus with all recordings, which began at `began` (unix seconds)."""

    url: str
    began: float
    offered: dict[str, Objective]

    def values(self, offered: str, first: int, last: int, revision: str = "canary") -> list[tuple[float, float]]:
        """What the operator measures of an objective's query from one minute of the recording to another."""
        query = self.offered[offered].query
        assert query is not None
        promql = queries.rendered(query, NAMESPACE, NAME, REVISIONS.get(revision, revision))
        reader = Reader(connect(self.url))
        since, until = (self.began + 60 * minute for minute in (first, last))
        return asyncio.run(reader.values(promql, since, until, query.interval.total_seconds()))

    def judged(self, offered: str, values: list[tuple[float, float]]) -> Result:
        return queries.judged(self.offered[offered], values, self.began).result


@pytest.fixture(scope="module")
def measured(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """The examples as the API server stores them, and a Prometheus that knows what was recorded."""
    offered: dict[str, Objective] = {}
    for server, path in EXAMPLES.items():
        stored = kubectl.accepts(yaml.safe_load(path.read_text()))
        offered |= {f"{server} {one.name}": one for one in parse(stored["spec"]).objectives}
    began = time.time() // 60 * 60 - 4 * replayed.STRETCH
    targets = [target(scrape.parent) for scrape in sorted(RECORDED.glob("*/*/start.txt"))]
    with replayed.prometheus(targets, began, tmp_path_factory.mktemp("prometheus")) as url:
        yield Measured(url, began, offered)


@pytest.mark.parametrize("server", EXAMPLES)
def test_every_example_has_a_recording_and_a_place_in_the_page(server: str) -> None:
    """Nothing is offered that was not seen to work."""
    assert list((RECORDED / server).glob("*/start.txt")), f"record series of {server} in {RECORDED / server}"
    assert f"{server}.yaml" in PAGE.read_text()


@pytest.mark.parametrize("offered", OFFERED)
def test_a_canary_that_does_well_stays_inside_while_the_other_revision_does_not(
    measured: Measured, offered: str
) -> None:
    """One series, a number every minute, all of them inside: a Pass, whatever the other revision does."""
    values = measured.values(offered, 1, 5)
    assert len(values) == 5
    assert measured.judged(offered, values) is Result.PASS
    assert all(measured.judged(offered, [one]) is Result.PASS for one in values)


@pytest.mark.parametrize("offered", OFFERED)
def test_a_canary_that_does_badly_fails_with_the_measurement_after_the_tolerated_ones(
    measured: Measured, offered: str
) -> None:
    """Every minute of the bad stretch is beyond the limit, and the run fails exactly when failureLimit is exceeded."""
    well, badly = measured.values(offered, 1, 5), measured.values(offered, 6, 10)
    query = measured.offered[offered].query
    assert query is not None
    assert len(badly) == 5
    seen = [measured.judged(offered, [*well, *badly[: count + 1]]) for count in range(5)]
    assert seen == [Result.UNDECIDED] * query.failure_limit + [Result.FAIL] * (5 - query.failure_limit)


@pytest.mark.parametrize("offered", OFFERED)
def test_without_requests_there_is_no_measurement(measured: Measured, offered: str) -> None:
    """Before the first scrape there is no series, after the last request there is NaN: neither says anything."""
    assert measured.values(offered, -5, -1) == []
    silent = measured.values(offered, 11, 15)
    assert all(math.isnan(value) for _, value in silent)
    assert measured.judged(offered, silent) is Result.UNDECIDED


@pytest.mark.parametrize("offered", OFFERED)
def test_a_revision_without_series_of_its_own_gets_none_of_the_others(measured: Measured, offered: str) -> None:
    """Its name is told apart from that of the object, and from longer and shorter ones."""
    assert measured.values(offered, 1, 15, revision="k3v5q7ahx") == []
    assert measured.values(offered, 1, 15, revision="k3v5q7ahxmm") == []


@pytest.mark.parametrize("offered", OF_PODS)
def test_the_other_revision_is_measured_by_the_same_query(measured: Measured, offered: str) -> None:
    """The recordings do hold its trouble: it begins where the canary does well, and ends where that does badly."""
    badly, well = (measured.values(offered, *minutes, revision="stable") for minutes in ((1, 5), (6, 10)))
    assert measured.judged(offered, badly) is Result.FAIL
    assert measured.judged(offered, well) is Result.PASS


@pytest.mark.parametrize("offered", OF_FAILURES)
def test_a_revision_that_never_answers_well_is_seen(measured: Measured, offered: str) -> None:
    """From its first request on every one fails, so series of success are missing: that is no lack of measurements."""
    values = measured.values(offered, 2, 10, revision="broken")
    assert [value for _, value in values] == pytest.approx([1.0] * 9)
