"""A Prometheus in memory, the samples of a run in it, and the verdict on these."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from sluice_operator.api.observation import Crashes
from sluice_operator.api.run import LiveWeight, Run
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Status, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import Reader
from tests.unit.sluice_operator.build import revision, stepping

INTERVAL = 10.0
CANARY, STABLE = revision(2).revision, revision(1).revision
START = 1_800_000_000.0
STATUS = stepping().status
LOOKBACK = 300.0  # an instant query of Prometheus gives no sample that is older than so many seconds


class FakePrometheus:
    """Holds raw samples, and answers the three kinds of queries of the operator as Prometheus does."""

    def __init__(self) -> None:
        self.series: dict[tuple[tuple[str, str], ...], list[tuple[float, str]]] = {}
        self.queries: list[str] = []
        self.trouble: Any = None
        self.clock = 0.0  # seconds since START

    def scrape(self, at: float, value: object, name: str = "ml_requests_total", **labels: str) -> None:
        defaults = {"__name__": name, "namespace": "models", "model_deployment": "iris", "entry": "gateway"}
        if name == "ml_requests_total":
            defaults["code"] = "200"
        all_labels = {**defaults, "pod_uid": "a", "revision": CANARY, **labels}
        self.series.setdefault(tuple(all_labels.items()), []).append((START + at, str(value)))

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        if query == "vector(time())":
            return [{"metric": {}, "value": [START + self.clock, str(START + self.clock)]}]
        span = re.search(r"\[(\d+)ms\]$", query)
        low, high = params["time"] - (int(span[1]) / 1000 if span else LOOKBACK), params["time"]
        selected = [
            (labels, [sample for sample in samples if low < sample[0] <= high])
            for labels, samples in self._selected(query)
        ]
        if span:
            return [{"metric": labels, "values": samples} for labels, samples in selected if samples]
        return [{"metric": labels, "value": samples[-1]} for labels, samples in selected if samples]

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        first, last, every = start_time.timestamp(), end_time.timestamp(), float(step.removesuffix("s"))
        moments = [first + every * number for number in range(int((last - first) / every) + 1)]
        return [
            {"metric": labels, "values": on_grid}
            for labels, samples in self._selected(query)
            if (on_grid := [(at, value) for at in moments if (value := _newest(samples, at)) is not None])
        ]

    def _selected(self, query: str) -> Any:
        self.queries.append(query)
        if isinstance(self.trouble, Exception):
            raise self.trouble
        matchers = re.findall(r'(\w+)=~?"([^"]*)"', query)
        for labels, samples in self.series.items():
            if all(re.fullmatch(pattern, dict(labels).get(label, "")) for label, pattern in matchers):
                yield dict(labels), samples


def _newest(samples: Sequence[tuple[float, str]], at: float) -> str | None:
    return next((value for sampled, value in reversed(samples) if at - LOOKBACK < sampled <= at), None)


@dataclass
class Answering:
    """A Prometheus that gives the same answer to all queries."""

    answer: Any

    def custom_query(self, query: str, params: dict[str, Any]) -> Any:
        return self.answer

    def custom_query_range(self, query: str, start_time: datetime, end_time: datetime, step: str) -> Any:
        return self.answer


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


def a_run(began: float = 0, since: float | None = None, **changes: Any) -> Run:
    """A run whose step's weight was seen live at `since`: by default 5 s after its first traffic."""
    assert STATUS.run is not None
    live = moment(began + 5 if since is None else since)
    weight = STATUS.run.steps[changes.get("step", 0)].weight
    fields = {
        "started_at": moment(began),
        "traffic_started_at": moment(began),
        "first_live_at": moment(began + 5),
        "step_started_at": live,
        "live_weights": (LiveWeight(weight, live),),
    }
    return replace(STATUS.run, **{**fields, **changes})


def evaluator_for(prometheus: Any, interval: float = INTERVAL) -> Evaluator:
    return Evaluator(Reader(prometheus, lambda: START), Intervals(scrape=interval, evaluation=5))


def verdict_at(
    evaluator: Evaluator,
    now: float,
    run: Run | None = None,
    current: Status = STATUS,
    crashes: int = 0,
    name: str = "iris",
) -> Verdict:
    """The verdict of one evaluation, `now` seconds after START."""
    subject = Subject("models", name, run or a_run(), ComparedRevisions(CANARY, STABLE))
    return asyncio.run(evaluator.verdict(subject, current, Crashes(crashes), moment(now)))


def metrics_lost(message: str) -> Verdict:
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message)


def pod(
    prometheus: FakePrometheus,
    values: Iterable[int],
    since: float = -30,
    bad: float = 0,
    every: float = INTERVAL,
    bad_code: str = "500",
    **labels: str,
) -> None:
    """A pod that has finished `values` requests at its scrapes: a share `bad` with `bad_code`, and all within 0.2 s."""
    for scrape, value in enumerate(values):
        at, errors = since + scrape * every, int(bad * value)
        prometheus.scrape(at, value - errors, **labels)
        prometheus.scrape(at, errors, **labels, code=bad_code)
        prometheus.scrape(at, value, "ml_requests_started_total", **labels)
        prometheus.scrape(at, value, "ml_request_duration_seconds_bucket", **labels, le="0.2")
        prometheus.scrape(at, value, "ml_request_duration_seconds_bucket", **labels, le="+Inf")


def serving(bad: float = 0, scrapes: int = 40) -> FakePrometheus:
    """One pod of the canary with a tenth of the requests, and one of stable; scraped from before the run on."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * scrape for scrape in range(scrapes)], bad=bad)
    pod(prometheus, [180 * scrape for scrape in range(scrapes)], since=-29, pod_uid="s", revision=STABLE)
    return prometheus


def refusing(canary: float, stable: float, code: str = "422") -> FakePrometheus:
    """As `serving`; a share of the requests of each revision ends with a status 4xx."""
    prometheus = FakePrometheus()
    pod(prometheus, [20 * scrape for scrape in range(40)], bad=canary, bad_code=code)
    finished = [180 * scrape for scrape in range(40)]
    pod(prometheus, finished, since=-29, bad=stable, bad_code=code, pod_uid="s", revision=STABLE)
    return prometheus
