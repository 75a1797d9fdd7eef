"""The objectives of docs/other-servers.md for other model servers do what their comments say.

The operator's reader asks a real Prometheus with recorded scrapes of that server: five minutes in which the canary is
good and stable is bad, five minutes the other way round, and five minutes without requests.
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
from sluice_operator.controller.evaluation.user_queries import UserQueries
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import Reader
from tests.contract import replayed

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "other-servers.md"
EXAMPLES = {path.stem: path for path in sorted((ROOT / "manifests" / "examples" / "objectives").glob("*.yaml"))}
RECORDED = Path(__file__).parent / "recorded"
NAMESPACE, NAME = "models", "iris"  # in the recordings
REVISIONS = {"canary": "k3v5q7ahxm", "stable": "b2mzu4wy6t", "broken": "zo6c3fn2da"}


def objectives(server: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = yaml.safe_load(EXAMPLES[server].read_text())["spec"]["objectives"]
    return listed


OFFERED = [f"{server} {objective['name']}" for server in EXAMPLES for objective in objectives(server)]
OF_PODS = [offered for offered in OFFERED if (RECORDED / offered.split()[0] / "stable").exists()]
_FAILURES = {"unfinished", "errors", "failed-inferences", "failures"}
OF_FAILURES = [offered for offered in OF_PODS if offered.split()[1] in _FAILURES]


def discovered(revision: str) -> replayed.Labels:
    """The labels of a pod from service discovery, before relabelling."""
    pod = f"{NAME}-{REVISIONS[revision]}-6d5f7c9b8-x2x8p"
    labels = {**names.labels(NAME), names.LABEL_REVISION: REVISIONS[revision]}
    of_pod = {f"label_{re.sub('[^a-zA-Z0-9]', '_', key)}": value for key, value in labels.items()}
    of_pod |= {"name": pod, "uid": f"uid-of-{pod}", "ip": "127.0.0.1", "container_port_name": "http"}
    return {"__meta_kubernetes_namespace": NAMESPACE} | {
        f"__meta_kubernetes_pod_{key}": value for key, value in of_pod.items()
    }


def documented_relabelling() -> list[dict[str, Any]]:
    """The relabelling of the page's scrape job, without the rule that chooses a port: here there is only one."""
    (block,) = re.findall(r"^```yaml\n(scrape_configs:.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    rules: list[dict[str, Any]] = yaml.safe_load(block)["scrape_configs"][0]["relabel_configs"]
    without_port = [rule for rule in rules if rule.get("target_label") != "__address__"]
    assert len(without_port) == len(rules) - 1
    return without_port


def target(recording: Path) -> replayed.Target:
    """A pod has the labels of the page's scrape job. A gateway is scraped by another job, with the gateway's pod."""
    if recording.name in REVISIONS:
        return replayed.Target(recording, discovered(recording.name), documented_relabelling())
    return replayed.Target(recording, {"namespace": "gateways", "pod": "gateway-7d4b9c6f5-x2x8p"})


@dataclass(frozen=True)
class Measured:
    """A Prometheus with all recordings, which begin at `began` (unix seconds), and the objectives by name."""

    url: str
    began: float
    offered: dict[str, Objective]

    def values(self, offered: str, first: int, last: int, revision: str = "canary") -> list[tuple[float, float]]:
        """What the operator measures with an objective's query, from minute `first` to `last` of the recording."""
        query = self.offered[offered].query
        assert query is not None
        promql = UserQueries().promql(query, (NAMESPACE, NAME), REVISIONS.get(revision, revision), None)
        reader = Reader(connect(self.url))
        since, until = (self.began + 60 * minute for minute in (first, last))
        return asyncio.run(reader.values(promql, since, until, query.interval.total_seconds()))

    def judged(self, offered: str, values: list[tuple[float, float]]) -> Result:
        query = self.offered[offered].query
        assert query is not None
        return queries.judged(self.offered[offered], queries.Measured().plus(query, values), self.began).result


@pytest.fixture(scope="module")
def measured(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """The examples as the API server stores them, and a Prometheus with all recordings."""
    offered: dict[str, Objective] = {}
    for server, path in EXAMPLES.items():
        stored = kubectl.accepts(yaml.safe_load(path.read_text()))
        offered |= {f"{server} {objective.name}": objective for objective in parse(stored["spec"]).objectives}
    began = time.time() // 60 * 60 - 4 * replayed.PERIOD
    targets = [target(scrape.parent) for scrape in sorted(RECORDED.glob("*/*/start.txt"))]
    with replayed.prometheus(targets, began, tmp_path_factory.mktemp("prometheus")) as url:
        yield Measured(url, began, offered)


@pytest.mark.parametrize("server", EXAMPLES)
def test_each_example_has_a_recording_and_is_in_the_page(server: str) -> None:
    """Only objectives that were tried are offered."""
    assert list((RECORDED / server).glob("*/start.txt")), f"record series of {server} in {RECORDED / server}"
    assert f"{server}.yaml" in PAGE.read_text()


@pytest.mark.parametrize("offered", OFFERED)
def test_a_good_canary_passes_while_stable_is_bad(measured: Measured, offered: str) -> None:
    """The query gives one series with a number each minute, and all are inside the limit."""
    values = measured.values(offered, 1, 5)
    assert len(values) == 5
    assert measured.judged(offered, values) is Result.PASS
    assert all(measured.judged(offered, [measurement]) is Result.PASS for measurement in values)


@pytest.mark.parametrize("offered", OFFERED)
def test_a_bad_canary_fails_when_failure_limit_is_exceeded(measured: Measured, offered: str) -> None:
    """Each measurement of the bad minutes is over the limit, and the run fails with the first one too many."""
    good, bad = measured.values(offered, 1, 5), measured.values(offered, 6, 10)
    query = measured.offered[offered].query
    assert query is not None
    assert len(bad) == 5
    results = [measured.judged(offered, [*good, *bad[: count + 1]]) for count in range(5)]
    assert results == [Result.UNDECIDED] * query.failure_limit + [Result.FAIL] * (5 - query.failure_limit)


@pytest.mark.parametrize("offered", OFFERED)
def test_without_requests_there_is_no_measurement(measured: Measured, offered: str) -> None:
    """Before the first scrape there is no series, and after the last request the value is NaN."""
    assert measured.values(offered, -5, -1) == []
    unused = measured.values(offered, 11, 15)
    assert all(math.isnan(value) for _, value in unused)
    assert measured.judged(offered, unused) is Result.UNDECIDED


@pytest.mark.parametrize("offered", OFFERED)
def test_a_revision_without_series_gets_none_of_another(measured: Measured, offered: str) -> None:
    """Also if the name of the other one is only longer or shorter."""
    assert measured.values(offered, 1, 15, revision="k3v5q7ahx") == []
    assert measured.values(offered, 1, 15, revision="k3v5q7ahxmm") == []


@pytest.mark.parametrize("offered", OF_PODS)
def test_stable_can_be_measured_with_the_same_query(measured: Measured, offered: str) -> None:
    """The recordings do have its errors: it is bad while the canary is good, and good afterwards."""
    bad, good = (measured.values(offered, *minutes, revision="stable") for minutes in ((1, 5), (6, 10)))
    assert measured.judged(offered, bad) is Result.FAIL
    assert measured.judged(offered, good) is Result.PASS


@pytest.mark.parametrize("offered", OF_FAILURES)
def test_a_revision_that_fails_every_request_is_measured(measured: Measured, offered: str) -> None:
    """It has no series for successful requests, and is measured all the same."""
    values = measured.values(offered, 2, 10, revision="broken")
    assert [value for _, value in values] == pytest.approx([1.0] * 9)
