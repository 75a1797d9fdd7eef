"""One prediction and one rollout are found in a real Loki and a real Jaeger, with the queries of the page about it."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from dev.api_server import ROOT
from sluice_operator.manifests import builders
from sluice_server.model import manifest
from sluice_server.model.manifest import SignatureText
from tests.contract.conftest import PATIENCE, Kubectl
from tests.contract.observability import SETUP, Jaeger, Node, jaeger, lines, loki, promtail
from tests.contract.served import serving, wait_until
from tests.contract.test_server_process import ROW, model_dir
from tests.unit.sluice_operator.build import OWNER, revision
from tests.unit.sluice_operator.telemetry.test_exporter import operate

__all__ = ["model_dir"]
CORRELATION_ID = "checkout-7f3a"
SERVED = revision(1)
COLUMNS = [{"type": "double", "name": f"{part}_{side}"} for part in ("sepal", "petal") for side in ("length", "width")]
PAGE = (ROOT / "docs" / "logs-and-traces.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```logql\n(.+?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
LOGS, TRACES = yaml.safe_load((SETUP / "datasources.yaml").read_text(encoding="utf-8"))["datasources"]


@dataclass(frozen=True)
class World:
    """Where logs and traces are, and which rollout left them beside the prediction."""

    loki: str
    jaeger: Jaeger
    run: str

    def lines(self, query: str) -> list[str]:
        found: list[str] = soon(lambda: lines(self.loki, query), query)
        return found

    def prediction(self) -> str:
        """The line of the prediction."""
        (line,) = self.lines('{app="sluice-model"} |= "' + CORRELATION_ID + '"')
        return line

    def spans_with(self, service: str, tag: str, value: str) -> list[dict[str, Any]]:
        """The spans of the one trace of a service that has a span with this tag."""
        params = {
            "service": service,
            "tags": json.dumps({tag: value}),
            "start": "0",
            "end": str(int(time.time() * 1e6)),
        }
        return self._only_trace("", **params)

    def spans_of(self, trace_id: str) -> list[dict[str, Any]]:
        return self._only_trace(f"/{trace_id}")

    def _only_trace(self, path: str, **params: str) -> list[dict[str, Any]]:
        def asked() -> Any:
            answer = httpx.get(f"{self.jaeger.url}/api/traces{path}", params=params, trust_env=False)
            return answer.json()["data"] if answer.status_code == 200 else None

        (trace,) = soon(asked, f"{path} {params}")
        return list(trace["spans"])


def soon(look: Callable[[], Any], what: str) -> Any:
    """What is found at last: what has just been sent or started is not there at once."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"found nothing: {what}"
        time.sleep(0.1)
    return found


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def predict(folder: Path, model: Path, otlp_port: int) -> str:
    """A model server answers one prediction, and ends. Returns what it has logged."""
    shutil.copytree(model, folder / "model")
    found = manifest.read(model)
    named = msgspec.structs.replace(found, signature=SignatureText(json.dumps(COLUMNS), None))
    manifest.write(named, folder / "model")
    variables = {
        "SLUICE_MODEL_DEPLOYMENT": OWNER.name,
        "SLUICE_REVISION": SERVED.revision,
        "SLUICE_PREDICTION_LOG_SAMPLE": "1",
        "SLUICE_DRAIN_DELAY": "0",
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{otlp_port}",
        "NO_PROXY": "127.0.0.1",
    }
    with serving(folder / "model", folder, **variables) as served:
        headers = {"x-correlation-id": CORRELATION_ID}
        assert httpx.post(f"{served.gateway}/predict", json=ROW, headers=headers).status_code == 200
        wait_until("prediction", lambda: CORRELATION_ID in served.log.read_text(), served.log)
        served.process.terminate()  # which sends the spans
        assert served.process.wait(PATIENCE) == 0
    return served.log.read_text()


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A model server has answered one prediction and the operator has rolled back one revision, each in its pod."""
    folder = {name: tmp_path_factory.mktemp(name) for name in ("loki", "jaeger", "promtail", "server", "pods")}
    account = ("serviceaccount", "default", "--namespace=models")  # a controller of a cluster makes it
    operator = yaml.safe_load((ROOT / "manifests" / "install" / "base" / "deployment.yaml").read_text())
    node, model = Node(kubectl, folder["pods"]), builders.deployment(OWNER, SERVED, replicas=1)
    with ExitStack() as ending:
        kubectl("create", *account)
        ending.callback(kubectl, "delete", *account)
        backend = ending.enter_context(jaeger(folder["jaeger"]))
        loki_url = ending.enter_context(loki(folder["loki"]))
        ending.enter_context(promtail(node, loki_url, folder["promtail"]))
        soon(lambda: answers(loki_url) and answers(backend.url), "Loki and Jaeger")
        predicted = predict(folder["server"], model_dir, backend.otlp_port)
        rollout = operate(backend.otlp_port, "fails")
        ending.enter_context(node.pod("iris-1", model["spec"]["template"], "server", predicted))
        ending.enter_context(node.pod("operator-1", operator["spec"]["template"], "operator", rollout.stderr))
        yield World(loki_url, backend, rollout.stdout.split()[-1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def test_one_prediction_is_found_by_its_correlation_id_in_logs_and_in_traces(world: World) -> None:
    """And the trace id of its line leads to that trace."""
    line = json.loads(world.prediction())
    assert (line["event"], line["correlation_id"]) == ("prediction", CORRELATION_ID)
    (span,) = world.spans_with("sluice-server", "correlation.id", CORRELATION_ID)
    assert span["operationName"] == "model_inference"
    assert line["trace_id"] == span["traceID"]
    assert [span["spanID"]] == [each["spanID"] for each in world.spans_of(line["trace_id"])]


def test_a_rollout_is_one_trace(world: World) -> None:
    """With the phases and weights of the run that its logs name."""
    spans = world.spans_with("sluice-operator", "sluice.run", world.run)
    names = sorted(span["operationName"] for span in spans)
    assert names == ["RollingBack", "Starting", "Stepping", "run", "weight", "weight"]
    ids = {span["spanID"] for span in spans}
    parents = [reference["spanID"] for span in spans for reference in span["references"]]
    assert len(parents) >= len(spans) - 1
    assert set(parents) <= ids
    told = world.lines('{app="sluice-operator"} | json | run="' + world.run + '"')
    assert any("RollingBack" in line for line in told)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_of_the_page_finds_lines(world: World, query: str) -> None:
    """With the ids of the prediction and of the rollout in the places of its words."""
    ids = {"CORRELATION_ID": CORRELATION_ID, "TRACE_ID": json.loads(world.prediction())["trace_id"], "RUN": world.run}
    asked = re.sub("|".join(ids), lambda found: ids[found[0]], query)
    assert world.lines(asked)


def test_the_page_has_queries() -> None:
    """The test above would pass if none were found."""
    assert any("| json | correlation_id=" in query for query in QUERIES)


def test_labels_are_those_of_the_pod_and_never_an_id(world: World) -> None:
    """An id as a label would make a stream for each request."""
    world.prediction()
    streams = httpx.get(f"{world.loki}/loki/api/v1/series", params={"match[]": '{app="sluice-model"}'}, trust_env=False)
    assert streams.json()["data"] == [
        {
            "app": "sluice-model",
            "namespace": "models",
            "pod": "iris-1",
            "container": "server",
            "model_deployment": OWNER.name,
            "revision": SERVED.revision,
        }
    ]


def test_the_links_of_grafana_lead_from_a_line_to_its_trace_and_back(world: World) -> None:
    """What Grafana puts into the places of its variables is put there by this test."""
    (link,) = LOGS["jsonData"]["derivedFields"]
    assert (link["url"], link["datasourceUid"]) == ("$${__value.raw}", TRACES["uid"])
    (trace_id,) = re.findall(link["matcherRegex"], world.prediction())
    (span,) = world.spans_of(trace_id)
    back = TRACES["jsonData"]["tracesToLogsV2"]
    assert back["datasourceUid"] == LOGS["uid"]
    (run,) = (each for each in world.spans_with("sluice-operator", "sluice.run", world.run) if not each["references"])
    for found, named in ((span, CORRELATION_ID), (run, world.run)):
        known = [f'{tag["value"]}="{tags(found)[tag["key"]]}"' for tag in back["tags"] if tag["key"] in tags(found)]
        assert all(named in line for line in world.lines(back["query"].replace("$${__tags}", ", ".join(known))))
