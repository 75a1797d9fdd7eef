"""A real Prometheus that is asked in vain, or knows things twice: verdicts on it are what unit tests promise.

It scrapes at once all that the fake of the unit tests knows; the samples carry their own times.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_operator.api.status import Result, Run, Verdict
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.connection import connect
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from tests.contract.conftest import PATIENCE, ROOT, free_ports, running
from tests.unit.sluice_operator.build import a_spec
from tests.unit.sluice_operator.fake_prometheus import (
    CANARY,
    INTERVAL,
    STABLE,
    START,
    FakePrometheus,
    a_run,
    look,
    serving,
    trials,
)

FOLDER = "source dev/cluster/config.sh; source dev/cluster/binaries.sh; binaries prometheus"
BEGAN = time.time() // 1 - START - 400  # of the run, in the unit tests' time: they all end before now
MOST_SAMPLES = 5_000  # that one query may load


def told(known: FakePrometheus, later: float = 0.0) -> bytes:
    """All of its samples as one scrape, `later` seconds after those of another job."""
    lines = []
    for labels, samples in known.series.items():
        name, *rest = labels
        series = ",".join(f'{label}="{value}"' for label, value in rest)
        lines += [f"{name[1]}{{{series}}} {value} {(at + BEGAN + later) * 1000:.0f}" for at, value in samples]
    return "\n".join([*lines, ""]).encode()


def clashing() -> bytes:
    """Labels that a canary's pod counts for both revisions, as the server exports them."""
    known = FakePrometheus()
    for at, own, other in ((0, 100, 3), (10, 101, 8), (20, 102, 9)):
        for revision, value in ((CANARY, own), (STABLE, other)):
            known.series.setdefault(
                (("__name__", "ml_feedback_total"), ("revision", revision), ("entry", "gateway")), []
            ).append((START + at, str(value)))
    return told(known)


TARGET = {"namespace": "models", "model_deployment": "clash", "pod_uid": "c", "revision": CANARY}
SCRAPES: dict[str, tuple[bytes, dict[str, str]]] = {  # by job: what it reads, and the labels of its target
    "pods": (told(serving()), {}),
    "services": (told(serving(), later=3), {}),
    "clash": (clashing(), TARGET),
}


@contextmanager
def targets() -> Iterator[tuple[str, dict[str, threading.Event]]]:
    """Their address, and by job when it is read: who asks again has stored the first answer."""
    asked, read = dict.fromkeys(SCRAPES, 0), {job: threading.Event() for job in SCRAPES}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            job = self.path.strip("/")
            asked[job] += 1
            if asked[job] > 1:
                read[job].set()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(SCRAPES[job][0] if asked[job] == 1 else b"")

        def log_message(self, format: str, *arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", read
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has read all targets."""
    folder = tmp_path_factory.mktemp("prometheus")
    with targets() as (address, read):
        jobs = [
            {
                "job_name": job,
                "metrics_path": f"/{job}",
                "static_configs": [{"targets": [address], "labels": labels}],
            }
            for job, (_, labels) in SCRAPES.items()
        ]
        every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        config, (port,) = folder / "prometheus.yml", free_ports(1)
        config.write_text(yaml.safe_dump({"global": every, "scrape_configs": jobs}))
        command = [
            *(program(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
            *(f"--web.listen-address=127.0.0.1:{port}", f"--query.max-samples={MOST_SAMPLES}", "--log.level=error"),
        ]
        with running(command, folder / "prometheus.log"):
            for job, done in read.items():
                assert done.wait(PATIENCE), f"{job} was not read: {(folder / 'prometheus.log').read_text()[-2000:]}"
            yield f"http://127.0.0.1:{port}"


def program() -> str:
    folder = subprocess.check_output(["bash", "-euc", FOLDER], cwd=ROOT, text=True).strip()
    found = Path(folder) / "prometheus"
    assert found.exists(), "Prometheus is not built; build it once with: dev/cluster/cluster.sh build"
    return str(found)


def seen_by(url: str, now: float, run: Run) -> Verdict:
    """The verdict `now` seconds after a run would have begun at BEGAN."""
    return look(Evaluator(Reader(connect(url)), Intervals(scrape=INTERVAL, evaluation=5)), BEGAN + now, run)


@pytest.mark.parametrize("now", [35, 155, 300])
def test_a_target_that_two_jobs_scrape_is_not_counted_twice(url: str, now: float) -> None:
    """The verdict is that on a fake which has each sample once, number for number."""
    assert seen_by(url, now, a_run(BEGAN)) == look(trials(serving()), now, a_run())


def test_a_retention_shorter_than_the_run_loses_counts_and_makes_none_up(url: str) -> None:
    """The run began half an hour before the oldest sample, and pods had counted much by then."""
    verdict = seen_by(url, 155, a_run(BEGAN - 1800))
    assert (verdict.result, verdict.objectives[0].canary, verdict.objectives[0].requests) == (Result.PASS, "0%", 360)


@pytest.mark.parametrize(
    ("expr", "told"),
    [
        ('"a string"', """Prometheus gave no answer: HTTP 400, invalid parameter "query": invalid expression type"""),
        ("sum(", """Prometheus gave no answer: HTTP 400, invalid parameter "query": 1:5: parse error: """),
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
def test_a_query_that_gives_no_number_is_undecided_and_told(url: str, expr: str, told: str) -> None:
    """In Prometheus's own words where it has some; no rollout is rolled back for a misspelt query."""
    verdict = seen_by(url, 300, a_run(BEGAN, objectives=measuring(expr)))
    assert verdict.result is Result.UNDECIDED
    assert verdict.message.startswith(f"mine is undecided: nothing measured, at most 20; {told}")
    assert len(verdict.message) < 300


@pytest.mark.parametrize("expr", ["15", "scalar(vector(15))", "vector(15)"])
def test_a_query_may_give_a_number_or_a_series(url: str, expr: str) -> None:
    """Both are measured at the objective's interval."""
    verdict = seen_by(url, 300, a_run(BEGAN, objectives=measuring(expr)))
    assert (verdict.result, verdict.objectives[0].canary, verdict.objectives[0].requests) == (Result.PASS, "15", 30)


def measuring(expr: str) -> Any:
    query = {"expr": expr, "max": "20", "interval": "10s", "failureLimit": 0}
    return a_spec(objectives=[{"name": "mine", "query": query}]).objectives


def test_too_many_samples_for_prometheus_are_no_metrics(url: str) -> None:
    """It refuses the whole answer, so there is no half of it to judge on."""
    everything = Selection((("models", "iris"),), (CANARY, STABLE), (0.2,))
    assert len(asyncio.run(Reader(connect(url)).raw(everything, START + BEGAN - 60, START + BEGAN + 400))) > 0
    with pytest.raises(MetricsLostError, match="HTTP 422, query processing would load too many samples into memory"):
        asyncio.run(Reader(connect(url)).grid(everything, START + BEGAN - 60, START + BEGAN + 4000, 1))


def test_a_label_of_the_target_that_clashes_moves_no_count(url: str) -> None:
    """Prometheus renames the server's own, and still a label for stable is not one for the canary."""
    counters = Counters()
    selection = Selection((("models", "clash"),), (CANARY, STABLE))
    counters.add(asyncio.run(Reader(connect(url)).raw(selection, START + BEGAN - 60, START + BEGAN + 60)))
    grown = {one: [grown for _, grown in counters.grown(one, START + BEGAN, 2e9)] for one in (CANARY, STABLE)}
    assert grown == {CANARY: [2], STABLE: [6]}
