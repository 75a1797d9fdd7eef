"""Verdicts from a real Prometheus are the same as from the fake of the unit tests, also after unusable answers.

It gets all samples of the fake in one scrape; each sample has its own time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.api.run import Run
from sluice_operator.api.status import Result, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from tests.contract.conftest import PATIENCE
from tests.contract.listening import listening
from tests.contract.prometheus_server import prometheus_in
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    INTERVAL,
    STABLE,
    START,
    FakePrometheus,
    a_run,
    evaluator_for,
    serving,
    verdict_at,
)

BEGAN = time.time() // 1 - START - 400  # begin of the run, in the time of the unit tests: all samples are before now
PREFIX = "/teams/prometheus"  # where it is behind the gateway of others
MAX_SAMPLES = 5_000  # that one query may load


def exposition(fake: FakePrometheus, later: float = 0.0) -> bytes:
    """All samples of `fake` as one scrape, `later` seconds after their own times."""
    lines = []
    for labels, samples in fake.series.items():
        name, *rest = labels
        series = ",".join(f'{label}="{value}"' for label, value in rest)
        lines += [f"{name[1]}{{{series}}} {value} {(at + BEGAN + later) * 1000:.0f}" for at, value in samples]
    return "\n".join([*lines, ""]).encode()


def clashing() -> bytes:
    """Labels that a pod of the canary has counted for both revisions, as the server exports them."""
    fake = FakePrometheus()
    for at, own, other in ((0, 100, 3), (10, 101, 8), (20, 102, 9)):
        for revision, value in ((CANARY, own), (STABLE, other)):
            fake.series.setdefault(
                (("__name__", "ml_feedback_total"), ("revision", revision), ("entry", "gateway")), []
            ).append((START + at, str(value)))
    return exposition(fake)


TARGET = {"namespace": "models", "model_deployment": "clash", "pod_uid": "c", "revision": CANARY}
SCRAPES = {  # by job: the text that it scrapes, and the labels of its target
    "pods": (exposition(serving()), {}),
    "services": (exposition(serving(), later=3), {}),
    "clash": (clashing(), TARGET),
}


Scrapes = dict[str, tuple[bytes, dict[str, str]]]


@contextmanager
def targets(scrapes: Scrapes) -> Iterator[tuple[str, dict[str, threading.Event]]]:
    """The address of the targets, and an event for each job: set when Prometheus has stored its samples.

    It has stored them when it asks for the second time.
    """
    requests, stored = dict.fromkeys(scrapes, 0), {job: threading.Event() for job in scrapes}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            job = self.path.strip("/")
            requests[job] += 1
            if requests[job] > 1:
                stored[job].set()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(scrapes[job][0] if requests[job] == 1 else b"")

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url.removeprefix("http://"), stored


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has stored the samples of all targets."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), SCRAPES) as address:
        yield address


@contextmanager
def prometheus(folder: Path, scrapes: Scrapes) -> Iterator[str]:
    """The URL, with a path, of a Prometheus with its data in `folder`, that has stored these samples."""
    with targets(scrapes) as (address, stored):
        jobs = [
            {
                "job_name": job,
                "metrics_path": f"/{job}",
                "static_configs": [{"targets": [address], "labels": labels}],
            }
            for job, (_, labels) in scrapes.items()
        ]
        timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        old = {"tsdb": {"out_of_order_time_window": "2d"}}  # samples of the past are taken, whoever was scraped first
        configuration = {"global": timing, "storage": old, "scrape_configs": jobs}
        options = (f"--web.route-prefix={PREFIX}", f"--query.max-samples={MAX_SAMPLES}")
        with prometheus_in(folder, configuration, *options) as started:
            for job, event in stored.items():
                assert event.wait(PATIENCE), f"{job} was not read: {(folder / 'prometheus.log').read_text()[-2000:]}"
            yield f"{started}{PREFIX}"


def verdict_from(url: str, now: float, run: Run) -> Verdict:
    """The verdict on `run`, `now` seconds after BEGAN."""
    return verdict_at(Evaluator(Reader(connect(url)), Intervals(scrape=INTERVAL, evaluation=5)), BEGAN + now, run)


@pytest.mark.parametrize("now", [35, 155, 300])
def test_a_target_that_two_jobs_scrape_is_not_counted_twice(url: str, now: float) -> None:
    """The verdict has the same numbers as with a fake that has each sample once."""
    assert verdict_from(url, now, a_run(BEGAN)) == verdict_at(evaluator_for(serving()), now, a_run())


def test_without_its_path_the_message_asks_for_the_address(url: str) -> None:
    """Prometheus answers 404 with a page of text."""
    with pytest.raises(MetricsLostError, match="HTTP 404, Not Found: is that the address of Prometheus, with its path"):
        asyncio.run(Reader(connect(url.removesuffix(PREFIX))).ahead())


def test_a_retention_shorter_than_the_run_loses_counts_and_invents_none(url: str) -> None:
    """The run began half an hour before the oldest sample, at which the counters were not 0."""
    verdict = verdict_from(url, 155, a_run(BEGAN - 1800))
    assert (verdict.result, verdict.objectives[0].canary, verdict.objectives[0].requests) == (Result.PASS, "0%", 360)


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ('"a string"', """Prometheus gave no answer: HTTP 400, invalid parameter "query": invalid expression type"""),
        ("sum(", "the query is not sent: it cannot be read as PromQL: '(' at character 4 is not closed"),
        ("ml_requests_total[5m]", """Prometheus gave no answer: HTTP 400, invalid parameter "query": invalid expr"""),
        (
            'ml_requests_total{job="pods",code="200"}',
            "the query gives 2 series: aggregate them into one, such as by sum",
        ),
        (
            'sum(count_over_time({__name__=~"ml_.+"}[1h:1s]))',
            "Prometheus gave no answer: HTTP 422, query processing would load too many samples into memory",
        ),
        ("sum(nothing)", "needs a measurement inside the limit"),
        ("vector(0) / 0", "needs a measurement inside the limit"),
        ("1 / 0", "needs a measurement inside the limit"),
    ],
)
def test_a_query_without_a_number_is_undecided(url: str, expr: str, message: str) -> None:
    """The message has Prometheus's error. A misspelt query rolls nothing back."""
    verdict = verdict_from(url, 300, a_run(BEGAN, objectives=measuring(expr)))
    assert verdict.result is Result.UNDECIDED
    assert verdict.message.startswith(f"mine is undecided: nothing measured, at most 20; {message}")
    assert len(verdict.message) < 300


@pytest.mark.parametrize("expr", ["15", "scalar(vector(15))", "vector(15)"])
def test_a_query_may_give_a_number_or_a_series(url: str, expr: str) -> None:
    """Both are measured once per interval of the objective."""
    verdict = verdict_from(url, 300, a_run(BEGAN, objectives=measuring(expr)))
    (mine,) = (objective for objective in verdict.objectives if objective.name == "mine")
    assert (verdict.result, mine.canary, mine.requests) == (Result.PASS, "15", 30)


def measuring(expr: str) -> Any:
    query = {"expr": expr, "max": "20", "interval": "10s", "failureLimit": 0}
    return a_spec(objectives=[{"name": "mine", "query": query}]).objectives


def test_a_query_with_too_many_samples_is_an_error(url: str) -> None:
    """Prometheus refuses the whole answer, so no verdict can be based on a part of it."""
    everything = Selection((("models", "iris"),), (CANARY, STABLE), (0.2,))
    assert len(asyncio.run(Reader(connect(url)).raw(everything, START + BEGAN - 60, START + BEGAN + 400))) > 0
    with pytest.raises(MetricsLostError, match="HTTP 422, query processing would load too many samples into memory"):
        asyncio.run(Reader(connect(url)).grid(everything, START + BEGAN - 60, START + BEGAN + 4000, 1))


def test_a_label_that_clashes_with_the_target_moves_no_count(url: str) -> None:
    """Prometheus renames the label of the server. Labels for stable are still not counted for the canary."""
    counters = Counters()
    selection = Selection((("models", "clash"),), (CANARY, STABLE))
    counters.add(asyncio.run(Reader(connect(url)).raw(selection, START + BEGAN - 60, START + BEGAN + 60)))
    grown = {
        revision: [grown for _, grown in counters.grown(revision, START + BEGAN, 2e9)] for revision in (CANARY, STABLE)
    }
    assert grown == {CANARY: [2], STABLE: [6]}
