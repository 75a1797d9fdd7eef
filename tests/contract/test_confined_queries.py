"""Hostile queries on a real Prometheus: its parser finds the namespace in each selector, and no secret comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from sluice_operator.analysis.confinement import confined
from tests.contract.conftest import eventually
from tests.contract.listening import listening
from tests.contract.prometheus_server import prometheus_in
from tests.unit.sluice_operator.analysis.hostile_queries import CONFINED

SECRET = 20771  # the value of the other namespace's series
SERIES = f"""
own{{namespace="models",pod="a"}} 1
own{{namespace="victim",pod="a"}} {SECRET}
secret{{namespace="victim",pod="a"}} {SECRET}
envoy_cluster_upstream_rq_xx{{namespace="gateways",envoy_cluster_name="models_iris-x_8081"}} 2
envoy_cluster_upstream_rq_xx{{namespace="gateways",envoy_cluster_name="victim_iris-x_8081"}} {SECRET}
"""


@contextmanager
def target() -> Iterator[str]:
    """The address of what Prometheus scrapes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(SERIES.encode())

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url.removeprefix("http://")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with the series of several namespaces. Experimental functions are on."""
    folder = tmp_path_factory.mktemp("prometheus")
    with target() as address:
        job = {"job_name": "all", "honor_labels": True, "static_configs": [{"targets": [address]}]}
        configuration = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
        with prometheus_in(folder, configuration, "--enable-feature=promql-experimental-functions") as url:
            base = f"{url}/api/v1"
            eventually(lambda: f'"{SECRET}"' in asked(base, "secret"), "the series of the other namespace")
            yield base


def asked(base: str, query: str) -> str:
    return httpx.post(f"{base}/query", data={"query": query}).text


def selectors(node: Any) -> Iterator[list[dict[str, str]]]:
    """The matchers of each selector in a tree of Prometheus's own parser."""
    if isinstance(node, dict):
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            yield node["matchers"]
        for child in node.values():
            yield from selectors(child)
    elif isinstance(node, list):
        for child in node:
            yield from selectors(child)


def confines(matcher: dict[str, str]) -> bool:
    return (matcher["name"], matcher["type"], matcher["value"]) in (
        ("namespace", "=", "models"),
        ("envoy_cluster_name", "=~", "models_.+"),
    )


@pytest.mark.parametrize("query", CONFINED)
def test_no_query_reads_another_namespace(url: str, query: str) -> None:
    """Prometheus finds the namespace in each selector of what was written, and no value of another one comes out."""
    written = confined(query, "models")
    parsed = httpx.post(f"{url}/parse_query", data={"query": written})
    assert parsed.status_code == 200, parsed.text
    found = list(selectors(json.loads(parsed.text)["data"]))
    assert found
    assert all(any(map(confines, matchers)) for matchers in found)
    assert str(SECRET) not in asked(url, written)


def test_the_secret_could_be_read_without(url: str) -> None:
    """Otherwise the test above would show nothing."""
    readable = [query for query in CONFINED if str(SECRET) in asked(url, query)]
    assert len(readable) >= 15
